// Typed, checked access to the tensors of a model file. Every failure is Error(kModelFile) that names the tensor.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "codec/model.h"

namespace treenet {

class ModelReader {
 public:
  explicit ModelReader(const TensorMap& tensors) : tensors_(tensors) {}

  // A tensor of exactly this type and shape, copied.
  template <class T>
  std::vector<T> read(const std::string& name, const std::vector<std::int64_t>& shape) {
    const T* data = static_cast<const T*>(find(name, dtype_of<T>(), shape));
    std::size_t size = 1;
    for (const std::int64_t n : shape) size *= static_cast<std::size_t>(n);
    return std::vector<T>(data, data + size);
  }

  // F32 that multiplies: finite and in 2^-40..2^20.
  std::vector<float> factors(const std::string& name, const std::vector<std::int64_t>& shape);

  int zero_point(const std::string& name);

  // `largest_input` is A of SPEC §9; the accumulator's bound is checked against it.
  Convolution convolution(const std::string& name, int outputs, int inputs, int kernel, std::int64_t largest_input,
                          bool requantised);

  Normalisation normalisation(const std::string& name);
  // Of the image (3 channels) or of a wide activation.
  ResidualBlock residual_down(const std::string& name, int inputs);
  ResidualBlock residual_up(const std::string& name, int input_zero_point, bool wide_input, bool wide_output);
  Fusion fusion(const std::string& name, int zero_point, bool wide);
  Bottleneck bottleneck(const std::string& name);

  // Throws if the file has a tensor that nobody has read.
  void check_nothing_left() const;

 private:
  template <class T>
  static constexpr DType dtype_of();

  const void* find(const std::string& name, DType dtype, const std::vector<std::int64_t>& shape);
  Attention attention(const std::string& name, std::int64_t largest_input, int mean_bits);

  const TensorMap& tensors_;
  std::set<std::string> read_;
};

template <>
constexpr DType ModelReader::dtype_of<std::uint8_t>() {
  return DType::kU8;
}
template <>
constexpr DType ModelReader::dtype_of<std::int8_t>() {
  return DType::kI8;
}
template <>
constexpr DType ModelReader::dtype_of<std::uint16_t>() {
  return DType::kU16;
}
template <>
constexpr DType ModelReader::dtype_of<std::int32_t>() {
  return DType::kI32;
}
template <>
constexpr DType ModelReader::dtype_of<float>() {
  return DType::kF32;
}

// The largest |a - z| of a u8 activation.
constexpr std::int64_t largest_u8(int zero_point) {
  return zero_point > 255 - zero_point ? zero_point : 255 - zero_point;
}
inline constexpr std::int64_t kLargestS16 = 32768;

}  // namespace treenet

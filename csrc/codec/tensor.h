// A dense tensor [height, width, channels] in a leased buffer, and the trace of a run.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <map>
#include <string>
#include <vector>

#include "codec/buffer_pool.h"
#include "codec/model.h"

namespace treenet {

inline std::size_t size_of(DType dtype) {
  switch (dtype) {
    case DType::kU8:
    case DType::kI8:
      return 1;
    case DType::kU16:
    case DType::kI16:
      return 2;
    case DType::kI32:
    case DType::kF32:
      return 4;
  }
  return 0;
}

class Tensor {
 public:
  Tensor() = default;
  Tensor(BufferPool& pool, DType dtype, int height, int width, int channels)
      : dtype(dtype), height(height), width(width), channels(channels), lease_(pool.take(bytes())) {}

  std::size_t positions() const { return static_cast<std::size_t>(height) * static_cast<std::size_t>(width); }
  std::size_t elements() const { return positions() * static_cast<std::size_t>(channels); }
  std::size_t bytes() const { return elements() * size_of(dtype); }
  template <class T>
  T* as() const {
    return lease_.as<T>();
  }

  DType dtype = DType::kU8;
  int height = 0, width = 0, channels = 0;

 private:
  BufferPool::Lease lease_;
};

using Latents = std::array<Tensor, kBottlenecks>;

// Copies of the tensors of a run, by SPEC name, for tests and studies.
class Trace {
 public:
  struct Entry {
    DType dtype;
    std::vector<std::int64_t> shape;
    std::vector<std::uint8_t> data;
  };

  void add(const std::string& name, const Tensor& tensor) {
    const std::uint8_t* data = tensor.as<std::uint8_t>();
    entries[name] = {tensor.dtype,
                     {tensor.height, tensor.width, tensor.channels},
                     std::vector<std::uint8_t>(data, data + tensor.bytes())};
  }
  void add(const std::string& name, const Latents& latents) {
    for (int b = 0; b < kBottlenecks; ++b) add(name + "." + std::to_string(b), latents[b]);
  }

  std::map<std::string, Entry> entries;
};

}  // namespace treenet

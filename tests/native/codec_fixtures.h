// A codec of a random model, images, and their way through it one by one.
#pragma once

#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "codec/bytes.h"
#include "codec/codec.h"
#include "codec/crc32.h"
#include "cpu/backend.h"
#include "random_model.h"

namespace treenet::testing {

using Bytes = std::vector<std::uint8_t>;

inline constexpr std::uint64_t kNoLimit = std::uint64_t{1} << 40;

inline std::shared_ptr<const Model> model() {
  static const RandomModel random(1);
  static const std::shared_ptr<const Model> made = random.make();
  return made;
}

// Factors of all sizes up to both ends (SPEC §9), so that products leave 32 bits and vanish, and one zero point.
inline std::shared_ptr<const Model> model_of_extremes(int zero_point) {
  RandomModel random(2);
  std::mt19937 chance(5);
  for (const auto& [name, tensor] : random.tensors) {
    if (name.ends_with("zero_point")) *random.data<std::int32_t>(name) = zero_point;
    if (tensor.dtype != DType::kF32 || name.starts_with("entropy")) continue;
    float* factors = random.data<float>(name);
    std::int64_t size = 1;
    for (const std::int64_t side : tensor.shape) size *= side;
    for (std::int64_t i = 0; i < size; ++i) {
      const unsigned kind = chance() % 16;
      factors[i] = kind == 0 ? 0x1p20f : kind == 1 ? 0x1p-40f : factors[i];
    }
  }
  return random.make();
}

inline Codec codec(const std::shared_ptr<const Model>& model, const std::string& isa, int threads) {
  return Codec(model, std::make_unique<cpu::CpuBackend>(*model, isa, threads));
}
inline Codec codec(const std::string& isa, int threads) { return codec(model(), isa, threads); }

// Smooth shapes with some noise; another image for each seed.
inline Bytes image(int height, int width, unsigned seed = 0) {
  std::mt19937 random(static_cast<unsigned>(height) * 65536u + static_cast<unsigned>(width) + seed * 7919u);
  Bytes pixels(static_cast<std::size_t>(height) * width * 3);
  for (std::size_t i = 0; i < pixels.size(); ++i) {
    const std::size_t x = i / 3 % width, y = i / 3 / width;
    pixels[i] = static_cast<std::uint8_t>((3 + seed) * x + 2 * y * (i % 3) + random() % 16);
  }
  return pixels;
}

inline Bytes encode(const Codec& codec, const Bytes& pixels, int height, int width, int quality,
                    Trace* trace = nullptr) {
  const ImageView view = ImageView::dense(pixels.data(), height, width);
  return codec.encode({&view, 1}, quality, false, {.trace = trace})[0];
}

inline ParsedStream parse(const Bytes& stream) { return {parse_header(stream, kNoLimit), stream}; }

inline Bytes decode(const Codec& codec, const Bytes& stream, bool grey = false) {
  const ParsedStream parsed = parse(stream);
  const int height = parsed.header.height, width = parsed.header.width;
  Bytes pixels(static_cast<std::size_t>(height) * width * (grey ? 1 : 3));
  const PixelsOut out = PixelsOut::dense(pixels.data(), height, width, grey);
  codec.decode({&parsed, 1}, {&out, 1});
  return pixels;
}

// Gives the stream a checksum that fits its bytes.
inline void seal(Bytes& stream) { store_le32(&stream[4], crc32(std::span<const std::uint8_t>(stream).subspan(8))); }

}  // namespace treenet::testing

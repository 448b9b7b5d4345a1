// The hyper transforms (SPEC §5), layer by layer, and the gain (SPEC §4, §6): all on s16.
#pragma once

#include "cpu/input_lines.h"

namespace treenet::cpu::TREENET_ISA {

inline constexpr std::int32_t kHyperTileColumns = kLargestSpan * kBlockPixels;  // of a 3x3 convolution's output
inline constexpr std::int32_t kMaxHyperChannels = 64;                           // of its input
inline constexpr int kHyperLines = 4;                                           // of its input that are there at once

inline void conv3x3_s16(const PackedConv& conv, const Plane& in, const Plane& out, std::int32_t stride, bool leaky,
                        bool shuffle, std::int32_t row_begin, std::int32_t row_end, void* scratch) {
  Arena arena{static_cast<std::uint8_t*>(scratch)};
  const std::int32_t channels = in.channels;
  const std::int32_t width = (in.width + stride - 1) / stride;
  const std::ptrdiff_t line_length =
      static_cast<std::ptrdiff_t>(stride * (kHyperTileColumns + kBlockPixels) + 3) * channels;
  const S16 lines = S16::make(arena, kHyperLines * line_length);
  const S16::Sums sums = arena.take_sums<S16::Sums>(kLargestSpan * kBlock);
  std::int16_t* block = arena.take<std::int16_t>(kBlock);
  std::int16_t* result = static_cast<std::int16_t*>(out.data);
  const std::ptrdiff_t step = static_cast<std::ptrdiff_t>(stride) * channels;
  [[maybe_unused]] const MatrixTiles tiles;

  for (std::int32_t column = 0; column < width; column += kHyperTileColumns) {
    const std::int32_t columns = width - column < kHyperTileColumns ? width - column : kHyperTileColumns;
    const std::int32_t length = stride * (columns - 1) + 3;
    const auto line = [&](std::int32_t of_input) { return (of_input & (kHyperLines - 1)) * line_length; };
    std::int32_t next = stride * row_begin - 1;
    for (std::int32_t row = row_begin; row < row_end; ++row) {
      for (; next <= stride * row + 1; ++next) lines.load(in, next, stride * column - 1, length, line(next));
      const std::uint8_t* taps[9];
      for (int u = 0; u < 3; ++u) {
        for (int v = 0; v < 3; ++v) taps[3 * u + v] = lines.at(line(stride * row - 1 + u) + v * channels);
      }
      const std::int32_t blocks = span_blocks<kLargestSpan>(columns);
      for (std::int32_t b = 0; b < conv.blocks; ++b) {
        lines.span<0>(taps, conv, b, step, blocks, sums);
        for (std::int32_t k = 0; k < blocks; ++k) {
          const std::int32_t i = k * kBlockPixels;
          const std::int32_t count = columns - i < kBlockPixels ? columns - i : kBlockPixels;
          if (leaky) {
            requantise_block<32, true, std::int16_t>(sums + k * kBlock, conv, b, 0, block);
          } else {
            requantise_block<32, false, std::int16_t>(sums + k * kBlock, conv, b, 0, block);
          }
          // Outputs [32 b, 32 b + 32) of `count` pixels. In a shuffle, output o is channel o mod n of (dy, dx) = o / n;
          // 16 divides every n here, so halves of a block stay together.
          for (int half = 0; half < 2; ++half) {
            const std::int32_t output = 32 * b + 16 * half;
            if (output >= conv.outputs) break;
            const std::int32_t quarter = shuffle ? output / out.channels : 0;
            const std::int32_t channel = output - quarter * out.channels;
            const std::int32_t scale = shuffle ? 2 : 1;
            std::int16_t* to = result +
                               (static_cast<std::ptrdiff_t>(scale * row + (quarter >> 1)) * out.width +
                                scale * (column + i) + (quarter & 1)) *
                                   out.channels +
                               channel;
            for (std::int32_t p = 0; p < count; ++p) {
              std::memcpy(to + static_cast<std::ptrdiff_t>(p) * scale * out.channels, block + 32 * p + 16 * half,
                          16 * sizeof(std::int16_t));
            }
          }
        }
      }
    }
  }
}

inline void gain_s16(const std::int16_t* in, const float* gain, std::int16_t* out, std::int64_t begin,
                     std::int64_t end) {
  for (std::int64_t i = begin; i < end; ++i) gain_pixel(in + i * kChannels, gain, out + i * kChannels);
}

}  // namespace treenet::cpu::TREENET_ISA

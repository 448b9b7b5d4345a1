// The bottleneck's steps at 1/16 of the resolution and below (SPEC §5), all on s16: hyper transforms, and the context
// with the entropy parameters, computed only at the positions and taps that count.
#pragma once

#include <type_traits>
#include <utility>

#include "cpu/input_lines.h"

namespace treenet::cpu::TREENET_ISA {

inline constexpr std::int32_t kHyperTileColumns = kLargestSpan * kBlockPixels;  // of a 3x3 convolution's output
inline constexpr std::int32_t kMaxHyperChannels = 64;                           // of its input
inline constexpr std::int32_t kParameterChannels = 128;                         // psi and context
inline constexpr std::int32_t kPsiChannels = 64;
inline constexpr std::int32_t kParameterPositions = kLargestSpan * kBlockPixels;  // of one parity, at a time

inline void conv3x3_s16(const PackedConv& conv, const Plane& in, const Plane& out, std::int32_t stride, bool leaky,
                        bool shuffle, std::int32_t row_begin, std::int32_t row_end, void* scratch) {
  Arena arena{static_cast<std::uint8_t*>(scratch)};
  const std::int32_t channels = in.channels;
  const std::int32_t width = (in.width + stride - 1) / stride;
  const std::ptrdiff_t line_length =
      static_cast<std::ptrdiff_t>(stride * (kHyperTileColumns + kBlockPixels) + 3) * channels;
  const S16 lines = S16::make(arena, 3 * line_length);
  const S16::Sums sums = arena.take_sums<S16::Sums>(kLargestSpan * kBlock);
  std::int16_t* block = arena.take<std::int16_t>(kBlock);
  std::int16_t* result = static_cast<std::int16_t*>(out.data);
  const std::ptrdiff_t step = static_cast<std::ptrdiff_t>(stride) * channels;
  [[maybe_unused]] const MatrixTiles tiles;

  for (std::int32_t row = row_begin; row < row_end; ++row) {
    for (std::int32_t column = 0; column < width; column += kHyperTileColumns) {
      const std::int32_t columns = width - column < kHyperTileColumns ? width - column : kHyperTileColumns;
      const std::int32_t length = stride * (columns - 1) + 3;
      for (int u = 0; u < 3; ++u) {
        load_line<std::int16_t>(in, stride * row - 1 + u, stride * column - 1, length, 0, channels,
                                lines.begin(u * line_length), CopyS16{channels});
        lines.end(u * line_length, static_cast<std::ptrdiff_t>(length) * channels);
      }
      const std::uint8_t* taps[9];
      for (int u = 0; u < 3; ++u) {
        for (int v = 0; v < 3; ++v) taps[3 * u + v] = lines.at(u * line_length + v * channels);
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

// Of `count` positions of a row of two columns' distance, from `column` on: zeros where they lie outside.
inline void load_every_other(const Plane& in, std::int32_t row, std::int32_t column, std::int32_t count,
                             std::int16_t* to) {
  const std::int16_t* from =
      static_cast<const std::int16_t*>(in.data) + static_cast<std::ptrdiff_t>(row) * in.width * kChannels;
  for (std::int32_t k = 0; k < count; ++k, column += 2, to += kChannels) {
    if (row >= 0 && row < in.height && column >= 0 && column < in.width) {
      std::memcpy(to, from + static_cast<std::ptrdiff_t>(column) * kChannels, kChannels * sizeof(std::int16_t));
    } else {
      fill(to, kChannels, 0);
    }
  }
}

inline void parameters_row(const PackedParameters& parameters, const Plane& psi, const Plane& decoded,
                           const Plane& mean, const Plane& index, std::int32_t row, std::int32_t parity,
                           void* scratch) {
  constexpr std::int32_t kLine = (kParameterPositions + 3) * kChannels;
  Arena arena{static_cast<std::uint8_t*>(scratch)};
  const S16 lines = S16::make(arena, 5 * kLine);
  S16 features = S16::make(arena, kParameterPositions * kParameterChannels);
  S16 hidden = S16::make(arena, kParameterPositions * kParameterChannels);
  const S16::Sums sums = arena.take_sums<S16::Sums>(kLargestSpan * kBlock);
  std::int16_t* block = arena.take<std::int16_t>(kBlock);
  [[maybe_unused]] const MatrixTiles tiles;

  // Anchors see psi alone: the first half of the first layer's groups.
  PackedConv first = parameters.entropy_parameters[0];
  if (parity == 0) {
    first.groups /= 2;
    first.tile_step_count /= 2;
  }
  static_assert(2 * kPsiChannels == kParameterChannels && kPsiChannels % kTileBytes == 0);
  const PackedConv* layers[2] = {&first, &parameters.entropy_parameters[1]};
  const PackedConv& last = parameters.entropy_parameters[2];
  const std::uint8_t* const scale_index = parameters.scale_index;
  std::int16_t* mean_row = static_cast<std::int16_t*>(mean.data) + static_cast<std::ptrdiff_t>(row) * mean.width * 32;
  std::uint8_t* index_row =
      static_cast<std::uint8_t*>(index.data) + static_cast<std::ptrdiff_t>(row) * index.width * 32;
  const std::int16_t* psi_row =
      static_cast<const std::int16_t*>(psi.data) + static_cast<std::ptrdiff_t>(row) * psi.width * kPsiChannels;

  for (std::int32_t start = (row + parity) & 1; start < mean.width; start += 2 * kParameterPositions) {
    const std::int32_t left = (mean.width - start + 1) / 2;
    const std::int32_t positions = left < kParameterPositions ? left : kParameterPositions;
    const std::int32_t blocks = span_blocks<kLargestSpan>(positions);
    for (std::int32_t k = 0; k < positions; ++k) {
      std::memcpy(features.begin(k * kParameterChannels),
                  psi_row + static_cast<std::ptrdiff_t>(start + 2 * k) * kPsiChannels,
                  kPsiChannels * sizeof(std::int16_t));
      features.end(k * kParameterChannels, kPsiChannels);
    }
    if (parity == 1) {
      // Taps have u + v odd: of a line the columns of one parity, side by side.
      const std::uint8_t* taps[12];
      int tap = 0;
      for (int u = 0; u < 5; ++u) {
        const int v = u % 2 == 0 ? 1 : 0, taps_of_line = u % 2 == 0 ? 2 : 3;
        const std::int32_t count = positions + taps_of_line - 1;
        load_every_other(decoded, row - 2 + u, start - 2 + v, count, lines.begin(u * kLine));
        lines.end(u * kLine, static_cast<std::ptrdiff_t>(count) * kChannels);
        for (int k = 0; k < taps_of_line; ++k) taps[tap++] = lines.at(u * kLine + k * kChannels);
      }
      const PackedConv& context = parameters.context;
      for (std::int32_t b = 0; b < context.blocks; ++b) {
        lines.span<kChannels>(taps, context, b, 0, blocks, sums);
        for (std::int32_t k = 0; k < blocks; ++k) {
          features.requantise<false, kParameterChannels>(sums + k * kBlock, context, b,
                                                         k * kBlockPixels * kParameterChannels + kPsiChannels + 32 * b);
        }
      }
    }
    for (const PackedConv* layer : layers) {
      const std::uint8_t* tap = features.at(0);
      for (std::int32_t b = 0; b < layer->blocks; ++b) {
        features.span<kParameterChannels>(&tap, *layer, b, 0, blocks, sums);
        for (std::int32_t k = 0; k < blocks; ++k) {
          hidden.requantise<true, kParameterChannels>(sums + k * kBlock, *layer, b,
                                                      k * kBlockPixels * kParameterChannels + 32 * b);
        }
      }
      std::swap(features, hidden);
    }
    // The last layer's outputs are 32 means and 32 numbers v.
    const std::uint8_t* tap = features.at(0);
    for (std::int32_t b = 0; b < last.blocks; ++b) {
      features.span<kParameterChannels>(&tap, last, b, 0, blocks, sums);
      for (std::int32_t k = 0; k < positions; ++k) {
        const std::int32_t p = k % kBlockPixels;
        if (p == 0) requantise_block<32, false, std::int16_t>(sums + k * kChannels, last, b, 0, block);
        const std::int16_t* result = block + p * kChannels;
        const std::ptrdiff_t at = static_cast<std::ptrdiff_t>(start + 2 * k) * 32;
        if (b == 0) {
          std::memcpy(mean_row + at, result, 32 * sizeof(std::int16_t));
        } else {
          for (int c = 0; c < 32; ++c) {
            index_row[at + c] = scale_index[result[c] < 0 ? 0 : result[c]];  // SPEC §5 clamps v to 0..32767
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

// The bottleneck's steps at 1/16 of the resolution and below (SPEC §5), all on s16: hyper transforms, and the context
// with the entropy parameters, computed only at the positions and taps that count.
#pragma once

#include <type_traits>
#include <utility>

#include "cpu/lines.h"

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
  std::int16_t* lines = arena.take<std::int16_t>(3 * line_length);
  std::int32_t* accumulators = arena.take<std::int32_t>(kLargestSpan * kBlock);
  std::int16_t* block = arena.take<std::int16_t>(kBlock);
  std::int16_t* result = static_cast<std::int16_t*>(out.data);
  const std::ptrdiff_t step = static_cast<std::ptrdiff_t>(stride) * channels * sizeof(std::int16_t);
  [[maybe_unused]] const MatrixTiles tiles;

  for (std::int32_t row = row_begin; row < row_end; ++row) {
    for (std::int32_t column = 0; column < width; column += kHyperTileColumns) {
      const std::int32_t columns = width - column < kHyperTileColumns ? width - column : kHyperTileColumns;
      for (int u = 0; u < 3; ++u) {
        load_line<std::int16_t>(in, stride * row - 1 + u, stride * column - 1, stride * (columns - 1) + 3, 0, channels,
                                lines + u * line_length, CopyS16{channels});
      }
      const std::uint8_t* taps[9];
      for (int u = 0; u < 3; ++u) {
        for (int v = 0; v < 3; ++v) taps[3 * u + v] = bytes(lines + u * line_length + v * channels);
      }
      const std::int32_t blocks = span_blocks<kLargestSpan>(columns);
      for (std::int32_t b = 0; b < conv.blocks; ++b) {
        conv_span<std::int16_t, 32, 0>(taps, conv, b, step, blocks, accumulators);
        for (std::int32_t k = 0; k < blocks; ++k) {
          const std::int32_t i = k * kBlockPixels;
          const std::int32_t count = columns - i < kBlockPixels ? columns - i : kBlockPixels;
          if (leaky) {
            requantise_block<32, true, std::int16_t>(accumulators + k * kBlock, conv, b, 0, block);
          } else {
            requantise_block<32, false, std::int16_t>(accumulators + k * kBlock, conv, b, 0, block);
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

inline void parameters_row(const PackedParameters& parameters, const Plane& psi, const Plane& decoded,
                           const Plane& mean, const Plane& index, std::int32_t row, std::int32_t parity,
                           void* scratch) {
  constexpr std::int32_t kLine = 2 * (kParameterPositions + kBlockPixels) + 5;
  constexpr std::ptrdiff_t kStep = kParameterChannels * sizeof(std::int16_t);
  Arena arena{static_cast<std::uint8_t*>(scratch)};
  std::int16_t* lines = arena.take<std::int16_t>(5 * kLine * kChannels);
  std::int16_t* features = arena.take<std::int16_t>(kParameterPositions * kParameterChannels);
  std::int16_t* hidden = arena.take<std::int16_t>(kParameterPositions * kParameterChannels);
  std::int32_t* accumulators = arena.take<std::int32_t>(kLargestSpan * kBlock);
  std::int16_t* block = arena.take<std::int16_t>(kBlock);
  [[maybe_unused]] const MatrixTiles tiles;

  // Anchors see psi alone: the first half of the first layer's groups.
  PackedConv first = parameters.entropy_parameters[0];
  if (parity == 0) first.groups = kPsiChannels / 2;
  const PackedConv* layers[2] = {&first, &parameters.entropy_parameters[1]};
  const PackedConv& last = parameters.entropy_parameters[2];
  std::int16_t* mean_row = static_cast<std::int16_t*>(mean.data) + static_cast<std::ptrdiff_t>(row) * mean.width * 32;
  std::uint8_t* index_row =
      static_cast<std::uint8_t*>(index.data) + static_cast<std::ptrdiff_t>(row) * index.width * 32;
  const std::int16_t* psi_row =
      static_cast<const std::int16_t*>(psi.data) + static_cast<std::ptrdiff_t>(row) * psi.width * kPsiChannels;

  for (std::int32_t start = (row + parity) & 1; start < mean.width; start += 2 * kParameterPositions) {
    const std::int32_t left = (mean.width - start + 1) / 2;
    const std::int32_t positions = left < kParameterPositions ? left : kParameterPositions;
    const std::int32_t blocks = span_blocks<kLargestSpan>(positions);
    // Requantises block b of a layer's outputs, to channels 32 b and on of `to`, 128 channels a position.
    const auto store = [&](auto leaky, const PackedConv& conv, std::int32_t b, std::int16_t* to) {
      for (std::int32_t k = 0; k < blocks; ++k) {
        requantise_block<32, leaky(), std::int16_t>(accumulators + k * kBlock, conv, b, 0, block);
        for (int p = 0; p < kBlockPixels; ++p) {
          std::memcpy(to + (k * kBlockPixels + p) * kParameterChannels + 32 * b, block + 32 * p,
                      32 * sizeof(std::int16_t));
        }
      }
    };
    for (std::int32_t k = 0; k < positions; ++k) {
      std::memcpy(features + k * kParameterChannels,
                  psi_row + static_cast<std::ptrdiff_t>(start + 2 * k) * kPsiChannels,
                  kPsiChannels * sizeof(std::int16_t));
    }
    if (parity == 1) {
      const std::uint8_t* taps[12];
      int tap = 0;
      for (int u = 0; u < 5; ++u) {
        load_line<std::int16_t>(decoded, row - 2 + u, start - 2, 2 * positions + 3, 0, kChannels,
                                lines + u * kLine * kChannels, CopyS16{kChannels});
        for (int v = 0; v < 5; ++v) {
          if (((u + v) & 1) != 0) taps[tap++] = bytes(lines + (u * kLine + v) * kChannels);
        }
      }
      for (std::int32_t b = 0; b < parameters.context.blocks; ++b) {
        conv_span<std::int16_t, 32, 2 * kChannels * sizeof(std::int16_t)>(taps, parameters.context, b, 0, blocks,
                                                                          accumulators);
        store(std::false_type{}, parameters.context, b, features + kPsiChannels);
      }
    }
    std::int16_t* from = features;
    std::int16_t* to = hidden;
    for (const PackedConv* layer : layers) {
      const std::uint8_t* tap = bytes(from);
      for (std::int32_t b = 0; b < layer->blocks; ++b) {
        conv_span<std::int16_t, 32, kStep>(&tap, *layer, b, 0, blocks, accumulators);
        store(std::true_type{}, *layer, b, to);
      }
      std::swap(from, to);
    }
    const std::uint8_t* tap = bytes(from);
    for (std::int32_t b = 0; b < last.blocks; ++b) {
      conv_span<std::int16_t, 32, kStep>(&tap, last, b, 0, blocks, accumulators);
      store(std::false_type{}, last, b, to);
    }
    for (std::int32_t k = 0; k < positions; ++k) {
      const std::int16_t* result = to + k * kParameterChannels;
      std::memcpy(mean_row + static_cast<std::ptrdiff_t>(start + 2 * k) * 32, result, 32 * sizeof(std::int16_t));
      std::uint8_t* at = index_row + static_cast<std::ptrdiff_t>(start + 2 * k) * 32;
      for (int c = 0; c < 32; ++c) {
        const std::int16_t v = result[32 + c];
        at[c] = parameters.scale_index[v < 0 ? 0 : v];  // SPEC §5 clamps v to 0..32767
      }
    }
  }
}

inline void gain_s16(const std::int16_t* in, const float* gain, std::int16_t* out, std::int64_t begin,
                     std::int64_t end) {
  for (std::int64_t i = begin; i < end; ++i) gain_pixel(in + i * kChannels, gain, out + i * kChannels);
}

}  // namespace treenet::cpu::TREENET_ISA

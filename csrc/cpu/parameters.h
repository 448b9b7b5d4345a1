// Context and entropy parameters (SPEC §5), computed only at the positions and taps that count: those of a stage have
// row + column of one parity.
#pragma once

#include <utility>

#include "cpu/input_lines.h"

namespace treenet::cpu::TREENET_ISA {

inline constexpr std::int32_t kPsiChannels = 64, kParameterChannels = 128;  // psi, and psi with the context
// Computed at a time. With matrix tiles what layers hand to each other is to stay in the first cache.
inline constexpr std::int32_t kParameterPositions = (kMatrixTiles ? 3 : kLargestSpan) * kBlockPixels;

class ParametersOfStage {
 public:
  ParametersOfStage(const PackedParameters& parameters, const Plane& psi, const Plane& decoded, const Plane& mean,
                    const Plane& index, std::int32_t parity, void* scratch)
      : parameters_(parameters),
        psi_(psi),
        decoded_(decoded),
        mean_(mean),
        index_(index),
        parity_(parity),
        first_layer_(parameters.entropy_parameters[0]),
        arena_{static_cast<std::uint8_t*>(scratch)} {
    // Anchors see psi alone: the first half of the first layer's groups.
    if (parity == 0) {
      first_layer_.groups /= 2;
      first_layer_.tile_step_count /= 2;
    }
  }

  static constexpr std::size_t scratch_bytes() {
    return S16::scratch_bytes(kLines * kLine) + 2 * S16::scratch_bytes(kFeatures);
  }

  // Adds a row's positions to those that are to be computed.
  void add(std::int32_t row) {
    for (std::int32_t column = (row + parity_) & 1; column < mean_.width;) {
      const std::int32_t left = (mean_.width - column + 1) / 2, room = kParameterPositions - count_;
      const std::int32_t count = left < room ? left : room;
      gather(row, column, count);
      column += 2 * count;
      if (count_ == kParameterPositions) compute();
    }
  }

  // Means and scale indices of all positions that were added.
  void compute() {
    if (count_ == 0) return;
    const std::int32_t blocks = blocks_of(count_);
    const PackedConv* layers[2] = {&first_layer_, &parameters_.entropy_parameters[1]};
    for (const PackedConv* layer : layers) {
      const std::uint8_t* tap = features_.at(0);
      for (std::int32_t b = 0; b < layer->blocks; ++b) {
        features_.span<kParameterChannels>(&tap, *layer, b, 0, blocks, sums_);
        for (std::int32_t k = 0; k < blocks; ++k) {
          hidden_.requantise<true, kParameterChannels>(sums_ + k * kBlock, *layer, b,
                                                       k * kBlockPixels * kParameterChannels + kChannels * b);
        }
      }
      std::swap(features_, hidden_);
    }
    // The last layer's outputs are 32 means and 32 numbers v.
    const PackedConv& last = parameters_.entropy_parameters[2];
    const std::uint8_t* tap = features_.at(0);
    for (std::int32_t b = 0; b < 2; ++b) {
      features_.span<kParameterChannels>(&tap, last, b, 0, blocks, sums_);
      for (std::int32_t k = 0; k < count_; ++k) {
        const std::int32_t p = k % kBlockPixels;
        if (p == 0) requantise_block<kChannels, false, std::int16_t>(sums_ + k * kChannels, last, b, 0, block_);
        if (b == 0) {
          std::memcpy(static_cast<std::int16_t*>(mean_.data) + places_[k], block_ + p * kChannels,
                      kChannels * sizeof(std::int16_t));
        } else {
          scale_indices(block_ + p * kChannels, parameters_, static_cast<std::uint8_t*>(index_.data) + places_[k]);
        }
      }
    }
    count_ = 0;
  }

 private:
  // The context's taps are in so many lines, here those of its columns that it sees, side by side: two or three taps.
  static constexpr int kLines = 5;
  static constexpr std::int32_t kLine = (kParameterPositions + kBlockPixels + 3) * kChannels;
  static constexpr std::int32_t kFeatures = (kParameterPositions + kBlockPixels) * kParameterChannels;

  static std::int32_t blocks_of(std::int32_t positions) { return (positions + kBlockPixels - 1) / kBlockPixels; }

  // psi and context of positions in a row, two columns apart.
  void gather(std::int32_t row, std::int32_t column, std::int32_t count) {
    const std::int16_t* psi = static_cast<const std::int16_t*>(psi_.data) +
                              (static_cast<std::ptrdiff_t>(row) * psi_.width + column) * kPsiChannels;
    for (std::int32_t k = 0; k < count; ++k) {
      features_.copy64(psi + static_cast<std::ptrdiff_t>(2 * k) * kPsiChannels, (count_ + k) * kParameterChannels);
      places_[count_ + k] = (static_cast<std::ptrdiff_t>(row) * mean_.width + column + 2 * k) * kChannels;
    }
    if (parity_ == 1) add_context(row, column, count);
    count_ += count;
  }

  // What it computes beyond `count` positions is written before that of those that are added next.
  void add_context(std::int32_t row, std::int32_t column, std::int32_t count) {
    const std::uint8_t* taps[kMaximumTaps];
    int tap = 0;
    for (int u = 0; u < kLines; ++u) {
      // Taps (u, v) have u + v odd.
      const int v = u % 2 == 0 ? 1 : 0, taps_of_line = u % 2 == 0 ? 2 : 3;
      const std::int32_t length = count + taps_of_line - 1;
      load_line(row - 2 + u, column - 2 + v, length, lines_.begin(u * kLine));
      lines_.end(u * kLine, static_cast<std::ptrdiff_t>(length) * kChannels);
      for (int k = 0; k < taps_of_line; ++k) taps[tap++] = lines_.at(u * kLine + k * kChannels);
    }
    const PackedConv& context = parameters_.context;
    const std::int32_t blocks = blocks_of(count);
    for (std::int32_t b = 0; b < context.blocks; ++b) {
      lines_.span<kChannels>(taps, context, b, 0, blocks, sums_);
      for (std::int32_t k = 0; k < blocks; ++k) {
        const std::int32_t position = count_ + k * kBlockPixels;
        features_.requantise<false, kParameterChannels>(sums_ + k * kBlock, context, b,
                                                        position * kParameterChannels + kPsiChannels + kChannels * b);
      }
    }
  }

  // Decoded latents of every other column from `column` on: zeros where it lies outside.
  void load_line(std::int32_t row, std::int32_t column, std::int32_t count, std::int16_t* to) const {
    const std::int16_t* from =
        static_cast<const std::int16_t*>(decoded_.data) + static_cast<std::ptrdiff_t>(row) * decoded_.width * kChannels;
    for (std::int32_t k = 0; k < count; ++k, column += 2, to += kChannels) {
      if (row >= 0 && row < decoded_.height && column >= 0 && column < decoded_.width) {
        std::memcpy(to, from + static_cast<std::ptrdiff_t>(column) * kChannels, kChannels * sizeof(std::int16_t));
      } else {
        fill(to, kChannels, 0);
      }
    }
  }

  const PackedParameters& parameters_;
  const Plane &psi_, &decoded_, &mean_, &index_;
  const std::int32_t parity_;
  PackedConv first_layer_;
  std::int32_t count_ = 0;                      // of positions that are to be computed
  std::ptrdiff_t places_[kParameterPositions];  // of their first channels, in `mean` and `index`

  Arena arena_;
  const S16 lines_ = S16::make(arena_, kLines* kLine);
  S16 features_ = S16::make(arena_, kFeatures), hidden_ = S16::make(arena_, kFeatures);
  const S16::Sums sums_ = arena_.take_sums<S16::Sums>(kLargestSpan * kBlock);
  std::int16_t* const block_ = arena_.take<std::int16_t>(kBlock);
};

inline void parameters_rows(const PackedParameters& parameters, const Plane& psi, const Plane& decoded,
                            const Plane& mean, const Plane& index, std::int32_t row_begin, std::int32_t row_end,
                            std::int32_t parity, void* scratch) {
  [[maybe_unused]] const MatrixTiles tiles;
  ParametersOfStage stage(parameters, psi, decoded, mean, index, parity, scratch);
  for (std::int32_t row = row_begin; row < row_end; ++row) stage.add(row);
  stage.compute();
}

}  // namespace treenet::cpu::TREENET_ISA

// The hyper transforms (SPEC §5), layer by layer, and the gain (SPEC §4, §6): all on s16.
#pragma once

#include <cassert>

#include "cpu/input_lines.h"
#include "cpu/winograd_2x2.h"

namespace treenet::cpu::TREENET_ISA {

inline constexpr std::int32_t kHyperTileColumns = kLargestSpan * kBlockPixels;  // of a 3x3 convolution's output
inline constexpr std::int32_t kMaxHyperChannels = 64;                           // of its input
inline constexpr int kHyperLines = 4;                                           // of its input that are there at once
inline constexpr int kWideChannels = 48;                                        // of the later layers of the synthesis

// A layer's rows, of tiles of columns, whose input is in `Lines`. Those of stride 1 are computed in pairs by Winograd's
// algorithm, where an instruction set has it and their input fits it, or else one by one.
template <class Lines>
class HyperLayer {
 public:
  HyperLayer(const Packed3x3& conv, const Plane& in, const Plane& out, std::int32_t stride, bool leaky, bool shuffle,
             void* scratch)
      : conv_(conv),
        in_(in),
        out_(out),
        stride_(stride),
        leaky_(leaky),
        shuffle_(shuffle),
        arena_{static_cast<std::uint8_t*>(scratch)},
        line_length_(static_cast<std::ptrdiff_t>(stride * (kHyperTileColumns + kBlockPixels) + 3) * in.channels),
        lines_(Lines::make(arena_, kHyperLines * line_length_)) {
    if constexpr (kUsesWinograd) {
      points_ = arena_.take<std::int16_t>(kTileBlocks * kPoints * kTiles * in.channels);
      winograd_ = Winograd::make(arena_);
    }
  }

  // What it takes of the arena, beside a few blocks.
  static constexpr std::size_t scratch_bytes() {
    const std::size_t lines =
        Lines::scratch_bytes(kHyperLines * (2 * (kHyperTileColumns + kBlockPixels) + 16) * kMaxHyperChannels);
    if (!kUsesWinograd) return lines;
    return lines + kTileBlocks * kPoints * kTiles * kMaxHyperChannels * sizeof(std::int16_t) +
           (Winograd::kSums * kTileBlock + 2 * kPairSums) * sizeof(std::int32_t);
  }

  // Rows [begin, end) of the convolution's output.
  void rows(std::int32_t begin, std::int32_t end) {
    const std::int32_t width = (in_.width + stride_ - 1) / stride_;
    for (column_ = 0; column_ < width; column_ += kHyperTileColumns) {
      columns_ = width - column_ < kHyperTileColumns ? width - column_ : kHyperTileColumns;
      next_line_ = stride_ * begin - 1;
      for (std::int32_t row = begin; row < end; ++row) {
        if constexpr (kUsesWinograd) {
          if (stride_ == 1 && conv_.winograd.weights != nullptr) {
            load_lines(row + 2);
            if (fits(row)) {
              pair(row, end - row);
              ++row;
              continue;
            }
          }
        }
        load_lines(stride_ * row + 1);
        directly(row);
      }
    }
  }

 private:
  using Winograd = Winograd2x2<std::int32_t, kChannels>;
  static constexpr int kPoints = Winograd::kSide * Winograd::kSide;
  static constexpr std::int32_t kTileColumns = Winograd::kTile * kTiles;  // of a block of tiles
  static constexpr std::int32_t kTileBlocks = (kHyperTileColumns + kTileColumns - 1) / kTileColumns;
  // Accumulators of a row, in whole blocks of tiles and of pixels.
  static constexpr std::int32_t kPairSums = kUsesWinograd ? kTileBlocks * kTileColumns * kChannels : 0;
  static_assert(!kUsesWinograd || kPairSums >= kHyperTileColumns * kChannels);

  // Where line `row` of the input begins, from column stride * column_ - 1 on.
  std::ptrdiff_t line(std::int32_t row) const { return (row & (kHyperLines - 1)) * line_length_; }

  void load_lines(std::int32_t last) {
    const std::int32_t length = stride_ * (columns_ - 1) + 3;
    for (; next_line_ <= last; ++next_line_) {
      const std::ptrdiff_t to = line(next_line_);
      lines_.load(in_, next_line_, stride_ * column_ - 1, length, to);
      if constexpr (kUsesWinograd) {
        large_[next_line_ & (kHyperLines - 1)] =
            !fit_winograd_2x2(lines_.begin(to), static_cast<std::ptrdiff_t>(length) * in_.channels);
      }
    }
  }

  // Whether Winograd's algorithm can compute rows `row` and `row` + 1, whose lines are there.
  bool fits(std::int32_t row) const {
    bool fits = true;
    for (int u = -1; u <= 2; ++u) fits &= !large_[(row + u) & (kHyperLines - 1)];
    return fits;
  }

  // Row `row` of this tile.
  void directly(std::int32_t row) {
    const std::uint8_t* taps[9];
    for (int u = 0; u < 3; ++u) {
      for (int v = 0; v < 3; ++v) taps[3 * u + v] = lines_.at(line(stride_ * row - 1 + u) + v * in_.channels);
    }
    const std::ptrdiff_t step = static_cast<std::ptrdiff_t>(stride_) * in_.channels;
    const std::int32_t blocks = span_blocks<kLargestSpan>(columns_);
    for (std::int32_t b = 0; b < conv_.direct.blocks; ++b) {
      lines_.template span<0>(taps, conv_.direct, b, step, blocks, sums_);
      store(sums_, b, row);
    }
  }

  // The first `count` of rows `row` and `row` + 1 of this tile.
  void pair(std::int32_t row, std::int32_t count) {
    if (in_.channels == kChannels) return pair_of<kChannels>(row, count);
    assert(in_.channels == kWideChannels);
    pair_of<kWideChannels>(row, count);
  }
  template <int kInputs>
  void pair_of(std::int32_t row, std::int32_t count) {
    constexpr int kPoint = kTiles * kInputs;
    const std::int32_t tile_blocks = (columns_ + kTileColumns - 1) / kTileColumns;
    for (std::int32_t k = 0; k < tile_blocks; ++k) {
      const std::int16_t* from[Winograd::kSide];
      for (int u = 0; u < Winograd::kSide; ++u) {
        from[u] = lines_.begin(line(row - 1 + u)) + static_cast<std::ptrdiff_t>(k) * kTileColumns * kInputs;
      }
      Winograd::template transform<kInputs>(from, points_ + k * kPoints * kPoint);
    }
    for (std::int32_t b = 0; b < conv_.direct.blocks; ++b) {
      for (std::int32_t k = 0; k < tile_blocks; ++k) {
        const auto multiply = [&](int of_points, std::int32_t* results, auto&& beside) __attribute__((always_inline)) {
          for (int v = 0; v < Winograd::kSide; ++v) {
            const int point = of_points * Winograd::kSide + v;
            conv_points<Winograd::kRegisters, Winograd::kPieces, kInputs>(
                points_ + (k * kPoints + point) * kPoint, conv_.winograd, kPoints * b + point, results + v * kTileBlock,
                [&](int, int unit, auto piece) __attribute__((always_inline)) { beside(v, unit, piece); }, 1);
          }
        };
        typename Winograd::Target to{};
        to.bias = conv_.direct.bias + kChannels * b;
        for (int i = 0; i < Winograd::kTile; ++i) to.rows[i] = pair_sums_[i] + k * kTileColumns * kChannels;
        winograd_.outputs(multiply, to);
      }
      winograd_.finish();
      for (int i = 0; i < Winograd::kTile && i < count; ++i) store(pair_sums_[i], b, row + i);
    }
  }

  // Outputs [32 b, 32 b + 32) of row `row`, from their accumulators.
  template <class Sums>
  void store(const Sums& sums, std::int32_t b, std::int32_t row) const {
    const PackedConv& conv = conv_.direct;
    for (std::int32_t i = 0; i < columns_; i += kBlockPixels) {
      const std::int32_t count = columns_ - i < kBlockPixels ? columns_ - i : kBlockPixels;
      alignas(64) std::int16_t block[kBlock];
      if (leaky_) {
        requantise_block<32, true, std::int16_t>(sums + i * kChannels, conv, b, 0, block);
      } else {
        requantise_block<32, false, std::int16_t>(sums + i * kChannels, conv, b, 0, block);
      }
      // In a shuffle, output o is channel o mod n of (dy, dx) = o / n; 16 divides every n here, so halves of a block
      // stay together.
      for (int half = 0; half < 2; ++half) {
        const std::int32_t output = 32 * b + 16 * half;
        if (output >= conv.outputs) break;
        const std::int32_t quarter = shuffle_ ? output / out_.channels : 0;
        const std::int32_t channel = output - quarter * out_.channels;
        const std::int32_t scale = shuffle_ ? 2 : 1;
        std::int16_t* to = static_cast<std::int16_t*>(out_.data) +
                           (static_cast<std::ptrdiff_t>(scale * row + (quarter >> 1)) * out_.width +
                            scale * (column_ + i) + (quarter & 1)) *
                               out_.channels +
                           channel;
        for (std::int32_t p = 0; p < count; ++p) {
          std::memcpy(to + static_cast<std::ptrdiff_t>(p) * scale * out_.channels, block + 32 * p + 16 * half,
                      16 * sizeof(std::int16_t));
        }
      }
    }
  }

  const Packed3x3& conv_;
  const Plane &in_, &out_;
  const std::int32_t stride_;
  const bool leaky_, shuffle_;
  std::int32_t column_, columns_;  // of the tile
  std::int32_t next_line_;

  Arena arena_;
  const std::ptrdiff_t line_length_;
  const Lines lines_;
  bool large_[kHyperLines] = {};
  const typename Lines::Sums sums_ = arena_.take_sums<typename Lines::Sums>(kLargestSpan * kBlock);
  // Winograd's: the points of a tile's blocks, and two rows of accumulators.
  std::int16_t* points_ = nullptr;
  std::int32_t* const pair_sums_[2] = {arena_.take<std::int32_t>(kPairSums), arena_.take<std::int32_t>(kPairSums)};
  Winograd winograd_;
};

inline void conv3x3_s16(const Packed3x3& conv, const Plane& in, const Plane& out, std::int32_t stride, bool leaky,
                        bool shuffle, std::int32_t row_begin, std::int32_t row_end, void* scratch) {
  [[maybe_unused]] const MatrixTiles tiles;
  HyperLayer<S16>(conv, in, out, stride, leaky, shuffle, scratch).rows(row_begin, row_end);
}

inline void gain_s16(const std::int16_t* in, const float* gain, std::int16_t* out, std::int64_t begin,
                     std::int64_t end) {
  for (std::int64_t i = begin; i < end; ++i) gain_pixel(in + i * kChannels, gain, out + i * kChannels);
}

}  // namespace treenet::cpu::TREENET_ISA

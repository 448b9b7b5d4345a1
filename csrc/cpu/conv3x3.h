// The 3x3 convolutions of stride 1 in residual blocks, row by row: directly, or by Winograd's algorithm, which computes
// two rows of input positions at a time and keeps them.
//
// kScale is 1 for a convolution to 32 channels, and 2 for a subpixel convolution: an input position then has 2 x 2
// outputs of 32 channels. Rows and columns are those of the output.
#pragma once

#include "cpu/winograd.h"

namespace treenet::cpu::TREENET_ISA {

// The last lines of a convolution's input, and which of them have numbers that Winograd's algorithm can not take.
template <class Element, int kSlots>
struct InputLines {
  LineRing<Element, kSlots> ring;
  bool large[kSlots];

  static InputLines make(Arena& arena, std::ptrdiff_t elements) {
    return {LineRing<Element, kSlots>::make(arena, elements), {}};
  }
  Element* at(std::int32_t row) const { return ring.at(row); }
  bool& is_large(std::int32_t row) { return large[row & (kSlots - 1)]; }
};

template <class Element, int kScale>
class Conv3x3 {
 public:
  // An element of 8 bits is multiplied faster as it is.
  static constexpr bool kInPairs = kWinograd && sizeof(Element) == 2;
  static constexpr int kOutputs = kScale == 2 ? 64 : 32;  // of a register tile
  // The first and the last input line that must be known to compute input row `row`.
  static std::int32_t first_line(std::int32_t row) { return (kInPairs ? row & ~1 : row) - 1; }
  static std::int32_t last_line(std::int32_t row) { return (kInPairs ? row | 1 : row) + 1; }

  // For `columns` columns of the output at most, a multiple of kScale.
  static Conv3x3 make(Arena& arena, std::int32_t columns) {
    Conv3x3 conv;
    conv.accumulators_ = arena.take<std::int32_t>(kSpanBlocks * kBlock);
    if constexpr (kInPairs) {
      conv.length_ = padded(columns) * kChannels;
      conv.pair_rows_ = arena.take<std::int32_t>(2 * kScale * conv.length_);
      conv.points_ = arena.take<std::int16_t>(kPoints * kBlock);
      conv.output_ = WinogradOutput::make(arena);
    }
    return conv;
  }
  // Columns in whole tiles of Winograd's algorithm.
  static constexpr std::ptrdiff_t padded(std::int32_t columns) {
    constexpr std::int32_t kSpan = 2 * kTiles * kScale;
    return (columns + kSpan - 1) / kSpan * kSpan;
  }

  // Accumulators of output row `row`, `blocks` blocks from column `begin` on, of `columns` columns. The input's column
  // that the first output column is made from, or its left neighbour rather, is at `offset` in its lines.
  template <int kSlots>
  const std::int32_t* span(const Packed3x3& conv, InputLines<Element, kSlots>& lines, std::ptrdiff_t offset,
                           std::int32_t row, std::int32_t begin, std::int32_t blocks, std::int32_t columns) {
    const std::int32_t y = row / kScale, part = row % kScale;
    if constexpr (kInPairs) {
      if (y / 2 != pair_) {
        pair_ = y / 2;
        kept_ = true;
        for (std::int32_t line = 2 * pair_ - 1; line <= 2 * pair_ + 2; ++line) kept_ &= !lines.is_large(line);
        if (kept_) compute_pair(conv, lines, offset, columns);
      }
      if (kept_) return kept_row(y & 1, part) + static_cast<std::ptrdiff_t>(begin) * kChannels;
    }
    compute(conv, lines, offset, y, part, begin, blocks, accumulators_);
    return accumulators_;
  }

 private:
  // Directly, output row `part` of input row y.
  template <int kSlots>
  static void compute(const Packed3x3& conv, const InputLines<Element, kSlots>& lines, std::ptrdiff_t offset,
                      std::int32_t y, std::int32_t part, std::int32_t begin, std::int32_t blocks, std::int32_t* to) {
    const std::uint8_t* taps[9];
    for (int u = 0; u < 3; ++u) {
      const Element* line = lines.at(y - 1 + u) + offset + static_cast<std::ptrdiff_t>(begin / kScale) * kChannels;
      for (int v = 0; v < 3; ++v) taps[3 * u + v] = bytes(line + v * kChannels);
    }
    conv_span<Element, kOutputs, kChannels * sizeof(Element)>(taps, conv.direct, part, 0, blocks, to);
  }

  std::int32_t* kept_row(std::int32_t y, std::int32_t part) const { return pair_rows_ + (kScale * y + part) * length_; }

  template <int kSlots>
  void compute_pair(const Packed3x3& conv, const InputLines<Element, kSlots>& lines, std::ptrdiff_t offset,
                    std::int32_t columns) {
    for (std::int32_t column = 0; column < columns; column += 2 * kTiles * kScale) {
      if (kScale == 2 && columns - column <= kBlockPixels) {  // one block is less work than a block of tiles
        for (int row = 0; row < 2 * kScale; ++row) {
          const int y = row / kScale, part = row % kScale;
          compute(conv, lines, offset, 2 * pair_ + y, part, column, 1, kept_row(y, part) + column * kChannels);
        }
        break;
      }
      const std::int16_t* from[4];
      for (int u = 0; u < 4; ++u) from[u] = lines.at(2 * pair_ - 1 + u) + offset + column / kScale * kChannels;
      winograd_input(from, points_);
      for (int b = 0; b < kScale * kScale; ++b) {
        const auto multiply = [&](int row, int rows) {
          for (int p = 4 * row; p < 4 * (row + rows); ++p) {
            const std::uint8_t* tap = bytes(points_ + p * kBlock);
            conv_block<std::int16_t, 32, kChannels * sizeof(std::int16_t)>(&tap, conv.winograd, kPoints * b + p, 0,
                                                                           output_.results() + (p - 4 * row) * kBlock);
          }
        };
        const std::int32_t* bias = conv.direct.bias + 32 * b;
        std::int32_t* above = kept_row(0, b / kScale) + (column + b % kScale) * kChannels;
        multiply(1, 2);
        output_.add_rows_1_2();
        multiply(0, 1);
        output_.add_row_0(bias, above, kScale * kChannels);
        multiply(3, 1);
        output_.add_row_3(bias, above + kScale * length_, kScale * kChannels);
      }
    }
  }

  std::int32_t* accumulators_;  // of a span, directly
  // Winograd's algorithm's: the pair of rows of input positions whose outputs are kept, if they are.
  std::int32_t pair_ = -1;
  bool kept_ = false;
  std::ptrdiff_t length_ = 0;
  std::int32_t* pair_rows_ = nullptr;
  std::int16_t* points_ = nullptr;
  WinogradOutput output_;
};

}  // namespace treenet::cpu::TREENET_ISA

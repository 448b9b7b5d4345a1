// The 3x3 convolutions of stride 1 in residual blocks, row by row: directly, which may be by matrix tiles, or by one of
// Winograd's algorithms, which computes two or four rows of input positions at a time.
//
// kScale is 1 for a convolution to 32 channels, and 2 for a subpixel convolution: an input position then has 2 x 2
// outputs of 32 channels. Rows and columns are those of the output.
#pragma once

#include <type_traits>

#include "cpu/input_lines.h"
#include "cpu/winograd_2x2.h"
#include "cpu/winograd_4x4.h"

namespace treenet::cpu::TREENET_ISA {

// An `Activation` is u8 or s16, in lines of `Element`. `Out` is what Winograd's algorithms make: accumulators, which
// are kept and handed out by span(), or what requantise_leaky makes of them, u8 in lines of that type, by
// requantised_rows().
template <class Activation, class Element, int kScale, class Out = std::int32_t>
class Conv3x3 {
 public:
  // A quarter of the products for u8, also where VNNI makes each cost twice what a direct one does: with AVX-512 the
  // convolutions take a quarter less time so on Zen 4.
  using Winograd = std::conditional_t<std::is_same_v<Activation, std::uint8_t>, Winograd4x4<Out, kScale * kChannels>,
                                      Winograd2x2<Out, kScale * kChannels>>;
  static constexpr bool kByWinograd = kUsesWinograd;
  static constexpr int kRows = kByWinograd ? Winograd::kTile : 1;  // of input positions, computed together
  // Whether an input line may have numbers that the algorithm can not take.
  static constexpr bool kMayBeLarge = kByWinograd && std::is_same_v<Activation, std::int16_t>;
  template <int kSlots>
  using Input = Lines<Element, kChannels, kSlots, kMayBeLarge>;
  using Sums = std::conditional_t<kScale == 1, typename Input<4>::Sums, std::int32_t*>;
  // Whether what lies in lines beyond the columns that count has to be made an activation too: the outputs of a tile of
  // 4 x 4 are sums of points that all its inputs are in, and what is not asked for falls out of them only where none
  // wraps. Any byte is one.
  static constexpr bool kReadsBeyond =
      kByWinograd && std::is_same_v<Activation, std::uint8_t> && !std::is_same_v<Element, std::uint8_t>;
  // The first and the last input line that must be known to compute input row `row`.
  static std::int32_t first_line(std::int32_t row) { return (row & -kRows) - 1; }
  static std::int32_t last_line(std::int32_t row) { return (row | (kRows - 1)) + 1; }

  // For `columns` columns of the output at most, a multiple of kScale.
  static Conv3x3 make(Arena& arena, std::int32_t columns) {
    Conv3x3 conv;
    for (Sums& sums : conv.sums_) sums = arena.take_sums<Sums>(kLongestSpan * kBlock);
    if constexpr (kByWinograd) {
      if constexpr (kKeeps) {
        conv.length_ = padded(columns) * kChannels;
        conv.rows_ = arena.take<std::int32_t>(kRows * kScale * conv.length_);
      }
      conv.points_ = arena.take<std::int16_t>(kPoints * kTileBlock);
      conv.winograd_ = Winograd::make(arena);
    }
    return conv;
  }
  // What that takes of the arena.
  static constexpr std::size_t scratch_bytes(std::int32_t columns) {
    std::size_t bytes = 2 * 2 * kLongestSpan * kBlock * sizeof(std::int32_t);  // of two spans, which may be split
    if (kByWinograd) {
      bytes += kPoints * kTileBlock * sizeof(std::int16_t) + Winograd::kSums * kTileBlock * sizeof(std::int32_t);
    }
    if (kByWinograd && kKeeps) bytes += kRows * kScale * padded(columns) * kChannels * sizeof(std::int32_t);
    return bytes;
  }
  // Columns in whole blocks of tiles.
  static constexpr std::ptrdiff_t padded(std::int32_t columns) {
    return (columns + kTileColumns - 1) / kTileColumns * kTileColumns;
  }

  // Accumulators of output row `row`, `blocks` blocks from column `begin` on, of `columns` columns. The input's column
  // that the first output column is made from, or its left neighbour rather, is pixel `offset` of its lines. They stay
  // until the next span but one, or the next rows.
  template <class Lines>
  Sums span(const Packed3x3& conv, const Lines& lines, std::int32_t offset, std::int32_t row, std::int32_t begin,
            std::int32_t blocks, std::int32_t columns) {
    const std::int32_t y = row / kScale, part = row % kScale;
    if constexpr (kByWinograd && kKeeps) {
      if (std::int32_t* kept = whole_row(conv, lines, offset, row, columns)) {
        return kept + static_cast<std::ptrdiff_t>(begin) * kChannels;
      }
    }
    turn_ ^= 1;
    compute(conv, lines, offset, y, part, begin, blocks, sums_[turn_]);
    return sums_[turn_];
  }

  // All accumulators of output row `row`, in whole blocks, where they are computed by whole rows; else null. They stay
  // until the next rows.
  template <class Lines>
  std::int32_t* whole_row(const Packed3x3& conv, const Lines& lines, std::int32_t offset, std::int32_t row,
                          std::int32_t columns) {
    static_assert(kByWinograd && kKeeps);
    const auto at = [&](std::int32_t y, std::int32_t part) { return kept_row(y % kRows, part); };
    const std::int32_t y = row / kScale;
    return has_rows(conv, lines, offset, y, columns, 0, at) ? at(y, row % kScale) : nullptr;
  }

  // Whether output row `row` is computed by Winograd's algorithm, and then it has been: all rows that are computed
  // together are requantised to the lines at(r) when the first of them is asked for. So these must be there for all of
  // them, also below the image, where what is written means nothing, and be left alone until all have been asked for.
  // Behind the columns they are written to up to whole blocks.
  template <class Lines, class At>
  bool requantised_rows(const Packed3x3& conv, const Lines& lines, std::int32_t offset, std::int32_t row,
                        std::int32_t columns, std::int32_t zero_point, const At& at) {
    static_assert(!kKeeps);
    if constexpr (kByWinograd) {
      return has_rows(conv, lines, offset, row / kScale, columns, zero_point,
                      [&](int y, int part) { return at(kScale * y + part); });
    }
    return false;
  }

 private:
  static constexpr bool kKeeps = std::is_same_v<Out, std::int32_t>;
  static constexpr int kOutputs = kScale == 2 ? 64 : 32;  // of a register tile
  static constexpr int kPoints = Winograd::kSide * Winograd::kSide;
  static constexpr std::int32_t kTileColumns = Winograd::kTile * kTiles * kScale;  // of a block of tiles
  // How many times as many products a column takes directly, in the time of one: what is left at the end of a line is
  // computed so where that is no more work. Bytes are multiplied twice as many at a time.
  static constexpr std::int32_t kDirectFactor = Winograd::kTile / (sizeof(Element) == 1 ? 2 : 1);

  // Directly, output row `part` of input row y.
  template <class Lines>
  static void compute(const Packed3x3& conv, const Lines& lines, std::int32_t offset, std::int32_t y, std::int32_t part,
                      std::int32_t begin, std::int32_t blocks, const Sums& to) {
    decltype(lines.at(0, 0)) taps[9];
    for (int t = 0; t < 9; ++t) taps[t] = lines.at(y - 1 + t / 3, offset + begin / kScale + t % 3);
    lines.template span<kOutputs, 1>(taps, conv.direct, part, blocks, to);
  }

  std::int32_t* kept_row(std::int32_t y, std::int32_t part) const { return rows_ + (kScale * y + part) * length_; }

  // Whether the outputs of input row y are, or have become now, those of Winograd's algorithm at at(y, part).
  template <class Lines, class At>
  bool has_rows(const Packed3x3& conv, const Lines& lines, std::int32_t offset, std::int32_t y, std::int32_t columns,
                std::int32_t zero_point, const At& at) {
    if (y / kRows != together_) {
      together_ = y / kRows;
      have_ = true;
      if constexpr (kMayBeLarge) {
        for (std::int32_t line = first_line(y); line <= last_line(y); ++line) have_ &= !lines.is_large(line);
      }
      if (have_) compute_rows(conv, lines, offset, columns, zero_point, at);
    }
    return have_;
  }

  template <class Lines, class At>
  void compute_rows(const Packed3x3& conv, const Lines& lines, std::int32_t offset, std::int32_t columns,
                    std::int32_t zero_point, const At& at) {
    const std::int32_t first = kRows * together_;
    for (std::int32_t column = 0; column < columns; column += kTileColumns) {
      if (const std::int32_t left = columns - column; kDirectFactor * left <= kTileColumns) {
        for (int row = 0; row < kRows * kScale; ++row) {
          const int y = first + row / kScale, part = row % kScale;
          const std::int32_t blocks = (left + kBlockPixels - 1) / kBlockPixels;
          Out* const to = at(y, part) + static_cast<std::ptrdiff_t>(column) * kChannels;
          if constexpr (kKeeps) {
            compute(conv, lines, offset, y, part, column, blocks, to);
          } else {
            compute(conv, lines, offset, y, part, column, blocks, sums_[0]);
            for (std::int32_t k = 0; k < blocks; ++k) {
              requantise_block<kOutputs, true, std::uint8_t>(sums_[0] + k * kBlock, conv.direct, part, zero_point,
                                                             to + k * kBlock);
            }
          }
        }
        break;
      }
      const Element* from[Winograd::kSide];
      for (int u = 0; u < Winograd::kSide; ++u) {
        from[u] = lines.at(first - 1 + u, offset + column / kScale);
      }
      Winograd::transform(from, points_);
      for (int b = 0; b < kScale * kScale; ++b) {
        const auto multiply = [&](int row, std::int32_t* results, auto&& beside) __attribute__((always_inline)) {
          for (int k = 0; k < Winograd::kSide; ++k) {
            const int point = row * Winograd::kSide + k;
            conv_points<Winograd::kRegisters, Winograd::kPieces>(
                points_ + point * kTileBlock, conv.winograd, kPoints * b + point, results + k * kTileBlock,
                [&](int, int unit, auto piece) __attribute__((always_inline)) { beside(k, unit, piece); }, 1);
          }
        };
        typename Winograd::Target to;
        to.bias = conv.direct.bias + 32 * b;
        to.multiplier = conv.direct.multiplier + 32 * b;
        to.negative = conv.direct.multiplier_negative + 32 * b;
        to.zero_point = zero_point;
        for (int y = 0; y < kRows; ++y) {
          to.rows[y] = at(first + y, b / kScale) + static_cast<std::ptrdiff_t>(column + b % kScale) * kChannels;
        }
        winograd_.outputs(multiply, to);
      }
    }
    winograd_.finish();
  }

  Sums sums_[2];  // of a span and the one before, directly
  int turn_ = 0;
  // Winograd's: the last rows of input positions asked for, in units of kRows, and whether they were computed so.
  std::int32_t together_ = -1;
  bool have_ = false;
  std::ptrdiff_t length_ = 0;
  std::int32_t* rows_ = nullptr;
  std::int16_t* points_ = nullptr;
  Winograd winograd_;
};

}  // namespace treenet::cpu::TREENET_ISA

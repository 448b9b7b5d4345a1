// The residual upsampling block (SPEC §2.6) as one pass over rows, alone or with the output convolution (SPEC §6)
// behind it, so that the features of full resolution never leave the cache.
//
// conv1 and skip produce, for an input pixel and a dy, the two output pixels dx = 0, 1 with 32 channels each: 64
// numbers that lie side by side in the output line. Columns of a tile are therefore even.
#pragma once

#include <algorithm>

#include "cpu/conv3x3.h"
#include "cpu/gdn.h"
#include "cpu/output_lanes.h"
#include "cpu/output_products.h"

namespace treenet::cpu::TREENET_ISA {

// Of up to four columns beyond its own a tile computes what its neighbours do, too, and by Winograd's algorithms a
// block for them: wide tiles spare that.
inline constexpr std::int32_t kUpTileColumns = kMatrixTiles ? 384 : 768;
inline constexpr int kUpSpan = kMatrixTiles ? 4 : kLargestSpan;
using OutputConvolution = std::conditional_t<kUsesWinograd, OutputByLanes, OutputByProducts<kUpSpan>>;

// `Stored` is the input plane's type, `Element` its type in a line, `Out` the output's type.
template <class Stored, class Element, class Load, class Out>
class ResidualUp {
 public:
  // Output rows from `first_row` on, columns [column, column + columns).
  ResidualUp(const PackedResidualUp& block, const Plane& in, std::int32_t first_row, std::int32_t column,
             std::int32_t columns, Arena& arena)
      : block_(block), in_(in), column_(column), columns_(columns) {
    const std::int32_t width = 2 * in.width, end = column + columns;
    middle_begin_ = column == 0 ? 0 : column - 2;
    middle_columns_ = (end == width ? width : end + 2) - middle_begin_;
    input_ = Input::make(arena, input_length(middle_columns_));
    middle_ = Middle::make(arena, middle_length(columns_));
    if constexpr (Subpixel::kReadsBeyond) input_.clear_from(middle_columns_ / 2 + 2);
    if constexpr (Plain::kReadsBeyond) middle_.clear_from(columns_ + 4);
    conv1_ = Requantised::make(arena, middle_columns_);
    conv2_ = Plain::make(arena, columns_);
    skip_ = Subpixel::make(arena, columns_);
    squares_ = arena.take<std::int16_t>(longest_span(kUpSpan) * kBlock);
    norms_ = arena.take_sums<Norms>(longest_span(kUpSpan) * kBlock);
    result_ = arena.take<Out>(kBlock);
    next_middle_ = Plain::first_line(first_row);
    next_input_ = Subpixel::first_line(next_middle_ >> 1);
  }

  // What lines and convolutions take of the arena, for at most `columns` columns.
  static constexpr std::size_t scratch_bytes(std::int32_t columns) {
    const std::int32_t middle_columns = columns + 4;
    return Input::scratch_bytes(input_length(middle_columns)) + Middle::scratch_bytes(middle_length(columns)) +
           Requantised::scratch_bytes(middle_columns) + Subpixel::scratch_bytes(columns) +
           Plain::scratch_bytes(columns);
  }

  // Output row `row`, to dst[columns][32], added to `sums` where not null. Rows must be asked for in ascending order.
  void row(std::int32_t row, Out* dst, std::int64_t* sums) {
    while (next_middle_ <= Plain::last_line(row)) compute_middle(next_middle_++);
    const std::int32_t input_offset = (column_ - middle_begin_) / 2;
    if constexpr (kGdnPart != 0 && kUsesWinograd) {
      const std::int32_t* values = conv2_.whole_row(block_.conv2, middle_, 1, row, columns_);
      const std::int32_t* added = skip_.whole_row(block_.skip, input_, input_offset, row, columns_);
      if (values != nullptr && added != nullptr) {
        gdn_add_skip_row<true, 64>(block_.igdn, values, added, block_.skip.direct.multiplier + 64 * (row & 1),
                                   block_.output_zero_point, columns_, dst);
        if (sums != nullptr) add_to_sums(dst, columns_, sums);
        return;
      }
    }
    for (std::int32_t begin = 0, blocks; begin < columns_; begin += blocks * kBlockPixels) {
      blocks = span_blocks<kUpSpan>(columns_ - begin);
      const std::int32_t* values = conv2_.span(block_.conv2, middle_, 1, row, begin, blocks, columns_);
      gdn_norms(block_.igdn, values, blocks, squares_, norms_);
      const std::int32_t* added = skip_.span(block_.skip, input_, input_offset, row, begin, blocks, columns_);
      for (int k = 0; k < blocks; ++k) {
        const std::int32_t i = begin + k * kBlockPixels;
        const std::int32_t count = columns_ - i < kBlockPixels ? columns_ - i : kBlockPixels;
        Out* to = dst + static_cast<std::ptrdiff_t>(i) * kChannels;
        Out* result = count == kBlockPixels ? to : result_;
        gdn_add_skip_block<true, 64>(values + k * kBlock, block_.igdn.numerator, norms_ + k * kBlock,
                                     added + k * kBlock, block_.skip.direct.multiplier + 64 * (row & 1),
                                     block_.output_zero_point, result);
        if (result != to) std::memcpy(to, result, count * kChannels * sizeof(Out));
      }
    }
    if (sums != nullptr) add_to_sums(dst, columns_, sums);
  }

 private:
  using Subpixel = Conv3x3<Stored, Element, 2>;
  using Requantised = Conv3x3<Stored, Element, 2, U8Line>;
  using Plain = Conv3x3<std::uint8_t, U8Line, 1>;

  // conv2 computes rows r & -kRows .. r | (kRows - 1) of the output together, from one line of t above to one below.
  // For the line below conv1 makes all lines of t from a group of positions, while the others are still needed: in all
  // at most 13, of slots whose number is a power of two.
  static constexpr int kMiddleSlots = Plain::kRows > 2 ? 16 : 4;
  static_assert(kMiddleSlots >= 2 * Subpixel::kRows + Plain::kRows + 1);
  // So conv1 may be a whole group ahead of the skip, which still needs the line above its own.
  static constexpr int kInputSlots = 4 * Subpixel::kRows;
  using Input = typename Subpixel::template Input<kInputSlots>;
  using Middle = typename Plain::template Input<kMiddleSlots>;
  static_assert(!kMatrixTiles || sizeof(U8Line) == 1);  // t is written in place, which lines in planes do not allow
  // Pixels of their lines. Matrix tiles read one behind the last tap.
  static constexpr std::int32_t input_length(std::int32_t middle_columns) {
    return Subpixel::padded(middle_columns) / 2 + 4;
  }
  static constexpr std::int32_t middle_length(std::int32_t columns) {
    // conv2 reads to the end of its blocks and one beyond; conv1 writes to the end of its own.
    const auto read = Plain::padded(columns) + 4, written = Requantised::padded(columns + 4) + 4;
    return static_cast<std::int32_t>(read > written ? read : written) + 2 * kBlockPixels;
  }

  // Line `row` of t, from column column_ - 2 on.
  void compute_middle(std::int32_t row) {
    U8Line* line = middle_.begin(row);
    const std::int32_t height = 2 * in_.height, width = 2 * in_.width;
    if (row < 0 || row >= height) {
      fill(line, static_cast<std::ptrdiff_t>(columns_ + 4) * kChannels, block_.middle_zero_point);
      return;
    }
    for (; next_input_ <= Subpixel::last_line(row >> 1); ++next_input_) {
      const std::int32_t count = middle_columns_ / 2 + 2;
      input_.template load<Stored, Load>(in_, next_input_, middle_begin_ / 2 - 1, count, block_.input_zero_point);
    }
    const auto at = [&](std::int32_t r) { return middle_.begin(r) + (middle_begin_ - (column_ - 2)) * kChannels; };
    if (!conv1_.requantised_rows(block_.conv1, input_, 0, row, middle_columns_, block_.middle_zero_point, at)) {
      for (std::int32_t begin = 0, blocks; begin < middle_columns_; begin += blocks * kBlockPixels) {
        blocks = span_blocks<kUpSpan>(middle_columns_ - begin);
        const std::int32_t* values = conv1_.span(block_.conv1, input_, 0, row, begin, blocks, middle_columns_);
        for (int k = 0; k < blocks; ++k) {
          requantise_block<64, true, std::uint8_t>(
              values + k * kBlock, block_.conv1.direct, row & 1, block_.middle_zero_point,
              at(row) + static_cast<std::ptrdiff_t>(begin + k * kBlockPixels) * kChannels);
        }
      }
    }
    if (column_ == 0) fill(line, 2 * kChannels, block_.middle_zero_point);
    if (column_ + columns_ == width) fill(line + (columns_ + 2) * kChannels, 2 * kChannels, block_.middle_zero_point);
  }

  const PackedResidualUp& block_;
  const Plane& in_;
  std::int32_t column_, columns_;
  std::int32_t middle_begin_, middle_columns_;  // of t, what the tile needs of it and lies in the image
  std::int32_t next_middle_, next_input_;
  Input input_;    // from column middle_begin_ / 2 - 1 on
  Middle middle_;  // from column column_ - 2 on
  Requantised conv1_;
  Subpixel skip_;
  Plain conv2_;
  std::int16_t* squares_;  // of a span
  Norms norms_;
  Out* result_;
};

template <class Stored, class Element, class Load, class Out>
void residual_up(const PackedResidualUp& block, const Plane& in, const Plane& out, const Tile& tile, std::int64_t* sums,
                 void* scratch) {
  std::int32_t row;
  if (!next_row(tile.rows, row)) return;
  [[maybe_unused]] const MatrixTiles tiles;
  Arena arena{static_cast<std::uint8_t*>(scratch)};
  ResidualUp<Stored, Element, Load, Out> up(block, in, row, tile.column_begin, tile.column_end - tile.column_begin,
                                            arena);
  do {
    up.row(row,
           static_cast<Out*>(out.data) + (static_cast<std::ptrdiff_t>(row) * out.width + tile.column_begin) * kChannels,
           sums);
  } while (next_row(tile.rows, row));
}

// The last node and the output convolution.
inline void residual_up_output(const PackedResidualUp& block, const PackedOutput& output, const Plane& in,
                               const OutputPixels& out, const Tile& tile, void* scratch) {
  std::int32_t row;
  if (!next_row(tile.rows, row)) return;
  const std::int32_t height = 2 * in.height, width = 2 * in.width;
  const std::int32_t begin = tile.column_begin >= 2 ? tile.column_begin - 2 : 0;
  const std::int32_t end = tile.column_end + 2 <= width ? tile.column_end + 2 : width;
  const std::int32_t columns = tile.column_end - tile.column_begin;
  const std::int32_t wanted = std::clamp(out.width - tile.column_begin, 0, columns);  // in the image before extension
  [[maybe_unused]] const MatrixTiles tiles;
  Arena arena{static_cast<std::uint8_t*>(scratch)};
  std::int32_t next = OutputConvolution::first_line(row);
  ResidualUp<std::uint8_t, U8Line, WidenU8<U8Line>, std::int16_t> up(block, in, next, begin, end - begin, arena);
  OutputConvolution convolution(arena, output, end - begin, tile.column_begin - begin, columns);
  std::uint8_t* const rgb = arena.take<std::uint8_t>(OutputConvolution::rgb_length(columns));
  do {
    for (; next <= OutputConvolution::last_line(row); ++next) {
      if (next < 0 || next >= height) {
        convolution.add_outside(next);
      } else {
        up.row(next, convolution.features(), nullptr);
        convolution.add(next);
      }
    }
    convolution.pixels(row, rgb);
    deliver_pixels(rgb, wanted, out, out.data + row * out.strides.row + tile.column_begin * out.strides.column);
  } while (next_row(tile.rows, row));
}

}  // namespace treenet::cpu::TREENET_ISA

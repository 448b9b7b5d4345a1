// The residual upsampling block (SPEC §2.6) as one pass over rows, alone or with the output convolution (SPEC §6)
// behind it, so that the features of full resolution never leave the cache.
//
// conv1 and skip produce, for an input pixel and a dy, the two output pixels dx = 0, 1 with 32 channels each: 64
// numbers that lie side by side in the output line. Columns of a tile are therefore even.
#pragma once

#include "cpu/gdn.h"
#include "cpu/lines.h"

namespace treenet::cpu::TREENET_ISA {

inline constexpr std::int32_t kUpTileColumns = 384;
inline constexpr std::int32_t kSpan = kSpanBlocks * kBlockPixels;

// `Stored` is the input plane's type, `Element` its type in a line, `Out` the output's type.
template <class Stored, class Element, class Load, class Out>
class ResidualUp {
 public:
  // Output rows from `first_row` on, columns [column, column + columns).
  ResidualUp(const PackedResidualUp& block, const Plane& in, std::int32_t first_row, std::int32_t column,
             std::int32_t columns, Arena& arena)
      : block_(block), in_(in), column_(column), columns_(columns) {
    input_ = LineRing<Element, 8>::make(arena, (columns_ / 2 + 4 + 2 * kBlockPixels) * kChannels);
    middle_ = LineRing<U8Line, 4>::make(arena, (columns_ + 4 + 2 * kBlockPixels) * kChannels);
    accumulators_ = arena.take<std::int32_t>(kSpanBlocks * kBlock);
    squares_ = arena.take<std::int16_t>(kBlock);
    for (GdnBlock& block : gdn_) block = GdnBlock::make(arena);
    result_ = arena.take<Out>(kBlock);
    next_middle_ = first_row - 1;
    next_input_ = (next_middle_ >> 1) - 1;
  }

  // Output row `row`, to dst[columns][32], added to `sums` where not null. Rows must be asked for in ascending order.
  void row(std::int32_t row, Out* dst, std::int64_t* sums) {
    while (next_middle_ <= row + 1) compute_middle(next_middle_++);
    const std::int32_t y = row >> 1, dy = row & 1;
    const std::uint8_t* taps[9];
    for (std::int32_t begin = 0; begin < columns_; begin += kSpan) {
      const std::int32_t blocks = blocks_of(columns_ - begin);
      for (int u = 0; u < 3; ++u) {
        for (int v = 0; v < 3; ++v) taps[3 * u + v] = bytes(middle_.at(row - 1 + u) + (begin + v + 1) * kChannels);
      }
      conv_span<U8Line, 32, kChannels * sizeof(U8Line)>(taps, block_.conv2, 0, 0, blocks, accumulators_);
      for (int k = 0; k < blocks; ++k) gdn_[k].prepare(block_.igdn, accumulators_ + k * kBlock, squares_);
      input_taps(y, begin / 2 + 1, taps);
      conv_span<Element, 64, kChannels * sizeof(Element)>(taps, block_.skip, dy, 0, blocks, accumulators_);
      for (int k = 0; k < blocks; ++k) {
        gdn_[k].finish<true>();
        const std::int32_t i = begin + k * kBlockPixels;
        const std::int32_t count = columns_ - i < kBlockPixels ? columns_ - i : kBlockPixels;
        add_skip_block<64>(gdn_[k].values, accumulators_ + k * kBlock, block_.skip.multiplier + 64 * dy,
                           block_.output_zero_point, result_);
        std::memcpy(dst + static_cast<std::ptrdiff_t>(i) * kChannels, result_, count * kChannels * sizeof(Out));
        if (sums != nullptr) add_to_sums(result_, count, sums);
      }
    }
  }

 private:
  // Blocks of a span that begins with `columns` output columns left.
  static std::int32_t blocks_of(std::int32_t columns) {
    return columns < kSpan ? (columns + kBlockPixels - 1) / kBlockPixels : kSpanBlocks;
  }

  // The nine taps of the block of input pixels that starts at index `i` of the input lines (its left neighbour's).
  void input_taps(std::int32_t y, std::int32_t i, const std::uint8_t** taps) const {
    for (int u = 0; u < 3; ++u) {
      for (int v = 0; v < 3; ++v) taps[3 * u + v] = bytes(input_.at(y - 1 + u) + (i + v) * kChannels);
    }
  }

  // Line `row` of t, from column column_ - 2 on.
  void compute_middle(std::int32_t row) {
    U8Line* line = middle_.at(row);
    const std::int32_t height = 2 * in_.height, width = 2 * in_.width;
    if (row < 0 || row >= height) {
      fill(line, static_cast<std::ptrdiff_t>(columns_ + 4) * kChannels, block_.middle_zero_point);
      return;
    }
    const std::int32_t y = row >> 1, dy = row & 1;
    for (; next_input_ <= y + 1; ++next_input_) {
      load_line<Stored>(in_, next_input_, column_ / 2 - 2, columns_ / 2 + 4, block_.input_zero_point, kChannels,
                        input_.at(next_input_), Load{});
    }
    for (std::int32_t begin = 0; begin < columns_ + 4; begin += kSpan) {
      const std::int32_t blocks = blocks_of(columns_ + 4 - begin);
      const std::uint8_t* taps[9];
      input_taps(y, begin / 2, taps);
      conv_span<Element, 64, kChannels * sizeof(Element)>(taps, block_.conv1, dy, 0, blocks, accumulators_);
      for (int k = 0; k < blocks; ++k) {
        requantise_block<64, true>(accumulators_ + k * kBlock, block_.conv1, dy, block_.middle_zero_point, 0, 255,
                                   line + static_cast<std::ptrdiff_t>(begin + k * kBlockPixels) * kChannels);
      }
    }
    if (column_ == 0) fill(line, 2 * kChannels, block_.middle_zero_point);
    if (column_ + columns_ == width) fill(line + (columns_ + 2) * kChannels, 2 * kChannels, block_.middle_zero_point);
  }

  const PackedResidualUp& block_;
  const Plane& in_;
  std::int32_t column_, columns_;
  std::int32_t next_middle_, next_input_;
  LineRing<Element, 8> input_;  // from column column_ / 2 - 2 on
  LineRing<U8Line, 4> middle_;  // from column column_ - 2 on
  std::int32_t* accumulators_;
  std::int16_t* squares_;
  GdnBlock gdn_[kSpanBlocks];
  Out* result_;
};

template <class Stored, class Element, class Load, class Out>
void residual_up(const PackedResidualUp& block, const Plane& in, const Plane& out, const Tile& tile, std::int64_t* sums,
                 void* scratch) {
  std::int32_t row;
  if (!next_row(tile.rows, row)) return;
  Arena arena{static_cast<std::uint8_t*>(scratch)};
  ResidualUp<Stored, Element, Load, Out> up(block, in, row, tile.column_begin, tile.column_end - tile.column_begin,
                                            arena);
  do {
    up.row(row,
           static_cast<Out*>(out.data) + (static_cast<std::ptrdiff_t>(row) * out.width + tile.column_begin) * kChannels,
           sums);
  } while (next_row(tile.rows, row));
}

// The last node and the output convolution. Every feature pixel is multiplied once with all nine taps (27 products); a
// pixel is the sum of the nine neighbours' products for it.
inline void residual_up_output(const PackedResidualUp& block, const PackedOutput& output, const Plane& in,
                               const Plane& out, const Tile& tile, void* scratch) {
  std::int32_t row;
  if (!next_row(tile.rows, row)) return;
  const std::int32_t height = 2 * in.height, width = 2 * in.width;
  const std::int32_t begin = tile.column_begin >= 2 ? tile.column_begin - 2 : 0;
  const std::int32_t end = tile.column_end + 2 <= width ? tile.column_end + 2 : width;
  const std::int32_t columns = end - begin;
  Arena arena{static_cast<std::uint8_t*>(scratch)};
  ResidualUp<std::uint8_t, U8Line, WidenU8<U8Line>, std::int16_t> up(block, in, row - 1, begin, columns, arena);
  std::int16_t* features = arena.take<std::int16_t>((columns + kBlockPixels) * kChannels);
  // Lines of products from column begin - 1 on; nothing lies outside the image, so nothing is added there.
  auto products = LineRing<std::int32_t, 4>::make(arena, (columns + 2 + kBlockPixels) * kChannels);

  std::int32_t next = row - 1;
  do {
    for (; next <= row + 1; ++next) {
      std::int32_t* line = products.at(next);
      if (next < 0 || next >= height) {
        fill(line, static_cast<std::ptrdiff_t>(columns + 2) * kChannels, 0);
        continue;
      }
      up.row(next, features, nullptr);
      for (std::int32_t i = 0; i < columns; i += kBlockPixels) {
        const std::uint8_t* tap = bytes(features + static_cast<std::ptrdiff_t>(i) * kChannels);
        conv_block<std::int16_t, 32, kChannels * sizeof(std::int16_t)>(
            &tap, output.products, 0, 0, line + static_cast<std::ptrdiff_t>(i + 1) * kChannels);
      }
      fill(line, kChannels, 0);
      fill(line + static_cast<std::ptrdiff_t>(columns + 1) * kChannels, kChannels, 0);
    }
    const std::int32_t last_column = tile.column_end < out.width ? tile.column_end : out.width;
    const std::ptrdiff_t offset = static_cast<std::ptrdiff_t>(tile.column_begin - begin) * kChannels;
    output_pixels(
        products.at(row - 1) + offset, products.at(row) + offset, products.at(row + 1) + offset, output,
        last_column - tile.column_begin,
        static_cast<std::uint8_t*>(out.data) + (static_cast<std::ptrdiff_t>(row) * out.width + tile.column_begin) * 3);
  } while (next_row(tile.rows, row));
}

}  // namespace treenet::cpu::TREENET_ISA

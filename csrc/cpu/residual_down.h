// The residual downsampling block (SPEC §2.5) as one pass over rows: input lines, the intermediate t, and the output
// follow each other through small rings that stay in the cache.
#pragma once

#include "cpu/conv3x3.h"
#include "cpu/gdn.h"

namespace treenet::cpu::TREENET_ISA {

inline constexpr std::int32_t kDownTileColumns = 192;

// `Stored` is the input plane's type, `Element` its type in a line, `kLineChannels` a line's channels a pixel.
template <class Stored, class Element, int kLineChannels, class Load>
class ResidualDown {
 public:
  // Output rows from `first_row` on, in the tile's columns.
  ResidualDown(const PackedResidualDown& block, const Plane& in, const Tile& tile, std::int32_t first_row,
               void* scratch)
      : block_(block), in_(in), column_(tile.column_begin), columns_(tile.column_end - tile.column_begin) {
    Arena arena{static_cast<std::uint8_t*>(scratch)};
    input_ = LineRing<Element, 8>::make(arena, (2 * (columns_ + 2 * kBlockPixels) + 3) * kLineChannels);
    middle_ = InputLines<std::int16_t, 4>::make(arena, (Plain::padded(columns_) + 2 + kBlockPixels) * kChannels);
    conv2_ = Plain::make(arena, columns_);
    accumulators_ = arena.take<std::int32_t>(kBlock);
    squares_ = arena.take<std::int16_t>(kBlock);
    norms_ = arena.take<std::int32_t>(kBlock);
    result_ = arena.take<std::int16_t>(kBlock);
    next_middle_ = Plain::first_line(first_row);
    next_input_ = 2 * next_middle_ - 1;
  }

  // Output row `row`, to dst[columns][32], added to `sums`. Rows must be asked for in ascending order.
  void row(std::int32_t row, std::int16_t* dst, std::int64_t* sums) {
    while (next_middle_ <= Plain::last_line(row)) compute_middle(next_middle_++);
    for (std::int32_t i = 0; i < columns_; i += kBlockPixels) {
      const std::int32_t* values = conv2_.span(block_.conv2, middle_, 0, row, i, 1, columns_);
      gdn_norms(block_.gdn, values, squares_, norms_);
      const std::uint8_t* skip = bytes(input_.at(2 * row) + (2 * i + 3) * kLineChannels);
      conv_block<Element, 32, kStride>(&skip, block_.skip, 0, 0, accumulators_);
      const std::int32_t count = columns_ - i < kBlockPixels ? columns_ - i : kBlockPixels;
      std::int16_t* to = dst + static_cast<std::ptrdiff_t>(i) * kChannels;
      std::int16_t* result = count == kBlockPixels ? to : result_;
      gdn_add_skip_block<false, 32>(values, block_.gdn.numerator, norms_, accumulators_, block_.skip.multiplier, 0,
                                    result);
      if (result != to) std::memcpy(to, result, count * kChannels * sizeof(std::int16_t));
      add_to_sums(result, count, sums);
    }
  }

 private:
  using Plain = Conv3x3<std::int16_t, std::int16_t, 1>;
  static constexpr int kStride = 2 * kLineChannels * sizeof(Element);

  // Line `row` of t, from column column_ - 1 on.
  void compute_middle(std::int32_t row) {
    std::int16_t* line = middle_.at(row);
    const std::int32_t height = in_.height / 2, width = in_.width / 2;
    const std::int32_t count = columns_ + 2;
    if (row < 0 || row >= height) {
      fill(line, static_cast<std::ptrdiff_t>(count) * kChannels, 0);
      middle_.is_large(row) = false;
      return;
    }
    for (; next_input_ <= 2 * row + 1; ++next_input_) {
      load_line<Stored>(in_, next_input_, 2 * column_ - 3, 2 * columns_ + 5, block_.input_zero_point, kLineChannels,
                        input_.at(next_input_), Load{});
    }
    for (std::int32_t i = 0; i < count; i += kBlockPixels) {
      const std::uint8_t* taps[9];
      for (int u = 0; u < 3; ++u) {
        for (int v = 0; v < 3; ++v) {
          taps[3 * u + v] = bytes(input_.at(2 * row - 1 + u) + (2 * i + v) * kLineChannels);
        }
      }
      conv_block<Element, 32, kStride>(taps, block_.conv1, 0, 0, accumulators_);
      requantise_block<32, true, std::int16_t>(accumulators_, block_.conv1, 0, 0,
                                               line + static_cast<std::ptrdiff_t>(i) * kChannels);
    }
    if (column_ == 0) fill(line, kChannels, 0);
    if (column_ + columns_ == width) fill(line + (columns_ + 1) * kChannels, kChannels, 0);
    if constexpr (Plain::kMayBeLarge) {
      middle_.is_large(row) = !Plain::Winograd::takes(line, static_cast<std::ptrdiff_t>(count) * kChannels);
    }
  }

  const PackedResidualDown& block_;
  const Plane& in_;
  std::int32_t column_, columns_;
  std::int32_t next_middle_, next_input_;
  LineRing<Element, 8> input_;          // from column 2 * column_ - 3 on
  InputLines<std::int16_t, 4> middle_;  // from column column_ - 1 on
  Plain conv2_;
  std::int32_t* accumulators_;
  std::int16_t* squares_;
  std::int32_t* norms_;
  std::int16_t* result_;
};

template <class Stored, class Element, int kLineChannels, class Load>
void residual_down(const PackedResidualDown& block, const Plane& in, const Plane& out, const Tile& tile,
                   std::int64_t* sums, void* scratch) {
  std::int32_t row;
  if (!next_row(tile.rows, row)) return;
  ResidualDown<Stored, Element, kLineChannels, Load> down(block, in, tile, row, scratch);
  do {
    down.row(row,
             static_cast<std::int16_t*>(out.data) +
                 (static_cast<std::ptrdiff_t>(row) * out.width + tile.column_begin) * kChannels,
             sums);
  } while (next_row(tile.rows, row));
}

}  // namespace treenet::cpu::TREENET_ISA

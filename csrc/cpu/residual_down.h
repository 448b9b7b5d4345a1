// Residual downsampling blocks (SPEC §2.5) as one pass over rows: input lines, or the input itself where that does as
// well, the intermediate t, and the output follow each other through small rings that stay in the cache. Both children
// of a node of the tree read its output, so they go through it together, row by row, and load each line once.
#pragma once

#include <algorithm>

#include "cpu/conv3x3.h"
#include "cpu/conv_image.h"
#include "cpu/gdn.h"
#include "cpu/pixel_rows.h"
#include "cpu/winograd_strided.h"

namespace treenet::cpu::TREENET_ISA {

inline constexpr std::int32_t kDownTileColumns = 192;
inline constexpr std::int32_t kDownImageTileColumns = 384;  // its input lines are short
// What steps hand to each other is to stay in the first cache, also beside the weights that matrix tiles load for each.
inline constexpr int kDownSpan = kMatrixTiles ? 2 : kLargestSpan;
// The first convolution's, where that is of the image, and has few weights.
inline constexpr int kDownImageSpan = kLargestSpan;

// What a block reads: its type and channels in a line, its size, and its lines.
struct FeatureLines {
  using Element = std::int16_t;
  static constexpr int kLineChannels = kChannels;
  const Plane& in;
  std::int32_t height() const { return in.height; }
  std::int32_t width() const { return in.width; }
  template <class Lines>
  void load(Lines& to, std::int32_t row, std::int32_t first, std::int32_t count, std::int32_t zero_point) const {
    to.template load<std::int16_t, CopyS16Features>(in, row, first, count, zero_point);
  }
  const std::int16_t* pixel(std::int32_t row, std::int32_t column) const {
    return static_cast<const std::int16_t*>(in.data) +
           (static_cast<std::ptrdiff_t>(row) * in.width + column) * kChannels;
  }
};
struct ImageLines {
  using Element = U8Line;
  static constexpr int kLineChannels = kColours + 1;
  const InputPixels& in;
  std::int32_t height() const { return in.whole_height; }
  std::int32_t width() const { return in.whole_width; }
  template <class Lines>
  void load(Lines& to, std::int32_t row, std::int32_t first, std::int32_t count, std::int32_t zero_point) const {
    load_pixels(in, row, first, count, zero_point, to.begin(row));
    if constexpr (kUsesImageGroups && sizeof(*to.begin(row)) == 1) add_last_taps(to.begin(row), count);
  }
};

template <class Source, int kSiblings>
class ResidualDown {
  using Element = typename Source::Element;
  static constexpr int kLineChannels = Source::kLineChannels;

 public:
  // Output rows from `first_row` on, in the tile's columns.
  ResidualDown(const PackedResidualDown* siblings, const Source& in, const Tile& tile, std::int32_t first_row,
               void* scratch)
      : in_(in), column_(tile.column_begin), columns_(tile.column_end - tile.column_begin) {
    Arena arena{static_cast<std::uint8_t*>(scratch)};
    input_ = Input::make(arena, input_length(columns_));
    for (int i = 0; i < kSiblings; ++i) {
      nodes_[i] = {&siblings[i], Middle::make(arena, middle_length(columns_)), Plain::make(arena, columns_)};
    }
    sums_ = arena.take_sums<typename Input::Sums>(kSumsBlocks * kBlock);
    squares_ = arena.take<std::int16_t>(longest_span(kDownSpan) * kBlock);
    norms_ = arena.take_sums<Norms>(longest_span(kDownSpan) * kBlock);
    result_ = arena.take<std::int16_t>(kBlock);
    if constexpr (kByGroups) image_conv_ = ImageConv::make(arena, columns_ + 2);
    if constexpr (kStrided) {
      strided_ = Strided::make(arena);
      strided_input_ = StridedInput::make(arena, in_.in);
    }
    next_middle_ = Plain::first_line(first_row);
    next_input_ = 2 * next_middle_ - 1;
  }

  // What lines and the convolution take of the arena, for at most `columns` columns.
  static constexpr std::size_t scratch_bytes(std::int32_t columns) {
    return Input::scratch_bytes(input_length(columns)) +
           kSiblings * (Middle::scratch_bytes(middle_length(columns)) + Plain::scratch_bytes(columns)) +
           (kByGroups ? ImageConv::scratch_bytes(columns + 2) : 0) +
           (kStrided ? Strided::scratch_bytes() + StridedInput::scratch_bytes() : 0);
  }

  // Makes ready for output row `row` of all siblings. Rows must be asked for in ascending order.
  void begin_row(std::int32_t row) {
    while (next_middle_ <= Plain::last_line(row)) {
      if constexpr (kStrided) {
        compute_together(next_middle_);
        next_middle_ += Strided::kRows;
      } else {
        load_input(next_middle_);
        for (Node& node : nodes_) compute_middle(node, next_middle_);
        ++next_middle_;
      }
    }
    if (kStrided && !skips_from_plane()) load_line(2 * row);
  }

  // Then a sibling's row, to dst[columns][32], added to `sums`.
  //
  // What a step of a span makes takes a while to be there for the next one, so steps of neighbouring spans take turns.
  void row(int sibling, std::int32_t row, std::int16_t* dst, std::int64_t* sums) {
    Node& node = nodes_[sibling];
    const PackedResidualDown& block = *node.block;
    if constexpr (kByRows) {
      if (const std::int32_t* values = node.conv2.whole_row(block.conv2, node.middle, 0, row, columns_)) {
        gdn_add_skip_row<false, 32>(block.gdn, values, skip_sums(block, row), block.skip.multiplier, 0, columns_, dst);
        add_to_sums(dst, columns_, sums);
        return;
      }
    }
    Span before{};
    for (std::int32_t begin = 0, blocks; begin < columns_; begin += blocks * kBlockPixels) {
      blocks = span_blocks<kDownSpan>(columns_ - begin);
      const Span span{begin, blocks, node.conv2.span(block.conv2, node.middle, 0, row, begin, blocks, columns_)};
      finish(block, before, row, dst);
      gdn_squares(block.gdn, span.values, blocks, squares_);
      if constexpr (!kPointSkip) {
        const auto* skip = skip_at(row, begin);
        input_.template span<32, 2>(&skip, block.skip, 0, blocks, sums_);
      }
      gamma_span(squares_, block.gdn.gamma, blocks, norms_);
      before = span;
    }
    finish(block, before, row, dst);
    add_to_sums(dst, columns_, sums);
  }

 private:
  using Plain = Conv3x3<std::int16_t, std::int16_t, 1>;
  // Whether conv1 computes lines of t several at a time by Winograd's algorithm, where its input fits it. Some of them
  // may be there before they are needed.
  static constexpr bool kStrided = kUsesWinograd && kLineChannels == kChannels;
  static constexpr int kMiddleSlots = kStrided ? 8 : 4;
  using Strided = WinogradStrided<std::int16_t, kSiblings>;
  static constexpr int kInputSlots = 8;
  static_assert(!kStrided || kInputSlots >= StridedInput::kRows);
  using Input = Lines<Element, kLineChannels, kInputSlots, false>;
  static_assert(kMiddleSlots >= Plain::kRows + 2 + (kStrided ? Strided::kRows - 1 : 0));
  using Middle = typename Plain::template Input<kMiddleSlots>;
  static constexpr bool kByGroups = kUsesImageGroups && kLineChannels == 4;
  static constexpr bool kPointSkip = kPointSums && kLineChannels == 4;  // the image's
  static constexpr int kFirstSpan = kLineChannels == 4 ? kDownImageSpan : kDownSpan;
  // The skip's sums are in the same place, a span's or, by whole rows, all of them.
  static constexpr bool kByRows = kGdnPart != 0 && kUsesWinograd;
  static_assert(kFirstSpan >= kDownSpan && (!kByRows || kPointSkip || kLineChannels == kChannels));
  static constexpr int kRowBlocks = (kDownTileColumns + kBlockPixels - 1) / kBlockPixels;
  static constexpr int kSumsBlocks = std::max(longest_span(kFirstSpan), kByRows && !kPointSkip ? kRowBlocks : 0);
  // Pixels of their lines.
  static constexpr std::int32_t input_length(std::int32_t columns) { return 2 * (columns + 2 * kBlockPixels) + 3; }
  static constexpr std::int32_t middle_length(std::int32_t columns) {
    // Whole blocks of conv2 are read, and of conv1 written.
    const std::int32_t read = Plain::padded(columns) + 2 + kBlockPixels, block = kStrided ? Strided::kColumns : 1;
    return std::max(read, 1 + (columns + 2 + block - 1) / block * block);
  }

  struct Node {
    const PackedResidualDown* block;
    Middle middle;  // from column column_ - 1 on
    Plain conv2;
  };

  // Sums of conv2, of blocks from column `begin` on.
  struct Span {
    std::int32_t begin, blocks;
    typename Plain::Sums values;
  };

  // From its norms and the skip's sums to the output.
  void finish(const PackedResidualDown& block, const Span& span, std::int32_t row, std::int16_t* dst) {
    for (std::int32_t k = 0; k < span.blocks; ++k) {
      const std::int32_t i = span.begin + k * kBlockPixels;
      const std::int32_t count = columns_ - i < kBlockPixels ? columns_ - i : kBlockPixels;
      std::int16_t* to = dst + static_cast<std::ptrdiff_t>(i) * kChannels;
      std::int16_t* result = count == kBlockPixels ? to : result_;
      const auto skip = [&] {
        if constexpr (kPointSkip) {
          return PointSums<2 * kLineChannels>{bytes(skip_at(row, i)), block.skip};
        } else {
          return sums_ + k * kBlock;
        }
      };
      gdn_add_skip_block<false, 32>(joined(span.values) + k * kBlock, block.gdn.numerator, norms_ + k * kBlock, skip(),
                                    block.skip.multiplier, 0, result);
      if (result != to) std::memcpy(to, result, count * kChannels * sizeof(std::int16_t));
    }
  }

  // The skip's pixel of an output, from which it is read up to whole blocks.
  auto skip_at(std::int32_t row, std::int32_t column) const {
    if constexpr (kStrided) {
      if (skips_from_plane()) return in_.pixel(2 * row, 2 * (column_ + column));
    }
    return input_.at(2 * row, 2 * column + 3);
  }

  // Whether what a block of the skip reads beyond its columns is in the plane: as heights are even, another row
  // follows.
  bool skips_from_plane() const { return in_.width() >= 2 * kBlockPixels; }

  // What line `row` of t is made from, and the skip of output row `row`.
  void load_input(std::int32_t row) {
    if (row < 0 || row >= in_.height() / 2) return;
    for (; next_input_ <= 2 * row + 1; ++next_input_) load_line(next_input_);
  }
  void load_line(std::int32_t line) {
    in_.load(input_, line, 2 * column_ - 3, 2 * columns_ + 5, nodes_[0].block->input_zero_point);
  }

  // The skip's sums of output row `row`.
  auto skip_sums(const PackedResidualDown& block, std::int32_t row) const {
    const auto* pixel = skip_at(row, 0);
    if constexpr (kPointSkip) {
      return PointSums<2 * kLineChannels>{bytes(pixel), block.skip};
    } else {
      input_.template span<32, 2>(&pixel, block.skip, 0, (columns_ + kBlockPixels - 1) / kBlockPixels, sums_);
      return sums_;
    }
  }

  // Columns of lines of t that are to be computed, from column column_ - 1 on. Those beside the image are zeros, and
  // would often begin another block.
  std::int32_t middle_begin() const { return column_ == 0 ? 1 : 0; }
  std::int32_t middle_end() const { return columns_ + (column_ + columns_ == in_.width() / 2 ? 1 : 2); }

  // Lines of all siblings' t from `row` on.
  void compute_together(std::int32_t row) {
    const std::int32_t begin = middle_begin(),
                       blocks = (middle_end() - begin + Strided::kColumns - 1) / Strided::kColumns;
    const PackedConv* convs[kSiblings];
    typename Strided::Target targets[kSiblings];
    for (int i = 0; i < kSiblings; ++i) {
      const Packed3x3& conv = nodes_[i].block->conv1;
      convs[i] = &conv.winograd;
      targets[i] = {{}, conv.direct.bias, conv.direct.multiplier, conv.direct.multiplier_negative, 0};
      for (int k = 0; k < Strided::kRows; ++k) targets[i].rows[k] = nodes_[i].middle.begin(row + k) + begin * kChannels;
    }
    strided_input_.begin(2 * row - 1, 2 * (column_ - 1 + begin) - 1, blocks);
    const bool fit = strided_.rows(strided_input_, convs, targets, blocks);
    if (!fit) {
      for (int u = 0; u < StridedInput::kRows; ++u) load_line(2 * row - 1 + u);
    }
    for (Node& node : nodes_) {
      for (int k = 0; k < Strided::kRows; ++k) fit ? complete_middle(node, row + k) : compute_middle(node, row + k);
    }
  }

  // Line `row` of a sibling's t.
  void compute_middle(Node& node, std::int32_t row) {
    if (row >= 0 && row < in_.height() / 2) {
      const PackedConv& conv1 = node.block->conv1.direct;
      const std::int32_t first = middle_begin(), end = middle_end();
      if constexpr (kByGroups) {
        const auto line = [&](int u) { return input_.at(2 * row - 1 + u, 2 * first); };
        image_conv_.begin({line(0), line(1), line(2)}, end - first);
      }
      for (std::int32_t begin = first, blocks; begin < end; begin += blocks * kBlockPixels) {
        blocks = span_blocks<kFirstSpan>(end - begin);
        if constexpr (kByGroups) {
          image_conv_.span(conv1, begin - first, blocks, sums_);
        } else {
          decltype(input_.at(0, 0)) taps[9];
          for (int t = 0; t < 9; ++t) taps[t] = input_.at(2 * row - 1 + t / 3, 2 * begin + t % 3);
          input_.template span<32, 2>(taps, conv1, 0, blocks, sums_);
        }
        for (int k = 0; k < blocks; ++k) {
          node.middle.template requantise<true>(row, begin + k * kBlockPixels, sums_ + k * kBlock, conv1);
        }
      }
    }
    complete_middle(node, row);
  }
  // What lies outside the image is zero.
  void complete_middle(Node& node, std::int32_t row) {
    const std::int32_t count = columns_ + 2;
    if (row < 0 || row >= in_.height() / 2) {
      node.middle.zero(row, 0, count);
    } else {
      if (middle_begin() == 1) node.middle.zero(row, 0, 1);
      if (middle_end() == count - 1) node.middle.zero(row, count - 1, 1);
    }
    node.middle.check(row, count);
  }

  const Source in_;
  std::int32_t column_, columns_;
  std::int32_t next_middle_, next_input_;
  Input input_;  // from column 2 * column_ - 3 on
  Node nodes_[kSiblings];
  typename Input::Sums sums_;  // of conv1 or the skip
  std::int16_t* squares_;      // of a span of the output, as are the norms
  Norms norms_;
  std::int16_t* result_;
  ImageConv image_conv_;
  Strided strided_;
  StridedInput strided_input_;
};

template <class Source, int kSiblings, class Input>
void residual_down(const PackedResidualDown* siblings, const Input& in, const Plane* outs, const Tile& tile,
                   std::int64_t* sums, void* scratch) {
  std::int32_t row;
  if (!next_row(tile.rows, row)) return;
  [[maybe_unused]] const MatrixTiles tiles;
  ResidualDown<Source, kSiblings> down(siblings, {in}, tile, row, scratch);
  do {
    down.begin_row(row);
    for (int i = 0; i < kSiblings; ++i) {
      down.row(i, row,
               static_cast<std::int16_t*>(outs[i].data) +
                   (static_cast<std::ptrdiff_t>(row) * outs[i].width + tile.column_begin) * kChannels,
               sums + i * kChannels);
    }
  } while (next_row(tile.rows, row));
}

}  // namespace treenet::cpu::TREENET_ISA

// The runs of convolutions.h for the instruction set whose primitives were included before, as csrc/cpu/table.h has the
// kernels.
#pragma once

#include <algorithm>

#include "convolutions.h"
#include "cpu/residual_down.h"
#include "cpu/residual_up.h"

namespace treenet::cpu::TREENET_ISA {

inline std::uint32_t number(const std::int32_t* sums, int i) { return static_cast<std::uint32_t>(sums[i]); }
inline std::uint32_t number(const SplitSums& sums, int i) { return number(sums.low, i) + (number(sums.high, i) << 8); }
// With a sum of the row, of one of its columns, if a span of `count` columns from `begin` on has that one.
template <class Sums>
inline std::uint32_t with_row(std::uint32_t numbers, const Sums& sums, std::int32_t row, std::int32_t columns,
                              std::int32_t begin, std::int32_t count) {
  const std::int32_t i = 37 * row % columns - begin;
  return i < 0 || i >= count ? numbers : 31 * numbers + number(sums, i * kChannels + row % kChannels);
}

template <class Source, int kSpan>
struct Strided {
  using Input = Lines<typename Source::Element, Source::kLineChannels, 8, false>;
  static constexpr std::int32_t length(std::int32_t columns) { return columns + 2 * (2 * kBlockPixels) + 3; }
  static constexpr bool kByGroups = kUsesImageGroups && Source::kLineChannels == 4;
  static constexpr std::size_t scratch_bytes(std::int32_t columns) {
    return Input::scratch_bytes(length(columns)) + (kByGroups ? ImageConv::scratch_bytes(columns / 2) : 0);
  }

  static std::uint32_t run(const PackedConv& conv, const Source& in, void* scratch) {
    const std::int32_t width = in.width();
    Arena arena{static_cast<std::uint8_t*>(scratch)};
    Input input = Input::make(arena, length(width));  // from column -1 on
    const auto sums = arena.take_sums<typename Input::Sums>(longest_span(kSpan) * kBlock);
    ImageConv by_groups;
    if constexpr (kByGroups) by_groups = ImageConv::make(arena, width / 2);
    [[maybe_unused]] const MatrixTiles tiles;
    std::uint32_t numbers = 0;
    std::int32_t next = -1;
    for (std::int32_t row = 0; row < in.height() / 2; ++row) {
      for (; next <= 2 * row + 1; ++next) in.load(input, next, -1, width + 1, 0);
      if constexpr (kByGroups) {
        by_groups.begin({input.at(2 * row - 1, 0), input.at(2 * row, 0), input.at(2 * row + 1, 0)}, width / 2);
      }
      for (std::int32_t begin = 0, blocks; begin < width / 2; begin += blocks * kBlockPixels) {
        blocks = span_blocks<kSpan>(width / 2 - begin);
        if constexpr (kByGroups) {
          by_groups.span(conv, begin, blocks, sums);
        } else {
          decltype(input.at(0, 0)) taps[9];
          for (int t = 0; t < 9; ++t) taps[t] = input.at(2 * row - 1 + t / 3, 2 * begin + t % 3);
          input.template span<kChannels, 2>(taps, conv, 0, blocks, sums);
        }
        numbers = with_row(numbers, sums, row, width / 2, begin, blocks * kBlockPixels);
      }
    }
    return numbers;
  }
};

// The same of s16 by Winograd's algorithm, several rows at a time, whose inputs are read in the plane.
template <class Source>
struct StridedTogether {
  using Conv = WinogradStrided<std::int32_t, 1>;
  static constexpr std::int32_t blocks(std::int32_t columns) {
    return (columns / 2 + Conv::kColumns - 1) / Conv::kColumns;
  }
  static constexpr std::int32_t row_length(std::int32_t columns) {
    return blocks(columns) * Conv::kColumns * kChannels;
  }
  static constexpr std::size_t scratch_bytes(std::int32_t columns) {
    return StridedInput::scratch_bytes() + Conv::scratch_bytes() +
           Conv::kRows * sizeof(std::int32_t) * row_length(columns);
  }

  static std::uint32_t run(const Packed3x3& packed, const Source& in, void* scratch) {
    const std::int32_t width = in.width(), height = in.height() / 2;
    Arena arena{static_cast<std::uint8_t*>(scratch)};
    StridedInput input = StridedInput::make(arena, in.in);
    Conv conv = Conv::make(arena);
    typename Conv::Target target{};
    target.bias = packed.direct.bias;
    for (std::int32_t*& row : target.rows) row = arena.take<std::int32_t>(row_length(width));
    std::uint32_t numbers = 0;
    for (std::int32_t row = 0; row < height; row += Conv::kRows) {
      input.begin(2 * row - 1, -1, blocks(width));
      if (!conv.rows(input, {&packed.winograd}, {target}, blocks(width))) return 0;  // inputs are smaller
      for (int k = 0; k < Conv::kRows && row + k < height; ++k) {
        numbers = with_row(numbers, target.rows[k], row + k, width / 2, 0, width / 2);
      }
    }
    return numbers;
  }
};

template <class Activation, class Element, int kScale, int kSpan, class Load>
struct Plain {
  using Conv = Conv3x3<Activation, Element, kScale>;
  using Input = typename Conv::template Input<4 * Conv::kRows>;
  // Matrix tiles read beyond the last tap.
  static constexpr std::int32_t length(std::int32_t columns) {
    return Conv::padded(kScale * columns) / kScale + 4 + 2 * kBlockPixels;
  }
  static constexpr std::size_t scratch_bytes(std::int32_t columns) {
    return Input::scratch_bytes(length(columns)) + Conv::scratch_bytes(kScale * columns);
  }

  static std::uint32_t run(const Packed3x3& packed, const Plane& in, void* scratch) {
    const std::int32_t columns = kScale * in.width;
    Arena arena{static_cast<std::uint8_t*>(scratch)};
    Input input = Input::make(arena, length(in.width));  // from column -1 on
    if constexpr (Conv::kReadsBeyond) input.clear_from(in.width + 2);
    Conv conv = Conv::make(arena, columns);
    [[maybe_unused]] const MatrixTiles tiles;
    std::uint32_t numbers = 0;
    std::int32_t next = Conv::first_line(0);
    for (std::int32_t row = 0; row < kScale * in.height; ++row) {
      for (; next <= Conv::last_line(row / kScale); ++next) {
        input.template load<Activation, Load>(in, next, -1, in.width + 2, 0);
      }
      for (std::int32_t begin = 0, blocks; begin < columns; begin += blocks * kBlockPixels) {
        blocks = span_blocks<kSpan>(columns - begin);
        const auto sums = conv.span(packed, input, 0, row, begin, blocks, columns);
        numbers = with_row(numbers, sums, row, columns, begin, blocks * kBlockPixels);
      }
    }
    return numbers;
  }
};

using StridedImage = Strided<ImageLines, kDownImageSpan>;
using StridedS16 = Strided<FeatureLines, kDownSpan>;
using PlainS16x32 = Plain<std::int16_t, std::int16_t, 1, kDownSpan, CopyS16Features>;
using SubpixelS16 = Plain<std::int16_t, std::int16_t, 2, kUpSpan, CopyS16Features>;
using PlainU8 = Plain<std::uint8_t, U8Line, 1, kUpSpan, WidenU8<U8Line>>;
using SubpixelU8 = Plain<std::uint8_t, U8Line, 2, kUpSpan, WidenU8<U8Line>>;

inline std::size_t convolution_scratch_bytes(std::int32_t columns) {
  constexpr std::size_t kBlocks = 64 * kBlock * sizeof(std::int32_t);
  return std::max({StridedImage::scratch_bytes(columns), StridedS16::scratch_bytes(columns),
                   kUsesWinograd ? StridedTogether<FeatureLines>::scratch_bytes(columns) : 0,
                   PlainS16x32::scratch_bytes(columns), SubpixelS16::scratch_bytes(columns),
                   PlainU8::scratch_bytes(columns), SubpixelU8::scratch_bytes(columns)}) +
         kBlocks;
}

inline std::uint32_t run_image(const PackedConv& conv, const Plane& in, void* scratch) {
  const InputPixels pixels{static_cast<const std::uint8_t*>(in.data),         in.height, in.width, in.height, in.width,
                           {std::ptrdiff_t{kColours} * in.width, kColours, 1}};
  return StridedImage::run(conv, {pixels}, scratch);
}
// A template, so that only what an instruction set uses is compiled.
template <class Source = FeatureLines>
inline std::uint32_t run_s16_stride2(const Packed3x3& conv, const Plane& in, void* scratch) {
  if constexpr (kUsesWinograd) {
    return StridedTogether<Source>::run(conv, {in}, scratch);
  } else {
    return StridedS16::run(conv.direct, {in}, scratch);
  }
}

inline constexpr benchmarks::Convolutions kConvolutions = {
    convolution_scratch_bytes, run_image,    run_s16_stride2<>, PlainS16x32::run,
    SubpixelS16::run,          PlainU8::run, SubpixelU8::run};

}  // namespace treenet::cpu::TREENET_ISA

// Spans of blocks of a convolution by matrix tiles (matrix_tiles.h), 16 pixels by 16 outputs.
//
// 64 bytes of a pixel are multiplied at a time, a step. PackedConv::tiles has B in the order of their use:
//   tiles[block][16 outputs][step][16 rows][64 bytes]              bytes, also of s16, as planes of low and of high
//                                                                  ones: those of 64 channels, or of 32 of two
//                                                                  neighbouring taps of a line; weights of what
//                                                                  there is not are zero
//   tiles[block][16 outputs][low, high][16 rows][64 bytes]         32 s16 of a pixel as they are: weights for their
//                                                                  low bytes, and for their high ones, in sums of
//                                                                  their own
//   tiles[block][16 outputs][16 rows][64 bytes]                    all taps of a 3x3 convolution of the image: four
//                                                                  pixels, of four bytes, of each of its lines, of
//                                                                  which the last one and the rest have zeros
// What is not of that shape, or of fewer than 16 pixels, goes by blocks.
//
// While tiles are loaded and multiplied, instructions on vectors have one port instead of two. A residual block's work
// on vectors, done pixel by pixel between products, took an eighth fewer cycles, and no less time: the denser products
// are, the slower the clock (3.0 GHz for a whole block step by step, 2.6 with its steps mixed, 3.3 without products).
// What a tile has stored cannot be loaded at once: where a step's results are waited for, another span's work is done
// meanwhile (residual_down.h; in residual_up.h steps lie far enough from each other).
#pragma once

#include "cpu/conv_span.h"
#include "cpu/matrix_tiles.h"

namespace treenet::cpu::TREENET_ISA {

inline constexpr bool kMatrixTiles = true;

// The steps of a convolution: where the first pixel's bytes are, and how far apart pixels lie.
struct TileSteps {
  const std::uint8_t* from[kMaximumTileSteps];
  int count;
  std::ptrdiff_t stride;

  static TileSteps of(const PackedConv& conv, const std::uint8_t* const* taps, std::ptrdiff_t stride) {
    TileSteps steps{{}, conv.tile_step_count, stride};
    for (int k = 0; k < steps.count; ++k) {
      const TileStep step = conv.tile_steps[k];
      steps.from[k] = taps[step.tap] + kTileBytes * step.chunk;
    }
    return steps;
  }
};

// What a span of a convolution is to be computed from, and to.
struct TileSpan {
  const TileSteps& steps;
  const std::uint8_t* weights;  // of the first 16 outputs of its block
  std::ptrdiff_t tile_bytes;    // from those to the next
  const std::int32_t* bias;
  std::int32_t pixels;

  TileSpan(const TileSteps& steps, const PackedConv& conv, std::int32_t block, std::int32_t pixels)
      : steps(steps),
        weights(conv.tiles + static_cast<std::ptrdiff_t>(block) * (conv.block_outputs / kTileSums) * conv.tile_bytes),
        tile_bytes(conv.tile_bytes),
        bias(conv.bias + block * conv.block_outputs),
        pixels(pixels) {}

  const std::uint8_t* tile(int outputs, int index) const {
    return weights + outputs / kTileSums * tile_bytes + index * static_cast<std::ptrdiff_t>(kTileSize);
  }
  const std::uint8_t* pixel(int step, int first) const { return steps.from[step] + first * steps.stride; }
  // Tiles of pixels, and the first one's number. The last tile begins where it is whole, and some pixels come out
  // twice; of less than a tile the rest is read and computed, too.
  int tiles() const { return (pixels + kTileRows - 1) / kTileRows; }
  int first(int tile) const {
    return kTileRows * (tile + 1) <= pixels || tile == 0 ? kTileRows * tile : pixels - kTileRows;
  }
};

// u8: kHigh tiles of pixels from `tile` on by kWide tiles of outputs from `output` on. Tiles 0 to 3 have the sums, 4
// and 5 the pixels, 6 and 7 weights.
template <int kHigh, int kWide, int kOutputs>
inline void multiply_bytes(const TileSpan& span, int tile, int output, std::int32_t* accumulators) {
  static_assert(kHigh * kWide <= 4 && kHigh <= 2);
  const int first[2] = {span.first(tile), span.first(tile + kHigh - 1)};
  unrolled<kWide>([&](auto n) {
    unrolled<kHigh>([&](auto m) { load_tile<m * kWide + n>(span.bias + output + kTileSums * n, 0); });
  });
  for (int k = 0; k < span.steps.count; ++k) {
    unrolled<kHigh>([&](auto m) { load_tile<4 + m>(span.pixel(k, first[m]), span.steps.stride); });
    unrolled<kWide>([&](auto n) {
      load_tile<6 + n % 2>(span.tile(output + kTileSums * n, k), kTileBytes);
      unrolled<kHigh>([&](auto m) { multiply_tiles<Signs::kWeights, m * kWide + n, 4 + m, 6 + n % 2>(); });
    });
  }
  unrolled<kHigh>([&](auto m) {
    unrolled<kWide>([&](auto n) {
      store_tile<m * kWide + n>(accumulators + first[m] * kOutputs + output + kTileSums * n,
                                kOutputs * sizeof(std::int32_t));
    });
  });
}

template <int kOutputs>
inline void span_of_bytes(const TileSpan& span, std::int32_t* accumulators) {
  const int tiles = span.tiles();
  for (int output = 0; output < kOutputs; output += 2 * kTileSums) {
    for (int m = 0; m + 1 < tiles; m += 2) multiply_bytes<2, 2, kOutputs>(span, m, output, accumulators);
  }
  if (tiles % 2 != 0) multiply_bytes<1, kOutputs / kTileSums, kOutputs>(span, tiles - 1, 0, accumulators);
}

// The image's, whose pixels' taps are gathered first, from 16 bytes of each line; what is behind them has zero weights.
// A product takes 52 cycles, so one tile of pixels is not stored before the other one is begun.
template <int kStride>
inline void span_of_image(const std::uint8_t* const* taps, const PackedConv& conv, std::int32_t block, int pixels,
                          std::int32_t* accumulators) {
  constexpr int kLine = 4 * 4;
  // Pixels of the longest span of any schedule.
  alignas(64) std::uint8_t gathered[kLongestSpan * kBlockPixels * kTileBytes];
  for (int p = 0; p < pixels; ++p) {
    std::uint8_t* to = gathered + p * kTileBytes;
    for (int u = 0; u < 3; ++u) std::memcpy(to + u * kLine, taps[3 * u] + p * kStride, kLine);
    std::memset(to + 3 * kLine, 0, kTileBytes - 3 * kLine);
  }
  const TileSteps steps{{gathered}, 1, kTileBytes};
  const TileSpan span(steps, conv, block, pixels);
  constexpr std::ptrdiff_t kRow = kChannels * sizeof(std::int32_t);
  load_tile<6>(span.tile(0, 0), kTileBytes);
  load_tile<7>(span.tile(kTileSums, 0), kTileBytes);
  const auto multiply = [&](auto half, int tile) {
    load_tile<4 + half>(span.pixel(0, span.first(tile)), kTileBytes);
    load_tile<2 * half>(span.bias, 0);
    multiply_tiles<Signs::kWeights, 2 * half, 4 + half, 6>();
    load_tile<2 * half + 1>(span.bias + kTileSums, 0);
    multiply_tiles<Signs::kWeights, 2 * half + 1, 4 + half, 7>();
  };
  const auto store = [&](auto half, int tile) {
    std::int32_t* to = accumulators + span.first(tile) * kChannels;
    store_tile<2 * half>(to, kRow);
    store_tile<2 * half + 1>(to + kTileSums, kRow);
  };
  constexpr std::integral_constant<int, 0> kEven{};
  constexpr std::integral_constant<int, 1> kOdd{};
  const int tiles = span.tiles();
  for (int tile = 0; tile < tiles; tile += 2) {
    multiply(kEven, tile);
    if (tile > 0) store(kOdd, tile - 1);
    if (tile + 1 < tiles) multiply(kOdd, tile + 1);
    store(kEven, tile);
  }
  if (tiles % 2 == 0) store(kOdd, tiles - 1);
}

// Accumulators of split sums, for what does not take those: in a pass of its own, as what a tile has stored cannot be
// loaded at once.
template <int kRow>
inline void add_high_sums(const std::int32_t* low, const std::int32_t* high, std::ptrdiff_t count, std::int32_t* to,
                          std::ptrdiff_t to_row) {
  using Vector [[gnu::vector_size(kTileBytes)]] = std::uint32_t;
  for (std::ptrdiff_t row = 0; row < count; ++row) {
    for (int o = 0; o < kRow; o += kTileSums) {
      Vector sum, more;
      std::memcpy(&sum, low + row * kRow + o, sizeof(sum));
      std::memcpy(&more, high + row * kRow + o, sizeof(more));
      sum += more << 8;
      std::memcpy(to + row * to_row + o, &sum, sizeof(sum));
    }
  }
}

// Points, 32 s16 as they are, to 32 outputs. A product takes 52 cycles, so half of a tile's sums are not stored before
// the other half is begun.
template <Signs kLow, Signs kHigh>
inline void span_of_points(const TileSpan& span, const SplitSums& sums) {
  constexpr std::ptrdiff_t kRow = kChannels * sizeof(std::int32_t);
  const auto store_second = [&](int first) {
    store_tile<2>(sums.low + first * kChannels + kTileSums, kRow);
    store_tile<3>(sums.high + first * kChannels + kTileSums, kRow);
  };
  for (int tile = 0; tile < span.tiles(); ++tile) {
    const int first = span.first(tile);
    load_tile<4>(span.pixel(0, first), span.steps.stride);
    load_tile<0>(span.bias, 0);
    zero_tile<1>();
    load_tile<5>(span.tile(0, 0), kTileBytes);
    multiply_tiles<kLow, 0, 4, 5>();
    load_tile<6>(span.tile(0, 1), kTileBytes);
    multiply_tiles<kHigh, 1, 4, 6>();
    if (tile > 0) store_second(span.first(tile - 1));
    load_tile<2>(span.bias + kTileSums, 0);
    zero_tile<3>();
    load_tile<7>(span.tile(kTileSums, 0), kTileBytes);
    multiply_tiles<kLow, 2, 4, 7>();
    load_tile<5>(span.tile(kTileSums, 1), kTileBytes);
    multiply_tiles<kHigh, 3, 4, 5>();
    store_tile<0>(sums.low + first * kChannels, kRow);
    store_tile<1>(sums.high + first * kChannels, kRow);
  }
  store_second(span.first(span.tiles() - 1));
}

// Sums of 16 pixels, from `first` on, of s16 as two planes, of low bytes and of high ones, `plane` bytes apart, to 32
// outputs.
inline void multiply_split(const TileSpan& span, std::ptrdiff_t plane, int first, int output, const SplitSums& sums) {
  load_tile<0>(span.bias + output, 0);
  zero_tile<1>();
  load_tile<2>(span.bias + output + kTileSums, 0);
  zero_tile<3>();
  for (int k = 0; k < span.steps.count; ++k) {
    load_tile<4>(span.pixel(k, first), span.steps.stride);
    load_tile<6>(span.tile(output, k), kTileBytes);
    multiply_tiles<Signs::kWeights, 0, 4, 6>();
    load_tile<5>(span.pixel(k, first) + plane, span.steps.stride);
    multiply_tiles<Signs::kBoth, 1, 5, 6>();
    load_tile<7>(span.tile(output + kTileSums, k), kTileBytes);
    multiply_tiles<Signs::kWeights, 2, 4, 7>();
    multiply_tiles<Signs::kBoth, 3, 5, 7>();
  }
  constexpr std::ptrdiff_t kRow = 2 * kTileBytes;
  store_tile<0>(sums.low, kRow);
  store_tile<1>(sums.high, kRow);
  store_tile<2>(sums.low + kTileSums, kRow);
  store_tile<3>(sums.high + kTileSums, kRow);
}

// The same of all pixels in a few steps: a product takes 52 cycles, so one half of the outputs is not stored before the
// other half is begun.
inline void span_of_few_steps(const TileSpan& span, std::ptrdiff_t plane, const SplitSums& sums) {
  constexpr std::ptrdiff_t kRow = kChannels * sizeof(std::int32_t);
  const auto multiply = [&](auto half, int first) {
    constexpr int kLow = 2 * half, kHigh = kLow + 1;
    load_tile<kLow>(span.bias + kTileSums * half, 0);
    zero_tile<kHigh>();
    for (int k = 0; k < span.steps.count; ++k) {
      load_tile<4>(span.pixel(k, first), span.steps.stride);
      load_tile<6 + half>(span.tile(kTileSums * half, k), kTileBytes);
      multiply_tiles<Signs::kWeights, kLow, 4, 6 + half>();
      load_tile<5>(span.pixel(k, first) + plane, span.steps.stride);
      multiply_tiles<Signs::kBoth, kHigh, 5, 6 + half>();
    }
  };
  const auto store = [&](auto half, int first) {
    const SplitSums to = sums + first * kChannels + kTileSums * half;
    store_tile<2 * half>(to.low, kRow);
    store_tile<2 * half + 1>(to.high, kRow);
  };
  constexpr std::integral_constant<int, 0> kFirst{};
  constexpr std::integral_constant<int, 1> kSecond{};
  for (int first = 0; first < span.pixels; first += kTileRows) {
    multiply(kFirst, first);
    if (first > 0) store(kSecond, first - kTileRows);
    multiply(kSecond, first);
    store(kFirst, first);
  }
  store(kSecond, span.pixels - kTileRows);
}

// Of all pixels of a span, a multiple of 16.
inline void span_of_planes(const TileSpan& span, std::ptrdiff_t plane, const SplitSums& sums) {
  if (span.steps.count <= 2) return span_of_few_steps(span, plane, sums);
  for (int first = 0; first < span.pixels; first += kTileRows) {
    multiply_split(span, plane, first, 0, sums + first * kChannels);
  }
}

// A place in the planes of a line.
struct SplitLine {
  std::uint8_t *low, *high;
  SplitLine operator+(std::ptrdiff_t i) const { return {low + i, high + i}; }
};
inline void fill(const SplitLine& to, std::ptrdiff_t count, std::int32_t value) {
  fill(to.low, count, value);
  fill(to.high, count, value >> 8);
}
// A converter of load_line.
struct SplitS16Pixels {
  std::int32_t channels;
  void operator()(const std::int16_t* from, const SplitLine& to, std::int32_t pixels) const {
    const std::ptrdiff_t count = static_cast<std::ptrdiff_t>(pixels) * channels;
    if (count < kTileBytes) {
      for (std::ptrdiff_t i = 0; i < count; ++i) {
        to.low[i] = static_cast<std::uint8_t>(from[i]);
        to.high[i] = static_cast<std::uint8_t>(from[i] >> 8);
      }
      return;
    }
    // 64 at a time, in whole lines of the cache, of which both planes begin with one; so the first and the last ones
    // may be split twice.
    const auto split = [&](std::ptrdiff_t i) { split_pixels(from + i, to.low + i, to.high + i); };
    split(0);
    const auto beyond = static_cast<std::ptrdiff_t>(reinterpret_cast<std::uintptr_t>(to.low) % kTileBytes);
    for (std::ptrdiff_t i = kTileBytes - beyond; i < count - kTileBytes; i += kTileBytes) split(i);
    split(count - kTileBytes);
  }
};

// Lines of s16 x 32 as such planes.
template <int kSlots>
class SplitLines {
 public:
  using Sums = SplitSums;  // of a span to 32 outputs

  static SplitLines make(Arena& arena, std::int32_t pixels) {
    SplitLines lines;
    lines.plane_ = LineRing<std::uint8_t, kSlots>::rounded(static_cast<std::ptrdiff_t>(pixels) * kChannels);
    lines.ring_ = LineRing<std::uint8_t, kSlots>::make(arena, 2 * lines.plane_);
    return lines;
  }
  static constexpr std::size_t scratch_bytes(std::int32_t pixels) {
    return (static_cast<std::size_t>(pixels) * kChannels + 63) * 2 * kSlots;
  }

  template <class Stored, class Load>
  void load(const Plane& in, std::int32_t row, std::int32_t first, std::int32_t count, std::int32_t zero_point) const {
    static_assert(std::is_same_v<Load, CopyS16Features>);
    load_line<Stored>(in, row, first, count, zero_point, kChannels, SplitLine{to(row, 0), to(row, 0) + plane_},
                      SplitS16Pixels{kChannels});
  }

  template <bool kLeaky, class Sums>
  void requantise(std::int32_t row, std::int32_t pixel, const Sums& sums, const PackedConv& conv) const {
    std::uint8_t* low = to(row, pixel);
    requantise_split_block<kLeaky, kChannels>(sums, conv, 0, low, low + plane_);
  }
  void zero(std::int32_t row, std::int32_t pixel, std::int32_t count) const {
    std::uint8_t* low = to(row, pixel);
    fill(low, static_cast<std::ptrdiff_t>(count) * kChannels, 0);
    fill(low + plane_, static_cast<std::ptrdiff_t>(count) * kChannels, 0);
  }
  void check(std::int32_t, std::int32_t) const {}

  const std::uint8_t* at(std::int32_t row, std::int32_t pixel) const { return to(row, pixel); }

  // The sums of `count` blocks, otherwise as the next one.
  template <int kOutputs, int kStep>
  void span(const std::uint8_t* const* taps, const PackedConv& conv, std::int32_t block, std::int32_t count,
            const SplitSums& sums) const {
    static_assert(kOutputs == 2 * kTileSums && kBlockPixels == kTileRows);
    const TileSteps steps = TileSteps::of(conv, taps, kStep * kChannels);
    span_of_planes(TileSpan(steps, conv, block, count * kTileRows), plane_, sums);
  }
  // As InputLines::span. There is to be room for 16 pixels, and as many are read.
  template <int kOutputs, int kStep>
  void span(const std::uint8_t* const* taps, const PackedConv& conv, std::int32_t block, std::int32_t count,
            std::int32_t* accumulators) const {
    const TileSteps steps = TileSteps::of(conv, taps, kStep * kChannels);
    const TileSpan span(steps, conv, block, count * (kBlock / kOutputs));
    // Sums of 16 pixels and 32 outputs become accumulators while the next ones are multiplied.
    constexpr int kWide = 2 * kTileSums;
    alignas(64) std::int32_t low[2][kTileRows * kWide], high[2][kTileRows * kWide];
    std::int32_t* before = nullptr;
    int turn = 0;
    for (int output = 0; output < kOutputs; output += kWide) {
      for (int tile = 0; tile < span.tiles(); ++tile, turn ^= 1) {
        multiply_split(span, plane_, span.first(tile), output, {low[turn], high[turn]});
        if (before != nullptr) add_high_sums<kWide>(low[turn ^ 1], high[turn ^ 1], kTileRows, before, kOutputs);
        before = accumulators + span.first(tile) * kOutputs + output;
      }
    }
    add_high_sums<kWide>(low[turn ^ 1], high[turn ^ 1], kTileRows, before, kOutputs);
  }

 private:
  std::uint8_t* to(std::int32_t row, std::int32_t pixel) const {
    return ring_.at(row) + static_cast<std::ptrdiff_t>(pixel) * kChannels;
  }

  LineRing<std::uint8_t, kSlots> ring_;
  std::ptrdiff_t plane_;  // bytes from low ones to high ones
};

// As PlainS16 (input_lines.h), s16 of any number of channels, in planes.
class SplitS16 {
 public:
  using Sums = SplitSums;

  static SplitS16 make(Arena& arena, std::ptrdiff_t elements) {
    const std::ptrdiff_t plane = elements + kMore;
    std::uint8_t* low = arena.take<std::uint8_t>(static_cast<std::size_t>(2 * plane));
    return SplitS16(low, plane, arena.take<std::int16_t>(static_cast<std::size_t>(plane)));
  }
  static constexpr std::size_t scratch_bytes(std::ptrdiff_t elements) {
    return static_cast<std::size_t>(elements + kMore) * (2 + sizeof(std::int16_t)) + 2 * 63;
  }
  void load(const Plane& in, std::int32_t row, std::int32_t column, std::int32_t count, std::ptrdiff_t first) const {
    load_line<std::int16_t>(in, row, column, count, 0, in.channels, SplitLine{low_ + first, low_ + plane_ + first},
                            SplitS16Pixels{in.channels});
  }
  std::int16_t* begin(std::ptrdiff_t) const { return written_; }
  void end(std::ptrdiff_t first, std::ptrdiff_t count) const {
    for (std::ptrdiff_t i = 0; i < count; i += 2 * kChannels) {
      split_pixels(written_ + i, low_ + first + i, low_ + plane_ + first + i);
    }
  }
  void copy64(const std::int16_t* from, std::ptrdiff_t first) const {
    split_pixels(from, low_ + first, low_ + plane_ + first);
  }
  const std::uint8_t* at(std::ptrdiff_t i) const { return low_ + i; }

  template <int kStride>
  void span(const std::uint8_t* const* taps, const PackedConv& conv, std::int32_t block, std::ptrdiff_t stride,
            std::int32_t count, const Sums& sums) const {
    const TileSteps steps = TileSteps::of(conv, taps, kStride != 0 ? kStride : stride);
    span_of_planes(TileSpan(steps, conv, block, count * kTileRows), plane_, sums);
  }
  template <bool kLeaky, int kStride>
  void requantise(const Sums& sums, const PackedConv& conv, std::int32_t block, std::ptrdiff_t first) const {
    std::uint8_t* low = low_ + first;
    requantise_split_block<kLeaky, kStride>(sums, conv, block, low, low + plane_);
  }

 private:
  static constexpr std::ptrdiff_t kMore = 2 * kTileBytes;  // pixels are split two by two, and read by 64 bytes

  SplitS16(std::uint8_t* low, std::ptrdiff_t plane, std::int16_t* written)
      : low_(low), plane_(plane), written_(written) {}

  std::uint8_t* low_;
  std::ptrdiff_t plane_;  // bytes from low ones to high ones
  std::int16_t* written_;
};

template <class Element, int kOutputs, int kStride>
inline void conv_span(const std::uint8_t* const* taps, const PackedConv& conv, std::int32_t block,
                      std::ptrdiff_t stride, std::int32_t count, std::int32_t* accumulators) {
  const int pixels = count * (kBlock / kOutputs);
  constexpr bool kOfPairs = sizeof(Element) == 1 && kStride == kChannels;
  constexpr bool kOfImage = sizeof(Element) == 1 && kStride == 2 * 4 && kOutputs == kChannels;
  if ((sizeof(Element) == 1 && !kOfPairs && !kOfImage) || conv.tiles == nullptr || pixels < kTileRows) {
    span_of_blocks<Element, kOutputs, kStride>(taps, conv, block, stride, count, accumulators);
  } else if constexpr (sizeof(Element) == 2) {
    static_assert(kOutputs == kChannels && kStride == kTileBytes);
    const TileSteps steps = TileSteps::of(conv, taps, kStride);
    alignas(64) std::int32_t high[kLongestSpan * kBlock];
    span_of_points<Signs::kWeights, Signs::kBoth>(TileSpan(steps, conv, block, pixels), {accumulators, high});
    add_high_sums<kChannels>(accumulators, high, pixels, accumulators, kChannels);
  } else if constexpr (kOfImage) {
    span_of_image<kStride>(taps, conv, block, pixels, accumulators);
  } else if constexpr (kOfPairs) {
    const TileSteps steps = TileSteps::of(conv, taps, kStride);
    span_of_bytes<kOutputs>(TileSpan(steps, conv, block, pixels), accumulators);
  }
}

// The norms of `count` blocks of squares (SPEC §2.4). Neither squares nor gamma are signed.
using Norms = SplitSums;
inline void gamma_span(const std::int16_t* squares, const PackedConv& gamma, std::int32_t count, const Norms& norms) {
  const std::uint8_t* tap = bytes(squares);
  constexpr int kStride = kChannels * sizeof(std::int16_t);
  const TileSteps steps = TileSteps::of(gamma, &tap, kStride);
  span_of_points<Signs::kNone, Signs::kNone>(TileSpan(steps, gamma, 0, count * kBlockPixels), norms);
}

}  // namespace treenet::cpu::TREENET_ISA

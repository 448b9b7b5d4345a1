// Spans of blocks of a convolution by matrix tiles (matrix_tiles.h), 16 pixels by 16 outputs.
//
// 64 bytes of a pixel are multiplied at a time, a step. PackedConv::tiles has B in the order of their use:
//   tiles[block][16 outputs][step][16 rows][64 bytes]          32 channels, of one byte, of two neighbouring taps of a
//                                                              3x3 convolution; behind the last one weights are zero
//   tiles[block][16 outputs][step][low, high][16 rows][64 bytes]   32 channels of s16 as they are: weights for their
//   low
//                                                                  bytes, and for their high ones, in sums of their own
// What is not of that shape, or of fewer than 16 pixels, goes by blocks.
//
// Products of tiles and instructions on vectors wait for each other (they share ports), so nothing is gained by taking
// turns at a span's products and the rest of another one's work.
#pragma once

#include <type_traits>
#include <utility>

#include "cpu/conv_span.h"
#include "cpu/matrix_tiles.h"

namespace treenet::cpu::TREENET_ISA {

inline constexpr bool kMatrixTiles = true;

// Calls function(0), function(1), ... with numbers that are known when compiled.
template <int kCount, class Function>
inline void unrolled(Function function) {
  [&]<int... k>(std::integer_sequence<int, k...>) {
    (function(std::integral_constant<int, k>{}), ...);
  }(std::make_integer_sequence<int, kCount>{});
}

// The steps of a convolution: where the first pixel's bytes are, and how far apart pixels lie.
struct TileSteps {
  const std::uint8_t* from[kMaximumTileSteps];
  int count;
  std::ptrdiff_t stride;

  // Of 32 bytes a pixel, for a 1x1 convolution or a 3x3.
  static TileSteps of_point(const std::uint8_t* const* taps, std::ptrdiff_t stride) { return {{taps[0]}, 1, stride}; }
  static TileSteps of_pairs(const std::uint8_t* const* taps, std::ptrdiff_t stride) {
    return {{taps[0], taps[2], taps[3], taps[5], taps[6], taps[8]}, 6, stride};
  }
  // Of s16.
  static TileSteps of_wide(const std::uint8_t* const* taps, const PackedConv& conv, std::ptrdiff_t stride) {
    TileSteps steps{{}, 0, stride};
    for (int t = 0; t < conv.taps; ++t) {
      for (int byte = 0; byte < 4 * conv.groups; byte += kTileBytes) steps.from[steps.count++] = taps[t] + byte;
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

// s16 have sums of low bytes and sums of high ones, and accumulators are low + (high << 8), which takes a pass of its
// own: what a tile has stored cannot be loaded soon.
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

// s16 as they are to 32 outputs, like multiply_bytes: tiles of low sums and of high ones take turns.
template <int kHigh, int kWide>
inline void multiply_wide(const TileSpan& span, int tile, int output, std::int32_t* low, std::int32_t* high) {
  static_assert(kHigh * kWide <= 2);
  const int first[2] = {span.first(tile), span.first(tile + kHigh - 1)};
  constexpr auto sums = [](int m, int n) { return 2 * (m * kWide + n); };
  unrolled<kWide>([&](auto n) {
    unrolled<kHigh>([&](auto m) {
      load_tile<sums(m, n)>(span.bias + output + kTileSums * n, 0);
      zero_tile<sums(m, n) + 1>();
    });
  });
  for (int k = 0; k < span.steps.count; ++k) {
    unrolled<kHigh>([&](auto m) { load_tile<4 + m>(span.pixel(k, first[m]), span.steps.stride); });
    unrolled<kWide>([&](auto n) {
      load_tile<6>(span.tile(output + kTileSums * n, 2 * k), kTileBytes);
      unrolled<kHigh>([&](auto m) { multiply_tiles<Signs::kWeights, sums(m, n), 4 + m, 6>(); });
      load_tile<7>(span.tile(output + kTileSums * n, 2 * k + 1), kTileBytes);
      unrolled<kHigh>([&](auto m) { multiply_tiles<Signs::kBoth, sums(m, n) + 1, 4 + m, 7>(); });
    });
  }
  constexpr std::ptrdiff_t kRow = kChannels * sizeof(std::int32_t);
  unrolled<kHigh>([&](auto m) {
    unrolled<kWide>([&](auto n) {
      const std::ptrdiff_t at = first[m] * kChannels + output + kTileSums * n;
      store_tile<sums(m, n)>(low + at, kRow);
      store_tile<sums(m, n) + 1>(high + at, kRow);
    });
  });
}

// At most kLongestSpan blocks.
inline void span_of_wide(const TileSpan& span, std::int32_t* accumulators) {
  alignas(64) std::int32_t high[kLongestSpan * kBlock];
  const int tiles = span.tiles();
  for (int output = 0; output < kChannels; output += kTileSums) {
    for (int m = 0; m + 1 < tiles; m += 2) multiply_wide<2, 1>(span, m, output, accumulators, high);
  }
  if (tiles % 2 != 0) multiply_wide<1, 2>(span, tiles - 1, 0, accumulators, high);
  add_high_sums<kChannels>(accumulators, high, span.pixels, accumulators, kChannels);
}

// The same in a single step. A product takes 52 cycles, so half of a tile's sums are not stored before the other half
// is begun.
template <Signs kLow, Signs kHigh>
inline void span_of_points(const TileSpan& span, std::int32_t* accumulators) {
  constexpr std::ptrdiff_t kRow = kChannels * sizeof(std::int32_t);
  alignas(64) std::int32_t high[kLongestSpan * kBlock];
  const auto store_second = [&](int first) {
    store_tile<2>(accumulators + first * kChannels + kTileSums, kRow);
    store_tile<3>(high + first * kChannels + kTileSums, kRow);
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
    store_tile<0>(accumulators + first * kChannels, kRow);
    store_tile<1>(high + first * kChannels, kRow);
  }
  store_second(span.first(span.tiles() - 1));
  add_high_sums<kChannels>(accumulators, high, span.pixels, accumulators, kChannels);
}

// Lines of s16 x 32 as two planes, of low bytes and of high ones, for 3x3 convolutions: a step has 32 channels of two
// neighbouring taps, so there are two thirds of the products that there were without, and a third of the weights.
template <int kSlots>
class SplitLines {
 public:
  static SplitLines make(Arena& arena, std::int32_t pixels) {
    SplitLines lines;
    lines.plane_ = LineRing<std::uint8_t, kSlots>::rounded(static_cast<std::ptrdiff_t>(pixels) * kChannels);
    lines.ring_ = LineRing<std::uint8_t, kSlots>::make(arena, 2 * lines.plane_);
    lines.line_ = arena.take<std::int16_t>(static_cast<std::size_t>(lines.plane_));
    return lines;
  }
  static constexpr std::size_t scratch_bytes(std::int32_t pixels) {
    return (static_cast<std::size_t>(pixels) * kChannels + 63) * 2 * (kSlots + 1);
  }

  std::int16_t* begin(std::int32_t) const { return line_; }
  // Two pixels at a time.
  void end(std::int32_t row, std::int32_t pixels) const {
    std::uint8_t* low = ring_.at(row);
    for (std::ptrdiff_t i = 0; i < static_cast<std::ptrdiff_t>(pixels) * kChannels; i += 2 * kChannels) {
      split_pixels(line_ + i, low + i, low + plane_ + i);
    }
  }

  const std::uint8_t* at(std::int32_t row, std::int32_t pixel) const {
    return ring_.at(row) + static_cast<std::ptrdiff_t>(pixel) * kChannels;
  }

  // As InputLines::span. There is to be room for 16 pixels, and as many are read.
  template <int kOutputs, int kStep>
  void span(const std::uint8_t* const* taps, const PackedConv& conv, std::int32_t block, std::int32_t count,
            std::int32_t* accumulators) const {
    const TileSteps steps =
        conv.taps == 1 ? TileSteps::of_point(taps, kStep * kChannels) : TileSteps::of_pairs(taps, kStep * kChannels);
    const TileSpan span(steps, conv, block, count * (kBlock / kOutputs));
    // Sums of 16 pixels and 32 outputs become accumulators while the next ones are multiplied.
    constexpr int kWide = 2 * kTileSums;
    alignas(64) std::int32_t low[2][kTileRows * kWide], high[2][kTileRows * kWide];
    std::int32_t* before = nullptr;
    int turn = 0;
    for (int output = 0; output < kOutputs; output += kWide) {
      for (int tile = 0; tile < span.tiles(); ++tile, turn ^= 1) {
        multiply(span, span.first(tile), output, low[turn], high[turn]);
        if (before != nullptr) add_high_sums<kWide>(low[turn ^ 1], high[turn ^ 1], kTileRows, before, kOutputs);
        before = accumulators + span.first(tile) * kOutputs + output;
      }
    }
    add_high_sums<kWide>(low[turn ^ 1], high[turn ^ 1], kTileRows, before, kOutputs);
  }

 private:
  void multiply(const TileSpan& span, int first, int output, std::int32_t* low, std::int32_t* high) const {
    load_tile<0>(span.bias + output, 0);
    zero_tile<1>();
    load_tile<2>(span.bias + output + kTileSums, 0);
    zero_tile<3>();
    for (int k = 0; k < span.steps.count; ++k) {
      load_tile<4>(span.pixel(k, first), span.steps.stride);
      load_tile<6>(span.tile(output, k), kTileBytes);
      multiply_tiles<Signs::kWeights, 0, 4, 6>();
      load_tile<5>(span.pixel(k, first) + plane_, span.steps.stride);
      multiply_tiles<Signs::kBoth, 1, 5, 6>();
      load_tile<7>(span.tile(output + kTileSums, k), kTileBytes);
      multiply_tiles<Signs::kWeights, 2, 4, 7>();
      multiply_tiles<Signs::kBoth, 3, 5, 7>();
    }
    constexpr std::ptrdiff_t kRow = 2 * kTileBytes;
    store_tile<0>(low, kRow);
    store_tile<1>(high, kRow);
    store_tile<2>(low + kTileSums, kRow);
    store_tile<3>(high + kTileSums, kRow);
  }

  LineRing<std::uint8_t, kSlots> ring_;
  std::ptrdiff_t plane_;  // bytes from low ones to high ones
  std::int16_t* line_;    // while it is written
};

template <class Element, int kOutputs, int kStride>
inline void conv_span(const std::uint8_t* const* taps, const PackedConv& conv, std::int32_t block,
                      std::ptrdiff_t stride, std::int32_t count, std::int32_t* accumulators) {
  const int pixels = count * (kBlock / kOutputs);
  constexpr bool kOfPairs = sizeof(Element) == 1 && kStride == kChannels;
  if ((sizeof(Element) == 1 && !kOfPairs) || conv.tiles == nullptr || pixels < kTileRows) {
    span_of_blocks<Element, kOutputs, kStride>(taps, conv, block, stride, count, accumulators);
  } else if constexpr (sizeof(Element) == 2) {
    const TileSteps steps = TileSteps::of_wide(taps, conv, kStride != 0 ? kStride : stride);
    const TileSpan span(steps, conv, block, pixels);
    static_assert(kOutputs == kChannels);
    if (steps.count == 1) {
      span_of_points<Signs::kWeights, Signs::kBoth>(span, accumulators);
    } else {
      span_of_wide(span, accumulators);
    }
  } else if constexpr (kOfPairs) {
    const TileSteps steps = TileSteps::of_pairs(taps, kStride);
    span_of_bytes<kOutputs>(TileSpan(steps, conv, block, pixels), accumulators);
  }
}

// The norms of `count` blocks of squares (SPEC §2.4). Neither squares nor gamma are signed.
inline void gamma_span(const std::int16_t* squares, const PackedConv& gamma, std::int32_t count, std::int32_t* norms) {
  const std::uint8_t* tap = bytes(squares);
  constexpr int kStride = kChannels * sizeof(std::int16_t);
  if (count * kBlockPixels < kTileRows) {
    span_of_blocks<std::int16_t, kChannels, kStride>(&tap, gamma, 0, 0, count, norms);
  } else {
    const TileSteps steps = TileSteps::of_wide(&tap, gamma, kStride);
    span_of_points<Signs::kNone, Signs::kNone>(TileSpan(steps, gamma, 0, count * kBlockPixels), norms);
  }
}

}  // namespace treenet::cpu::TREENET_ISA

// Tiles of activations in shared memory: planes of 32 bytes a position; s16 activations as two of them, of their low
// and of their high bytes. And the convolution of a warp's positions from such a tile.
#pragma once

#include <cstddef>
#include <type_traits>

#include "cuda/fragments.h"

namespace treenet::cuda {

// A position's channels 0..15 lie in the first half of a plane, 16..31 in the second: rows of 16 bytes, which ldmatrix
// reads without conflicts where positions follow each other.
inline constexpr int kHalfRow = 16;

// From a plane's first half to its second. An odd number of 64 bytes: what lanes store to both at once is in different
// banks.
__device__ __forceinline__ constexpr int half_bytes(int positions) {
  return (positions * kHalfRow + 63) / 128 * 128 + 64;
}
__device__ __forceinline__ constexpr int plane_bytes(int positions) { return 2 * half_bytes(positions); }

// Where channels 8t..8t+7 of position `index` are.
__device__ __forceinline__ int owned_at(int index, int t, int half) {
  return t / 2 * half + index * kHalfRow + t % 2 * kOwned;
}

// The owned channels of a position, packed as an activation is stored.
template <bool kWide>
using Packed = std::conditional_t<kWide, uint4, uint2>;

// Stores them to a tile, s16 from one plane to the other.
__device__ __forceinline__ void store_packed(std::uint8_t* to, int, const uint2& bytes) {
  *reinterpret_cast<uint2*>(to) = bytes;
}
__device__ __forceinline__ void store_packed(std::uint8_t* to, int plane, const uint4& words) {
  const Planes planes = split(words);
  *reinterpret_cast<uint2*>(to) = planes.low;
  *reinterpret_cast<uint2*>(to + plane) = planes.high;
}

// Loads rows x columns positions from (row0, column0) on of a dense plane [height, width, 32], all kThreads of the
// block together; what lies outside is the zero point. `index(r, c)` is where in the tile a position goes, `convert`
// what becomes of eight channels from 8 * quarter on, and of zeros zeros.
template <bool kWide, int kThreads, int kTileRows, int kTileColumns, class Index, class Convert>
__device__ __forceinline__ void load_tile(const void* plane, int height, int width, int row0, int column0,
                                          std::int32_t zero, std::uint8_t* tile, int half, Index index,
                                          Convert convert) {
  using Words = Packed<kWide>;
  constexpr int kQuarters = kChannels / kOwned, kPieces = kTileRows * kTileColumns * kQuarters;
  constexpr int kAtOnce = 4;  // loads of a thread before the first of them is waited for
  Words outside{};
  if constexpr (!kWide) outside.x = outside.y = static_cast<std::uint32_t>(zero) * 0x01010101u;
  for (int first = static_cast<int>(threadIdx.x); first < kPieces; first += kAtOnce * kThreads) {
    Words words[kAtOnce];
#pragma unroll
    for (int k = 0; k < kAtOnce; ++k) {
      const int i = first + k * kThreads, position = i / kQuarters;
      const int row = row0 + position / kTileColumns, column = column0 + position % kTileColumns;
      words[k] = outside;
      if (i < kPieces && row >= 0 && row < height && column >= 0 && column < width) {
        const std::ptrdiff_t at = static_cast<std::ptrdiff_t>(row) * width + column;
        words[k] = __ldg(static_cast<const Words*>(plane) + at * kQuarters + i % kQuarters);
      }
    }
#pragma unroll
    for (int k = 0; k < kAtOnce; ++k) {
      const int i = first + k * kThreads, position = i / kQuarters;
      if (i >= kPieces) break;
      const int to = index(position / kTileColumns, position % kTileColumns);
      store_packed(tile + owned_at(to, i % kQuarters, half), 2 * half, convert(words[k], i % kQuarters));
    }
  }
}

struct Unchanged {
  template <class Words>
  __device__ __forceinline__ Words operator()(const Words& words, int) const {
    return words;
  }
};

// The gain of the synthesis (SPEC §6) on eight s16 values.
struct Gain {
  const float* factors;  // [32]

  __device__ __forceinline__ uint4 operator()(const uint4& words, int quarter) const {
    const Owned<float> factor = load_owned(factors, quarter);
    Owned<std::int32_t> v;
    const std::uint32_t in[4] = {words.x, words.y, words.z, words.w};
#pragma unroll
    for (int c = 0; c < kOwned; ++c) {
      const std::int16_t value = static_cast<std::int16_t>(c % 2 ? in[c / 2] >> 16 : in[c / 2] & 0xFFFF);
      v.value[c] = to_activation<true>(scaled(value, factor.value[c]), 0);
    }
    return pack_words(v);
  }
};

// The place of operand A of 16 positions that start at `tile`: lane l gives that of the first or second half of
// position l % 16, whose index is index(l % 16).
template <class Index>
__device__ __forceinline__ SharedRow operand_row(const std::uint8_t* tile, int half, const Lane& lane, Index index) {
  return shared_row(tile + lane.number() / kRows * half + index(lane.number() % kRows) * kHalfRow);
}

// Adds to kTiles times 16 positions the products with one plane of bytes. Tap (u, v) of the positions at `row` is at
// column(row, v) + u * pitch; weights are in order of rows. Where kUnrolled, the compiler loads weights well ahead, for
// which it needs registers; otherwise those of a row of taps at a time.
template <Signedness kInput, int kTapRows, int kTapColumns, bool kUnrolled, int kTiles, class Column>
__device__ __forceinline__ void convolve_plane(Sums (&sums)[kTiles], const uint4* weights, const Lane& lane,
                                               const SharedRow (&rows)[kTiles], int pitch, Column column) {
  const uint4* own = weights + lane.number();
  SharedRow at[kTiles];
#pragma unroll
  for (int m = 0; m < kTiles; ++m) at[m] = rows[m];
#pragma unroll(kUnrolled ? kTapRows : 1)
  for (int u = 0; u < kTapRows; ++u) {
#pragma unroll
    for (int v = 0; v < kTapColumns; ++v) {
      const GroupWeights w = load_weights(own + v * kStepWords);
#pragma unroll
      for (int m = 0; m < kTiles; ++m) {
        FragmentA a;
        load_matrices(a, column(at[m], v));
        multiply<kInput>(sums[m], a, w);
      }
    }
    own += kTapColumns * kStepWords;
#pragma unroll
    for (int m = 0; m < kTiles; ++m) at[m] = at[m] + pitch;
  }
}

// Sums of one group of 32 outputs of a convolution of 32 channels, bias included. `plane` is from the plane of low
// bytes to that of high bytes.
template <bool kWide, int kTapRows, int kTapColumns, bool kUnrolled, int kTiles, class Column>
__device__ __forceinline__ void convolve(Sums (&sums)[kTiles], const Conv& conv, int group,
                                         const SharedRow (&rows)[kTiles], int plane, const Lane& lane, int pitch,
                                         Column column) {
  const uint4* weights = conv.weights + group * kTapRows * kTapColumns * kStepWords;
  if constexpr (kWide) {
#pragma unroll
    for (int m = 0; m < kTiles; ++m) sums[m] = Sums{};
    convolve_plane<Signedness::kS8, kTapRows, kTapColumns, kUnrolled>(
        sums, weights, lane, rows, pitch, [&](SharedRow row, int v) { return column(row, v) + plane; });
    const Owned<std::int32_t> bias = load_owned(conv.bias + kChannels * group, lane.t);
#pragma unroll
    for (int m = 0; m < kTiles; ++m) shift_to_low(sums[m], bias);
  } else {
    const Owned<std::int32_t> bias = load_owned(conv.bias + kChannels * group, lane.t);
#pragma unroll
    for (int m = 0; m < kTiles; ++m) set_bias(sums[m], bias);
  }
  convolve_plane<Signedness::kU8, kTapRows, kTapColumns, kUnrolled>(sums, weights, lane, rows, pitch, column);
}

template <bool kWide>
__device__ __forceinline__ Packed<kWide> pack(const Owned<std::int32_t>& v) {
  if constexpr (kWide) {
    return pack_words(v);
  } else {
    return pack_bytes(v);
  }
}

// Stores the packed channels of a position to a dense plane.
template <class Words>
__device__ __forceinline__ void store_activation(void* plane, std::ptrdiff_t position, int t, const Words& packed) {
  static_assert(std::is_same_v<Words, Packed<true>> || std::is_same_v<Words, Packed<false>>);
  constexpr std::ptrdiff_t kLanes = kChannels / kOwned;
  static_cast<Words*>(plane)[position * kLanes + t] = packed;
}

// Adds them to sums over positions.
__device__ __forceinline__ void add_packed(Owned<std::int32_t>& total, const uint2& bytes) {
#pragma unroll
  for (int c = 0; c < kOwned; ++c) {
    const unsigned sum = static_cast<unsigned>(total.value[c]);
    total.value[c] = static_cast<std::int32_t>(__dp4a(c < 4 ? bytes.x : bytes.y, 1u << (8 * (c % 4)), sum));
  }
}
__device__ __forceinline__ void add_packed(Owned<std::int32_t>& total, const uint4& words) {
  const std::uint32_t pairs[4] = {words.x, words.y, words.z, words.w};
#pragma unroll
  for (int c = 0; c < kOwned; ++c) {
    total.value[c] = __dp2a_lo(static_cast<int>(pairs[c / 2]), c % 2 ? 0x0100 : 0x0001, total.value[c]);
  }
}

// Adds a block's sums over positions, 32 channels, to those of the whole image. Every lane brings the sum over its own
// rows; `shared` are 32 integers of the block, zero before the first call.
__device__ __forceinline__ void add_to_block(std::int32_t* shared, Owned<std::int32_t> sum, const Lane& lane) {
#pragma unroll
  for (int c = 0; c < kOwned; ++c) {
    std::int32_t v = sum.value[c];
    v += __shfl_xor_sync(kAllLanes, v, 4);
    v += __shfl_xor_sync(kAllLanes, v, 8);
    v += __shfl_xor_sync(kAllLanes, v, 16);
    if (lane.g == 0) atomicAdd(shared + kOwned * lane.t + c, v);
  }
}
__device__ __forceinline__ void add_to_image(unsigned long long* image, const std::int32_t* shared) {
  if (threadIdx.x < kChannels) {
    atomicAdd(image + threadIdx.x, static_cast<unsigned long long>(static_cast<long long>(shared[threadIdx.x])));
  }
}

}  // namespace treenet::cuda

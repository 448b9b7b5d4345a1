// Tiles of activations in shared memory: 32 bytes a position, channels in order; s16 activations as two such planes, of
// their low and of their high bytes. And the convolution of a warp's positions from such a tile.
#pragma once

#include <cstddef>
#include <type_traits>

#include "cuda/fragments.h"

namespace treenet::cuda {

inline constexpr int kPositionBytes = 32;

// Loads rows x columns positions from (row0, column0) on of a dense plane [height, width, 32], all threads of the block
// together; what lies outside is the zero point. `index(r, c)` is where in the tile a position goes, `convert` what
// becomes of eight s16 channels from 8 * quarter on.
template <bool kWide, class Index, class Convert>
__device__ __forceinline__ void load_tile(const void* plane, int height, int width, int row0, int column0, int rows,
                                          int columns, std::int32_t zero, std::uint8_t* tile, int plane_bytes,
                                          Index index, Convert convert) {
  const std::uint32_t outside = static_cast<std::uint32_t>(zero) * 0x01010101u;
  for (int i = static_cast<int>(threadIdx.x); i < rows * columns * 4; i += static_cast<int>(blockDim.x)) {
    const int position = i / 4, quarter = i % 4;
    const int r = position / columns, c = position - r * columns;
    const int row = row0 + r, column = column0 + c;
    const bool inside = row >= 0 && row < height && column >= 0 && column < width;
    const std::ptrdiff_t at = (static_cast<std::ptrdiff_t>(row) * width + column) * kChannels + kOwned * quarter;
    std::uint8_t* to = tile + index(r, c) * kPositionBytes + kOwned * quarter;
    if constexpr (kWide) {
      Planes planes{};
      if (inside) {
        planes = split(
            convert(__ldg(reinterpret_cast<const uint4*>(static_cast<const std::int16_t*>(plane) + at)), quarter));
      }
      *reinterpret_cast<uint2*>(to) = planes.low;
      *reinterpret_cast<uint2*>(to + plane_bytes) = planes.high;
    } else {
      *reinterpret_cast<uint2*>(to) =
          inside ? __ldg(reinterpret_cast<const uint2*>(static_cast<const std::uint8_t*>(plane) + at))
                 : uint2{outside, outside};
    }
  }
}

struct Unchanged {
  __device__ __forceinline__ uint4 operator()(const uint4& words, int) const { return words; }
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

// Where a lane's two positions of one tile of 16 lie in shared memory, its owned channels' first byte.
struct Rows {
  const std::uint8_t* at[2];
};

// Adds to kTiles times 16 positions the products with one plane of bytes. Tap k is `offset(k)` bytes from the
// positions; its weights follow those of tap k-1.
template <Signedness kInput, int kTaps, int kTiles, class Offset>
__device__ __forceinline__ void convolve_plane(Sums (&sums)[kTiles], const uint4* weights, const Rows (&rows)[kTiles],
                                               Offset offset) {
#pragma unroll 3
  for (int tap = 0; tap < kTaps; ++tap) {
    const GroupWeights w = load_weights(weights + tap * kStepWords);
    const int shift = offset(tap);
#pragma unroll
    for (int m = 0; m < kTiles; ++m) {
      FragmentA a;
      set_operand(a, *reinterpret_cast<const uint2*>(rows[m].at[0] + shift),
                  *reinterpret_cast<const uint2*>(rows[m].at[1] + shift));
      multiply<kInput>(sums[m], a, w);
    }
  }
}

// Sums of one group of 32 outputs of a convolution of 32 channels, bias included.
template <bool kWide, int kTaps, int kTiles, class Offset>
__device__ __forceinline__ void convolve(Sums (&sums)[kTiles], const Conv& conv, int group, const Rows (&rows)[kTiles],
                                         int plane_bytes, int t, Offset offset) {
  const uint4* weights = conv.weights + group * kTaps * kStepWords;
  const Owned<std::int32_t> bias = load_owned(conv.bias + kChannels * group, t);
  if constexpr (kWide) {
#pragma unroll
    for (int m = 0; m < kTiles; ++m) sums[m] = Sums{};
    convolve_plane<Signedness::kS8, kTaps>(sums, weights, rows, [&](int tap) { return offset(tap) + plane_bytes; });
#pragma unroll
    for (int m = 0; m < kTiles; ++m) shift_to_low(sums[m], bias);
  } else {
#pragma unroll
    for (int m = 0; m < kTiles; ++m) set_bias(sums[m], bias);
  }
  convolve_plane<Signedness::kU8, kTaps>(sums, weights, rows, offset);
}

// Stores the owned channels of a row to a tile, or as an activation of a dense plane.
__device__ __forceinline__ void store_bytes(std::uint8_t* to, const Owned<std::int32_t>& v) {
  *reinterpret_cast<uint2*>(to) = pack_bytes(v);
}
__device__ __forceinline__ void store_words(std::uint8_t* to, int plane_bytes, const Owned<std::int32_t>& v) {
  const Planes planes = split(pack_words(v));
  *reinterpret_cast<uint2*>(to) = planes.low;
  *reinterpret_cast<uint2*>(to + plane_bytes) = planes.high;
}
__device__ __forceinline__ uint2 load_bytes(const std::uint8_t* from) { return *reinterpret_cast<const uint2*>(from); }
template <bool kWide>
__device__ __forceinline__ void store_activation(void* plane, std::ptrdiff_t position, int t,
                                                 const Owned<std::int32_t>& v) {
  const std::ptrdiff_t at = position * kChannels + kOwned * t;
  if constexpr (kWide) {
    *reinterpret_cast<uint4*>(static_cast<std::int16_t*>(plane) + at) = pack_words(v);
  } else {
    *reinterpret_cast<uint2*>(static_cast<std::uint8_t*>(plane) + at) = pack_bytes(v);
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

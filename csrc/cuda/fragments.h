// How a warp works on 16 positions and 32 channels at a time: the layout that all kernels share, and the steps on it.
//
// Lane (g, t), g = lane / 4, t = lane % 4, owns channels 8t..8t+7 of positions g and g+8, "rows" h = 0 and 1. It loads
// and stores them as 8 (u8) or 16 (s16) bytes in one piece. The tensor cores leave the order of the inner index and of
// the output columns open, so weights are packed (weights.h) such that a lane's owned channels are its part of the
// results of four products. Where they are its part of operand A, too, one product's results become the next one's
// operand without crossing lanes; from a tile in shared memory ldmatrix hands every lane its part (tile.h).
#pragma once

#include <type_traits>

#include "cuda/mma.h"
#include "cuda/weights.h"

namespace treenet::cuda {

inline constexpr int kChannels = 32;
inline constexpr int kRows = 16;  // positions of a warp's tile
inline constexpr int kOwned = 8;  // channels of a lane

struct Lane {
  int g, t;

  __device__ __forceinline__ int number() const { return 4 * g + t; }
};
__device__ __forceinline__ Lane this_lane() {
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  return {lane / 4, lane % 4};
}
// The lane in pass `pass` of a loop, 0 to 2^30 - 1. It is the same in all, which the compiler does not know: what is
// loaded by it is loaded in each pass, where otherwise the weights of all would be kept in registers that are not
// there.
__device__ __forceinline__ Lane in_pass(Lane lane, int pass) {
  lane.t += unknown(pass) >> 30;
  return lane;
}

// Sums of 32 outputs at 16 positions: at(h, c) is owned channel c of row h.
struct Sums {
  FragmentD d[4];

  __device__ __forceinline__ std::int32_t& at(int h, int c) { return d[c / 2][2 * h + c % 2]; }
  __device__ __forceinline__ std::int32_t at(int h, int c) const { return d[c / 2][2 * h + c % 2]; }
};

// Values of the lane's owned channels, one per channel of a row.
template <class T>
struct Owned {
  T value[kOwned];
};

// Owned channels of a per-channel array, from 8t on; 16-byte loads.
template <class T>
__device__ __forceinline__ Owned<T> load_owned(const T* values, int t) {
  static_assert(sizeof(T) == 4);
  const uint4 low = __ldg(reinterpret_cast<const uint4*>(values + kOwned * t));
  const uint4 high = __ldg(reinterpret_cast<const uint4*>(values + kOwned * t) + 1);
  Owned<T> owned;
  const std::uint32_t words[kOwned] = {low.x, low.y, low.z, low.w, high.x, high.y, high.z, high.w};
#pragma unroll
  for (int c = 0; c < kOwned; ++c) {
    if constexpr (std::is_same_v<T, float>) {
      owned.value[c] = __uint_as_float(words[c]);
    } else {
      owned.value[c] = static_cast<T>(words[c]);
    }
  }
  return owned;
}

// ---- operand A ------------------------------------------------------------------------------------------------------

// Eight bytes: channels 8t..8t+3 and 8t+4..8t+7 of one position. Values are clamped to the bytes' range.
__device__ __forceinline__ uint2 pack_bytes(const Owned<std::int32_t>& v) {
  return {pack_u8(v.value[0], v.value[1], v.value[2], v.value[3]),
          pack_u8(v.value[4], v.value[5], v.value[6], v.value[7])};
}

// The same of s16 values; and these split into their low and high bytes.
__device__ __forceinline__ uint4 pack_words(const Owned<std::int32_t>& v) {
  return {pack_s16(v.value[0], v.value[1]), pack_s16(v.value[2], v.value[3]), pack_s16(v.value[4], v.value[5]),
          pack_s16(v.value[6], v.value[7])};
}
struct Planes {
  uint2 low, high;
};
__device__ __forceinline__ Planes split(const uint4& words) {
  return {{__byte_perm(words.x, words.y, 0x6420), __byte_perm(words.z, words.w, 0x6420)},
          {__byte_perm(words.x, words.y, 0x7531), __byte_perm(words.z, words.w, 0x7531)}};
}

// The planes of values of 0 to 65535, which need no words between.
__device__ __forceinline__ Planes split(const Owned<std::int32_t>& v) {
  std::uint32_t pair[4];  // the low bytes of two values, then their high bytes
#pragma unroll
  for (int i = 0; i < 4; ++i) pair[i] = __byte_perm(v.value[2 * i], v.value[2 * i + 1], 0x5140);
  return {{__byte_perm(pair[0], pair[1], 0x5410), __byte_perm(pair[2], pair[3], 0x5410)},
          {__byte_perm(pair[0], pair[1], 0x7632), __byte_perm(pair[2], pair[3], 0x7632)}};
}

// The two rows' bytes as operand A.
__device__ __forceinline__ void set_operand(FragmentA& a, const uint2& row0, const uint2& row1) {
  a[0] = row0.x;
  a[1] = row1.x;
  a[2] = row0.y;
  a[3] = row1.y;
}

// ---- products -------------------------------------------------------------------------------------------------------

enum class Signedness { kU8, kS8 };

template <Signedness kInput>
__device__ __forceinline__ void multiply(FragmentD& d, const FragmentA& a, std::uint32_t b0, std::uint32_t b1) {
  if constexpr (kInput == Signedness::kU8) {
    mma_u8_s8(d, a, b0, b1);
  } else {
    mma_s8_s8(d, a, b0, b1);
  }
}

// Operand B of the four products of a group, a tap and a k-step.
struct GroupWeights {
  uint4 first, second;
};
// `own` is where the lane's own begin.
__device__ __forceinline__ GroupWeights load_weights(const uint4* own) { return {__ldg(own), __ldg(own + kWarp)}; }
__device__ __forceinline__ GroupWeights load_weights(const uint4* step, const Lane& lane) {
  return load_weights(step + lane.number());
}
inline constexpr int kStepWords = 2 * kWarp;  // of uint4, from one k-step's weights to the next

template <Signedness kInput>
__device__ __forceinline__ void multiply(Sums& sums, const FragmentA& a, const GroupWeights& w) {
  multiply<kInput>(sums.d[0], a, w.first.x, w.first.y);
  multiply<kInput>(sums.d[1], a, w.first.z, w.first.w);
  multiply<kInput>(sums.d[2], a, w.second.x, w.second.y);
  multiply<kInput>(sums.d[3], a, w.second.z, w.second.w);
}

__device__ __forceinline__ void set_bias(Sums& sums, const Owned<std::int32_t>& bias) {
#pragma unroll
  for (int c = 0; c < kOwned; ++c) sums.at(0, c) = sums.at(1, c) = bias.value[c];
}

// From the products with the high bytes of s16 inputs to where those with the low bytes are added. The whole sum fits
// 32 bits (SPEC §9); a part of it may wrap on the way.
__device__ __forceinline__ void shift_to_low(Sums& sums, const Owned<std::int32_t>& bias) {
#pragma unroll
  for (int h = 0; h < 2; ++h) {
#pragma unroll
    for (int c = 0; c < kOwned; ++c) {
      sums.at(h, c) = static_cast<std::int32_t>((static_cast<std::uint32_t>(sums.at(h, c)) << 8) +
                                                static_cast<std::uint32_t>(bias.value[c]));
    }
  }
}

// ---- specified float steps (SPEC §2) --------------------------------------------------------------------------------

__device__ __forceinline__ float scaled(std::int32_t sum, float multiplier) {
  return __fmul_rn(__int2float_rn(sum), multiplier);
}

// clamp(rne(value) + zero, low, high); the bounds are exact floats, and rounding is monotone.
__device__ __forceinline__ std::int32_t rounded(float value, std::int32_t zero, std::int32_t low, std::int32_t high) {
  const float bottom = __int2float_rn(low - zero), top = __int2float_rn(high - zero);
  return __float2int_rn(fminf(fmaxf(value, bottom), top)) + zero;
}

// rne(value) + zero, which pack_words or pack_bytes clamps. No sum overflows: values beyond the integers become the
// last of them, and where something is added large ones are made smaller, still beyond what a byte holds.
template <bool kWide>
__device__ __forceinline__ std::int32_t to_activation(float value, std::int32_t zero) {
  if constexpr (kWide) {
    return __float2int_rn(value);
  } else {
    return __float2int_rn(fminf(value, 512.0f)) + zero;
  }
}

// requantise or requantise_leaky of one row of a group of 32 outputs, to be packed.
template <bool kWide, bool kLeaky>
__device__ __forceinline__ Owned<std::int32_t> requantise(const Sums& sums, int h, const Conv& conv, int group, int t,
                                                          std::int32_t zero) {
  const Owned<float> multiplier = load_owned(conv.multiplier + kChannels * group, t);
  Owned<float> negative = multiplier;
  if constexpr (kLeaky) negative = load_owned(conv.negative + kChannels * group, t);
  Owned<std::int32_t> result;
#pragma unroll
  for (int c = 0; c < kOwned; ++c) {
    const std::int32_t sum = sums.at(h, c);
    const float m = kLeaky && sum < 0 ? negative.value[c] : multiplier.value[c];
    result.value[c] = to_activation<kWide>(scaled(sum, m), zero);
  }
  return result;
}

// The correctly rounded square root of numbers of [1, 2^31], without __fsqrt_rn's way out for others: Newton's steps,
// which are right from every estimate of its inverse within 2^-14 (tests/native/test_roots.cpp).
__device__ __forceinline__ float root_from(float value, float inverse_estimate) {
  float root = __fmul_rn(value, inverse_estimate);
  float half_inverse = __fmul_rn(inverse_estimate, 0.5f);
  const float error = __fmaf_rn(-root, half_inverse, 0.5f);
  root = __fmaf_rn(root, error, root);
  half_inverse = __fmaf_rn(half_inverse, error, half_inverse);
  return __fmaf_rn(__fmaf_rn(-root, root, value), half_inverse, root);
}
__device__ __forceinline__ float root_of(float value) { return root_from(value, inverse_root_estimate(value)); }

// GDN or its inverse of both rows: g[h][c] from a convolution's sums.
template <bool kInverse>
__device__ __forceinline__ void normalise(const Sums& sums, const Gdn& gdn, const Lane& lane, Owned<float> (&g)[2]) {
  const Owned<float> magnitude = load_owned(gdn.magnitude, lane.t);
  Planes squares[2];
#pragma unroll
  for (int h = 0; h < 2; ++h) {
    Owned<std::int32_t> square;
#pragma unroll
    for (int c = 0; c < kOwned; ++c) {
      const float size = fminf(fabsf(scaled(sums.at(h, c), magnitude.value[c])), 181.0f);
      const std::int32_t k = __float2int_rn(size);
      square.value[c] = k * k;
    }
    squares[h] = split(square);
  }
  const GroupWeights gamma = load_weights(gdn.gamma, lane);
  Sums norms{};
  const auto add = [&](const uint2& row0, const uint2& row1) {
    FragmentA a;
    set_operand(a, row0, row1);
    mma_u8_u8(norms.d[0], a, gamma.first.x, gamma.first.y);
    mma_u8_u8(norms.d[1], a, gamma.first.z, gamma.first.w);
    mma_u8_u8(norms.d[2], a, gamma.second.x, gamma.second.y);
    mma_u8_u8(norms.d[3], a, gamma.second.z, gamma.second.w);
  };
  add(squares[0].high, squares[1].high);
  shift_to_low(norms, load_owned(gdn.beta, lane.t));
  add(squares[0].low, squares[1].low);
  const Owned<float> numerator = load_owned(gdn.numerator, lane.t);
#pragma unroll
  for (int h = 0; h < 2; ++h) {
#pragma unroll
    for (int c = 0; c < kOwned; ++c) {
      const float u = scaled(sums.at(h, c), numerator.value[c]);
      const float root = root_of(__int2float_rn(norms.at(h, c)));
      g[h].value[c] = kInverse ? __fmul_rn(u, root) : __fdiv_rn(u, root);
    }
  }
}

}  // namespace treenet::cuda

// Primitives in AVX-512 with VNNI. Contracts: isa_scalar.h.
#pragma once

#include <immintrin.h>

#include <cstring>
#include <type_traits>

#include "cpu/lines.h"

namespace treenet::cpu::TREENET_ISA {

using U8Line = std::uint8_t;
inline constexpr std::int32_t kU8Group = 4;
inline constexpr bool kWinograd = true;
inline constexpr int kTiles = 6;  // of a block: few, so that points and results stay in the first cache
inline constexpr int kVectorBytes = 64;
inline constexpr bool kPointSums = true;
inline constexpr bool kImageGroups = true;
inline constexpr int kGdnPart = 64, kGdnPieces = kGdnPart / 16;
template <int kPart>
class GdnSquares;  // gdn.h
template <int kPart, bool kInverse, int kOutputs, bool kBeside>
class GdnAddSkip;

inline __m512i broadcast4(const std::uint8_t* from) {
  std::int32_t value;
  std::memcpy(&value, from, sizeof(value));
  return _mm512_set1_epi32(value);
}

template <class Element>
inline __m512i multiply_add(__m512i sum, __m512i value, __m512i weight) {
  if constexpr (sizeof(Element) == 1) {
    return _mm512_dpbusd_epi32(sum, value, weight);
  } else {
    return _mm512_dpwssd_epi32(sum, value, weight);
  }
}

// Eight outputs are half a vector: a lane for each and for the groups of even and of odd number, which are added in the
// end; so groups are even in number. The accumulators, of one pixel each, stay in registers.
template <class Element, int kStride>
inline void conv_block_narrow(const std::uint8_t* const* taps, const PackedConv& conv, std::int32_t* accumulators) {
  static_assert(kStride != 0);
  constexpr int kOutputs = 8, kPixels = kBlockPixels % 12 == 0 ? 24 : 16;
  const __m512i in_turn = _mm512_setr_epi32(0, 8, 1, 9, 2, 10, 3, 11, 4, 12, 5, 13, 6, 14, 7, 15);
  const __m512i even = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
  const __m512i bias = _mm512_cvtepu32_epi64(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(conv.bias)));
  for (int first = 0; first < kBlock / kOutputs; first += kPixels, accumulators += kPixels * kOutputs) {
    __m512i sum[kPixels];
#pragma GCC unroll 24
    for (int p = 0; p < kPixels; ++p) sum[p] = bias;
    for (int t = 0; t < conv.taps; ++t) {
      const std::uint8_t* pixel = taps[t] + first * kStride;
      const std::uint8_t* weights = conv.weights + static_cast<std::ptrdiff_t>(t) * conv.tap_bytes;
      for (int g = 0; g < conv.groups; g += 2, pixel += 8, weights += 64) {
        const __m512i weight = _mm512_permutexvar_epi32(in_turn, _mm512_load_si512(weights));
#pragma GCC unroll 24
        for (int p = 0; p < kPixels; ++p) {
          std::int64_t groups;
          std::memcpy(&groups, pixel + p * kStride, sizeof(groups));
          sum[p] = multiply_add<Element>(sum[p], _mm512_set1_epi64(groups), weight);
        }
      }
    }
#pragma GCC unroll 24
    for (int p = 0; p < kPixels; p += 2) {
      const __m512i a = _mm512_add_epi32(sum[p], _mm512_srli_epi64(sum[p], 32));
      const __m512i b = _mm512_add_epi32(sum[p + 1], _mm512_srli_epi64(sum[p + 1], 32));
      _mm512_store_si512(accumulators + p * kOutputs, _mm512_permutex2var_epi32(a, even, b));
    }
  }
}

// The accumulators of kPixels pixels from `first` on stay in registers: up to 24 of them, 12 pixels x 2 vectors, or 6 x
// 4. A group costs their VNNI instructions, as many broadcasts (load ports) as pixels and 2 or 4 weight loads. Where
// pixels of 32 channels lie one or two apart, a tap's groups are known in number, and without their loop it takes an
// eighth less time.
template <class Element, int kOutputs, int kStride, int kPixels>
inline void conv_pixels(const std::uint8_t* const* taps, const PackedConv& conv, std::int32_t block,
                        std::ptrdiff_t stride, int first, std::int32_t* accumulators) {
  constexpr int kVectors = kOutputs / 16;
  const std::ptrdiff_t step = kStride != 0 ? kStride : stride;
  const std::uint8_t* block_weights = conv.weights + static_cast<std::ptrdiff_t>(block) * conv.block_bytes;
  constexpr int kPixelBytes = kChannels * sizeof(Element);
  const int groups = kStride == kPixelBytes || kStride == 2 * kPixelBytes ? kPixelBytes / 4 : conv.groups;
  __m512i sum[kPixels][kVectors];
#pragma GCC unroll 16
  for (int v = 0; v < kVectors; ++v) {
    const __m512i bias = _mm512_loadu_si512(conv.bias + block * kOutputs + 16 * v);
#pragma GCC unroll 24
    for (int p = 0; p < kPixels; ++p) sum[p][v] = bias;
  }
  for (int t = 0; t < conv.taps; ++t) {
    const std::uint8_t* pixel = taps[t] + first * step;
    const std::uint8_t* weights = block_weights + static_cast<std::ptrdiff_t>(t) * conv.tap_bytes;
#pragma GCC unroll 8
    for (int g = 0; g < groups; ++g, pixel += 4, weights += 64 * kVectors) {
      __m512i weight[kVectors];
#pragma GCC unroll 16
      for (int v = 0; v < kVectors; ++v) weight[v] = _mm512_load_si512(weights + 64 * v);
#pragma GCC unroll 24
      for (int p = 0; p < kPixels; ++p) {
        const __m512i value = broadcast4(pixel + p * step);
#pragma GCC unroll 16
        for (int v = 0; v < kVectors; ++v) sum[p][v] = multiply_add<Element>(sum[p][v], value, weight[v]);
      }
    }
  }
#pragma GCC unroll 24
  for (int p = 0; p < kPixels; ++p) {
#pragma GCC unroll 16
    for (int v = 0; v < kVectors; ++v) {
      _mm512_store_si512(accumulators + (first + p) * kOutputs + 16 * v, sum[p][v]);
    }
  }
}

template <class Element, int kOutputs, int kStride>
inline void conv_block(const std::uint8_t* const* taps, const PackedConv& conv, std::int32_t block,
                       std::ptrdiff_t stride, std::int32_t* accumulators) {
  if constexpr (kOutputs == 8) {
    conv_block_narrow<Element, kStride>(taps, conv, accumulators);
  } else {
    constexpr int kAll = kBlock / kOutputs, kPixels = kBlockPixels % 12 == 0 ? kAll : kAll / 2;
    for (int first = 0; first < kAll; first += kPixels) {
      conv_pixels<Element, kOutputs, kStride, kPixels>(taps, conv, block, stride, first, accumulators);
    }
  }
}

// In halves: on Zen 4 a store of 512 bits costs products beside it twice as much as two of 256. What is read back at
// once should not be stored so, as it comes from the cache.
template <class Sums>
inline void store_sums(std::int32_t* to, Sums sums) {
  const __m512i vector = reinterpret_cast<__m512i>(sums);
  _mm256_store_si256(reinterpret_cast<__m256i*>(to), _mm512_castsi512_si256(vector));
  _mm256_store_si256(reinterpret_cast<__m256i*>(to + 8), _mm512_extracti64x4_epi64(vector, 1));
}

// The pieces come evenly between groups.
template <int kUnits, int kPieces, int kInputs, class Beside>
[[gnu::always_inline]] inline void conv_points(const std::int16_t* points, const PackedConv& conv, std::int32_t block,
                                               std::int32_t* results, Beside&& beside, int count) {
  constexpr int kGroups = kInputs / 2, kAll = kUnits * kPieces;
  static_assert(kAll <= kGroups);
  const std::uint8_t* weights = conv.weights + static_cast<std::ptrdiff_t>(block) * conv.block_bytes;
  const std::int32_t* bias = conv.bias + static_cast<std::ptrdiff_t>(block) * 32;
  __m512i sum[kTiles][2];
#pragma GCC unroll 16
  for (int t = 0; t < kTiles; ++t) {
    sum[t][0] = _mm512_loadu_si512(bias);
    sum[t][1] = _mm512_loadu_si512(bias + 16);
  }
#pragma GCC unroll 1
  for (int k = 0; k < count; ++k, points += kInputs * kTiles, weights += conv.block_bytes) {
    unrolled<kGroups>([&](auto index) __attribute__((always_inline)) {
      constexpr int g = index;
      const __m512i low = _mm512_load_si512(weights + 128 * g), high = _mm512_load_si512(weights + 128 * g + 64);
#pragma GCC unroll 16
      for (int t = 0; t < kTiles; ++t) {
        const __m512i value = broadcast4(bytes(points + kInputs * t + 2 * g));
        sum[t][0] = _mm512_dpwssd_epi32(sum[t][0], value, low);
        sum[t][1] = _mm512_dpwssd_epi32(sum[t][1], value, high);
      }
      constexpr int next = g * kAll / kGroups;
      if constexpr ((g + 1) * kAll / kGroups > next) {
        beside(k, next / kPieces, std::integral_constant<int, next % kPieces>());
      }
    });
  }
#pragma GCC unroll 16
  for (int t = 0; t < kTiles; ++t) {
    store_sums(results + 32 * t, sum[t][0]);
    store_sums(results + 32 * t + 16, sum[t][1]);
  }
}

// rne of values whose rounded ones are to be packed with saturation: only from above would the conversion wrap.
inline __m512i round_to_pack(__m512 value) {
  return _mm512_cvtps_epi32(_mm512_min_ps(value, _mm512_set1_ps(32767.0f)));
}

inline __m512i load_accumulators(const std::int32_t* from) { return _mm512_load_si512(from); }
inline __m512i load_accumulators(const SplitSums& from) {
  return _mm512_add_epi32(_mm512_load_si512(from.low), _mm512_slli_epi32(_mm512_load_si512(from.high), 8));
}
template <int kStride>
inline __m512i load_accumulators(const PointSums<kStride>& from) {
  const std::size_t output = from.output(0);
  const __m512i bias = _mm512_loadu_si512(from.conv.bias + output);
  const __m512i weights = _mm512_load_si512(from.conv.weights + 4 * output);
  return _mm512_dpbusd_epi32(bias, broadcast4(from.pixel(0)), weights);
}

// Packs go by 128 bits; these restore the order.
inline __m512i pack(__m512i first, __m512i second) {
  const __m512i in_order = _mm512_setr_epi64(0, 2, 4, 6, 1, 3, 5, 7);
  return _mm512_permutexvar_epi64(in_order, _mm512_packs_epi32(first, second));
}
// Stores 64 values, with the zero point and clamped to the type's range. That of s16 is 0.
inline void store64(std::int16_t* to, const __m512i (&values)[4], __m512i) {
  _mm512_storeu_si512(to, pack(values[0], values[1]));
  _mm512_storeu_si512(to + 32, pack(values[2], values[3]));
}
// The zero point is added to 32 bits: on Zen 4 saturating additions take the products' places.
inline __m512i pack_bytes(const __m512i (&values)[4], __m512i zero_point) {
  const __m512i in_order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
  const auto added = [&](int v) { return _mm512_add_epi32(values[v], zero_point); };
  const __m512i first = _mm512_packs_epi32(added(0), added(1)), second = _mm512_packs_epi32(added(2), added(3));
  return _mm512_permutexvar_epi32(in_order, _mm512_packus_epi16(first, second));
}
inline void store64(std::uint8_t* to, const __m512i (&values)[4], __m512i zero_point) {
  _mm512_storeu_si512(to, pack_bytes(values, zero_point));
}

inline __m512i load16(const std::int16_t* from) {
  return _mm512_cvtepi16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)));
}

// Parameters of `kChannelCount` channels, for vectors of values that lie pixel by pixel.
template <int kChannelCount>
struct PerChannel {
  static constexpr int kVectors = (kChannelCount + 15) / 16;
  __m512 vectors[kVectors];

  explicit PerChannel(const float* parameters) {
    if constexpr (kChannelCount == 8) {
      vectors[0] = _mm512_broadcast_f32x8(_mm256_loadu_ps(parameters));
    } else {
      for (int v = 0; v < kVectors; ++v) vectors[v] = _mm512_loadu_ps(parameters + 16 * v);
    }
  }
  __m512 operator[](int v) const { return vectors[v % kVectors]; }
};

// `negative` where values are below zero. Not by the larger product, by a mask or by an instruction of three operands:
// on Zen 4 those take the products' places.
inline __m512 by_sign(__m512 value, __m512 multiplier, __m512 negative) {
  const __m512i sign = _mm512_srai_epi32(_mm512_castps_si512(value), 31);
  const __m512i bits = _mm512_castps_si512(multiplier);
  const __m512i difference = _mm512_sub_epi32(_mm512_castps_si512(negative), bits);
  return _mm512_castsi512_ps(_mm512_add_epi32(bits, _mm512_and_si512(difference, sign)));
}

// SPEC §2.2, of 16 accumulators, to be packed.
template <bool kLeaky>
inline __m512i scaled(__m512 value, __m512 multiplier, __m512 negative) {
  if constexpr (kLeaky) multiplier = by_sign(value, multiplier, negative);
  return round_to_pack(_mm512_mul_ps(value, multiplier));
}
template <bool kLeaky, class Sums>
inline __m512i requantised(const Sums& accumulators, __m512 multiplier, __m512 negative) {
  return scaled<kLeaky>(_mm512_cvtepi32_ps(load_accumulators(accumulators)), multiplier, negative);
}

template <int kOutputs, bool kLeaky, class Activation, class Sums, class Out>
inline void requantise_block(const Sums& accumulators, const PackedConv& conv, std::int32_t block,
                             std::int32_t zero_point, Out* out) {
  static_assert(std::is_same_v<Activation, Out>);
  const PerChannel<kOutputs> multiplier(conv.multiplier + block * kOutputs);
  const PerChannel<kOutputs> negative(conv.multiplier_negative + block * kOutputs);
  const __m512i zero = _mm512_set1_epi32(zero_point);
  for (int i = 0; i < kBlock; i += 64) {
    __m512i rounded[4];
#pragma GCC unroll 4
    for (int v = 0; v < 4; ++v) {
      rounded[v] = requantised<kLeaky>(accumulators + i + 16 * v, multiplier[v], negative[v]);
    }
    store64(out + i, rounded, zero);
  }
}

template <class Sums, class Floats>
inline Sums leaky_rounded(Sums sums, Floats multiplier, Floats negative) {
  const __m512 value = _mm512_cvtepi32_ps(reinterpret_cast<__m512i>(sums));
  return reinterpret_cast<Sums>(
      scaled<true>(value, reinterpret_cast<__m512>(multiplier), reinterpret_cast<__m512>(negative)));
}
// The zero point of s16 is 0.
template <class Activation, int kColumns, int kStride, class Sums>
inline void store_columns(const Sums (&rounded)[kColumns], std::int32_t, std::int16_t* to) {
  static_assert(std::is_same_v<Activation, std::int16_t> && kColumns == 2);
  const __m512i packed = pack(reinterpret_cast<__m512i>(rounded[0]), reinterpret_cast<__m512i>(rounded[1]));
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), _mm512_castsi512_si256(packed));
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(to + kStride), _mm512_extracti64x4_epi64(packed, 1));
}
template <class Activation, int kColumns, int kStride, class Sums>
inline void store_columns(const Sums (&rounded)[kColumns], std::int32_t zero_point, std::uint8_t* to) {
  static_assert(std::is_same_v<Activation, std::uint8_t> && (kColumns == 2 || kColumns == 4));
  const __m512i zero = _mm512_set1_epi32(zero_point);
  const auto column = [&](int j) { return reinterpret_cast<__m512i>(rounded[j % kColumns]); };
  const __m512i values = pack_bytes({column(0), column(1), column(2), column(3)}, zero);
  _mm_storeu_si128(reinterpret_cast<__m128i*>(to), _mm512_castsi512_si128(values));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(to + kStride), _mm512_extracti32x4_epi32(values, 1));
  if constexpr (kColumns == 4) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to + 2 * kStride), _mm512_extracti32x4_epi32(values, 2));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to + 3 * kStride), _mm512_extracti32x4_epi32(values, 3));
  }
}

// A piece is a register. k's sign does not matter to its square, nor to rounding. What is too large for the conversion
// becomes -2^31, and -2^15 when packed.
template <>
class GdnSquares<kGdnPart> {
 public:
  template <int kPiece, class Sums>
  [[gnu::always_inline]] void make(const Sums& accumulators, const float* magnitude, std::int16_t* squares) {
    const __m512i limit = _mm512_set1_epi16(181), lower_limit = _mm512_set1_epi16(-181);
    const PerChannel<kChannels> size(magnitude);
    const __m512i sum = load_accumulators(accumulators + 16 * kPiece);
    if constexpr (std::is_same_v<Sums, SplitSums>) _mm512_store_si512(accumulators.low + 16 * kPiece, sum);
    const __m512i rounded = _mm512_cvtps_epi32(_mm512_mul_ps(_mm512_cvtepi32_ps(sum), size[kPiece]));
    if constexpr (kPiece % 2 == 0) {
      rounded_ = rounded;
    } else {
      const __m512i k = _mm512_max_epi16(_mm512_min_epi16(pack(rounded_, rounded), limit), lower_limit);
      _mm512_store_si512(squares + 16 * (kPiece - 1), _mm512_mullo_epi16(k, k));
    }
  }

 private:
  __m512i rounded_;
};
template <class Sums>
inline void gdn_squares_block(const Sums& accumulators, const float* magnitude, std::int16_t* squares) {
  GdnSquares<kGdnPart> part;
  for (int i = 0; i < kBlock; i += kGdnPart) {
    unrolled<kGdnPieces>([&](auto piece) __attribute__((always_inline)) {
      part.make<piece()>(accumulators + i, magnitude, squares + i);
    });
  }
}

// The correctly rounded square root by multiplications, for numbers of [1, 2^31]: half the time of the instruction, and
// beside it. Fused steps of Newton's method (Markstein, "Computation of elementary functions on the IBM RISC
// System/6000 processor", 1990) from an estimate of the inverse root; right for all that differ from it by 2^-14 at
// most, for all significands (tests/native/test_roots.cpp).
inline __m512 root_from(__m512 value, __m512 inverse_estimate) {
  const __m512 one_half = _mm512_set1_ps(0.5f);
  __m512 root = _mm512_mul_ps(value, inverse_estimate);
  __m512 half_inverse = _mm512_mul_ps(inverse_estimate, one_half);
  const __m512 error = _mm512_fnmadd_ps(root, half_inverse, one_half);
  root = _mm512_fmadd_ps(root, error, root);
  half_inverse = _mm512_fmadd_ps(half_inverse, error, half_inverse);
  return _mm512_fmadd_ps(_mm512_fnmadd_ps(root, root, value), half_inverse, root);
}
inline __m512 root_by_products(__m512 value) { return root_from(value, _mm512_rsqrt14_ps(value)); }

// A piece is a register. Two of four roots are made by the divider, which works beside the multipliers; more where
// these have products to make, too (gdn.h), and fewer where it has quotients to make.
template <bool kInverse, int kOutputs, bool kBeside>
class GdnAddSkip<kGdnPart, kInverse, kOutputs, kBeside> {
 public:
  template <int kPiece, class Norms, class Skip, class Out>
  [[gnu::always_inline]] void make(const std::int32_t* accumulators, const float* numerator, const Norms& norms,
                                   const Skip& skip, const float* multiplier, std::int32_t zero_point, Out* out) {
    constexpr int kByDivider = (kInverse ? 2 : 0) + (kBeside ? 2 : 0), kAt = 16 * kPiece;
    const PerChannel<kChannels> scale(numerator);
    const PerChannel<kOutputs> skip_scale(multiplier);
    const auto load = [](const auto& from) { return _mm512_cvtepi32_ps(load_accumulators(from)); };
    const __m512 norm = load(norms + kAt);
    const __m512 root = kPiece % 2 * 2 + kPiece / 2 < kByDivider ? _mm512_sqrt_ps(norm) : root_by_products(norm);
    const __m512 value = _mm512_mul_ps(load(accumulators + kAt), scale[kPiece]);
    const __m512 normalised = kInverse ? _mm512_mul_ps(value, root) : _mm512_div_ps(value, root);
    const __m512 sum = _mm512_add_ps(normalised, _mm512_mul_ps(load(skip + kAt), skip_scale[kPiece]));
    rounded_[kPiece] = round_to_pack(sum);
    if constexpr (kPiece == kGdnPieces - 1) store64(out, rounded_, _mm512_set1_epi32(zero_point));
  }

 private:
  __m512i rounded_[kGdnPieces];
};
template <bool kInverse, int kOutputs, class Norms, class Skip, class Out>
inline void gdn_add_skip_block(const std::int32_t* accumulators, const float* numerator, const Norms& norms,
                               const Skip& skip, const float* multiplier, std::int32_t zero_point, Out* out) {
  GdnAddSkip<kGdnPart, kInverse, kOutputs, false> part;
  for (int i = 0; i < kBlock; i += kGdnPart) {
    unrolled<kGdnPieces>([&](auto piece) __attribute__((always_inline)) {
      part.template make<piece()>(accumulators + i, numerator, norms + i, skip + i, multiplier, zero_point, out + i);
    });
  }
}

// The 32 channels of a pixel in lanes of 16 bits.
inline __m512i load_pixel(const std::int16_t* from) { return _mm512_loadu_si512(from); }
inline __m512i load_pixel(const std::uint8_t* from) {
  return _mm512_cvtepu8_epi16(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)));
}
inline void store_pixel(std::int16_t* to, __m512i values) { _mm512_storeu_si512(to, values); }
inline void store_pixel(std::uint8_t* to, __m512i values) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), _mm512_cvtepi16_epi8(values));
}

// Adds `count` pixels, at most 65536, to sums[32]: two at a time, whose numbers of a channel are a pair of 16 bits.
template <class T>
inline void add_to_sums(const T* pixels, std::int32_t count, std::int64_t* sums) {
  const __m512i ones = _mm512_set1_epi16(1);
  __m512i low = _mm512_setzero_si512(), high = low;  // channels 0 to 3, and 4 to 7, of every eight
  for (std::int32_t p = 0; p < count; p += 2) {
    const __m512i first = load_pixel(pixels + p * kChannels);
    const __m512i second = p + 1 < count ? load_pixel(pixels + (p + 1) * kChannels) : _mm512_setzero_si512();
    low = _mm512_dpwssd_epi32(low, _mm512_unpacklo_epi16(first, second), ones);
    high = _mm512_dpwssd_epi32(high, _mm512_unpackhi_epi16(first, second), ones);
  }
  const __m512i in_order[2] = {_mm512_setr_epi32(0, 1, 2, 3, 16, 17, 18, 19, 4, 5, 6, 7, 20, 21, 22, 23),
                               _mm512_setr_epi32(8, 9, 10, 11, 24, 25, 26, 27, 12, 13, 14, 15, 28, 29, 30, 31)};
#pragma GCC unroll 2
  for (int h = 0; h < 2; ++h, sums += 16) {
    const __m512i sum = _mm512_permutex2var_epi32(low, in_order[h], high);
    const __m512i halves[2] = {_mm512_cvtepi32_epi64(_mm512_castsi512_si256(sum)),
                               _mm512_cvtepi32_epi64(_mm512_extracti64x4_epi64(sum, 1))};
    _mm512_storeu_si512(sums, _mm512_add_epi64(_mm512_loadu_si512(sums), halves[0]));
    _mm512_storeu_si512(sums + 8, _mm512_add_epi64(_mm512_loadu_si512(sums + 8), halves[1]));
  }
}

// Two pixels' bytes, kStride from one to the other.
template <int kStride>
inline void store_pixels(std::uint8_t* to, __m512i pixels) {
  if constexpr (kStride == kChannels) {
    _mm512_storeu_si512(to, pixels);
  } else {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), _mm512_castsi512_si256(pixels));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to + kStride), _mm512_extracti64x4_epi64(pixels, 1));
  }
}
template <int kStride>
inline void store_split(__m512i first, __m512i second, std::uint8_t* low, std::uint8_t* high) {
  const __m512i in_order = _mm512_setr_epi64(0, 2, 4, 6, 1, 3, 5, 7), byte = _mm512_set1_epi16(255);
  const __m512i lows = _mm512_packus_epi16(_mm512_and_si512(first, byte), _mm512_and_si512(second, byte));
  const __m512i highs = _mm512_packus_epi16(_mm512_srli_epi16(first, 8), _mm512_srli_epi16(second, 8));
  store_pixels<kStride>(low, _mm512_permutexvar_epi64(in_order, lows));
  store_pixels<kStride>(high, _mm512_permutexvar_epi64(in_order, highs));
}
inline void split_pixels(const std::int16_t* pixels, std::uint8_t* low, std::uint8_t* high) {
  store_split<kChannels>(_mm512_loadu_si512(pixels), _mm512_loadu_si512(pixels + kChannels), low, high);
}

template <bool kLeaky, int kStride, class Sums>
inline void requantise_split_block(const Sums& sums, const PackedConv& conv, std::int32_t block, std::uint8_t* low,
                                   std::uint8_t* high) {
  const PerChannel<kChannels> multiplier(conv.multiplier + block * kChannels);
  const PerChannel<kChannels> negative(conv.multiplier_negative + block * kChannels);
  for (int i = 0; i < kBlock; i += 2 * kChannels) {
    __m512i rounded[4];
#pragma GCC unroll 4
    for (int v = 0; v < 4; ++v) rounded[v] = requantised<kLeaky>(sums + i + 16 * v, multiplier[v], negative[v]);
    const std::ptrdiff_t at = i / kChannels * kStride;
    store_split<kStride>(pack(rounded[0], rounded[1]), pack(rounded[2], rounded[3]), low + at, high + at);
  }
}

// By search, of 32 at once: below 0 is below all thresholds.
inline void scale_indices(const std::int16_t* v, const PackedParameters& parameters, std::uint8_t* index) {
  const __m512i numbers = _mm512_loadu_si512(v), one = _mm512_set1_epi16(1);
  const __m512i upper = _mm512_loadu_si512(parameters.scale_search);  // five levels
  const __m512i last = _mm512_loadu_si512(parameters.scale_search + 32);
  __m512i node = one;
#pragma GCC unroll 6
  for (int level = 0; level < 6; ++level) {
    // Of a node's number the lower five bits count.
    const __m512i threshold = _mm512_permutexvar_epi16(node, level < 5 ? upper : last);
    node = _mm512_add_epi16(node, node);
    node = _mm512_mask_add_epi16(node, _mm512_cmple_epi16_mask(threshold, numbers), node, one);
  }
  // It ends at 64 and the index.
  const __m512i found = _mm512_sub_epi16(node, _mm512_set1_epi16(64));
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(index), _mm512_cvtepi16_epi8(found));
}

inline void gain_pixel(const std::int16_t* in, const float* gain, std::int16_t* out) {
  __m512i rounded[2];
  for (int v = 0; v < 2; ++v) {
    const __m512 value = _mm512_cvtepi32_ps(load16(in + 16 * v));
    rounded[v] = round_to_pack(_mm512_mul_ps(value, _mm512_loadu_ps(gain + 16 * v)));
  }
  _mm512_storeu_si512(out, pack(rounded[0], rounded[1]));
}

}  // namespace treenet::cpu::TREENET_ISA

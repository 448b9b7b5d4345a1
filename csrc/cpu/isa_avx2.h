// Primitives in AVX2. Contracts: isa_scalar.h.
//
// u8 activations are widened to s16 when a line is loaded or written, and multiplied with vpmaddwd, which is exact;
// vpmaddubsw would saturate.
#pragma once

#include <immintrin.h>

#include <cstring>
#include <type_traits>

#include "cpu/lines.h"

namespace treenet::cpu::TREENET_ISA {

using U8Line = std::int16_t;
inline constexpr std::int32_t kU8Group = 2;
inline constexpr bool kWinograd = true;
inline constexpr int kTiles = kBlockPixels;
inline constexpr int kVectorBytes = 32;
inline constexpr bool kPointSums = false;  // u8 are widened
inline constexpr bool kImageGroups = false;
inline constexpr int kGdnPart = 0, kGdnPieces = 0;  // GDN is not made in parts

inline __m256i broadcast4(const std::uint8_t* from) {
  std::int32_t value;
  std::memcpy(&value, from, sizeof(value));
  return _mm256_set1_epi32(value);
}

inline __m256i load_accumulators(const std::int32_t* from) {
  return _mm256_load_si256(reinterpret_cast<const __m256i*>(from));
}

// Three pixels x 32 outputs at a time, or twelve x 8: 12 accumulators, a broadcast and a product fit the 16 registers.
// All pixels take their turn at a few taps, whose weights stay in the first cache that long; all taps' do not.
template <class Element, int kOutputs, int kStride>
inline void span_of_pixels(const std::uint8_t* const* taps, const PackedConv& conv, std::int32_t block,
                           std::ptrdiff_t stride, std::int32_t count, std::int32_t* accumulators) {
  static_assert(sizeof(Element) == 2);
  constexpr int kTurn = 3, kVectors = kOutputs < 32 ? kOutputs / 8 : 4, kPixels = 12 / kVectors;
  const std::ptrdiff_t step = kStride != 0 ? kStride : stride;
  const std::uint8_t* block_weights = conv.weights + static_cast<std::ptrdiff_t>(block) * conv.block_bytes;
  for (int outputs = 0; outputs < kOutputs; outputs += 8 * kVectors) {
    const std::int32_t* bias = conv.bias + block * kOutputs + outputs;
    for (int tap = 0; tap < conv.taps; tap += kTurn) {
      const int end = conv.taps - tap < kTurn ? conv.taps : tap + kTurn;
      for (int first = 0; first < count; first += kPixels) {
        std::int32_t* own = accumulators + first * kOutputs + outputs;
        __m256i sum[kPixels][kVectors];
#pragma GCC unroll 12
        for (int p = 0; p < kPixels; ++p) {
          const std::int32_t* from = tap == 0 ? bias : own + p * kOutputs;
#pragma GCC unroll 4
          for (int v = 0; v < kVectors; ++v) {
            sum[p][v] = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from + 8 * v));
          }
        }
        for (int t = tap; t < end; ++t) {
          const std::uint8_t* pixel = taps[t] + first * step;
          const std::uint8_t* weights = block_weights + static_cast<std::ptrdiff_t>(t) * conv.tap_bytes + 4 * outputs;
          for (int g = 0; g < conv.groups; ++g, pixel += 4, weights += 4 * kOutputs) {
#pragma GCC unroll 12
            for (int p = 0; p < kPixels; ++p) {
              const __m256i value = broadcast4(pixel + p * step);
#pragma GCC unroll 4
              for (int v = 0; v < kVectors; ++v) {
                const __m256i weight = _mm256_load_si256(reinterpret_cast<const __m256i*>(weights + 32 * v));
                sum[p][v] = _mm256_add_epi32(sum[p][v], _mm256_madd_epi16(value, weight));
              }
            }
          }
        }
#pragma GCC unroll 12
        for (int p = 0; p < kPixels; ++p) {
#pragma GCC unroll 4
          for (int v = 0; v < kVectors; ++v) {
            _mm256_store_si256(reinterpret_cast<__m256i*>(own + p * kOutputs + 8 * v), sum[p][v]);
          }
        }
      }
    }
  }
}

template <class Element, int kOutputs, int kStride>
inline void span_of_blocks(const std::uint8_t* const* taps, const PackedConv& conv, std::int32_t block,
                           std::ptrdiff_t stride, std::int32_t count, std::int32_t* accumulators) {
  span_of_pixels<Element, kOutputs, kStride>(taps, conv, block, stride, count * (kBlock / kOutputs), accumulators);
}

template <class Element, int kOutputs, int kStride>
inline void conv_block(const std::uint8_t* const* taps, const PackedConv& conv, std::int32_t block,
                       std::ptrdiff_t stride, std::int32_t* accumulators) {
  span_of_blocks<Element, kOutputs, kStride>(taps, conv, block, stride, 1, accumulators);
}

template <int kUnits, int kPieces, int kInputs, class Beside>
inline void conv_points(const std::int16_t* points, const PackedConv& conv, std::int32_t block, std::int32_t* results,
                        Beside&& beside, int count) {
  PackedConv own = conv;
  own.taps = count;
  const std::uint8_t* taps[4] = {};
  for (int k = 0; k < count; ++k) taps[k] = bytes(points + k * kTiles * kInputs);
  span_of_pixels<std::int16_t, 32, kInputs * sizeof(std::int16_t)>(taps, own, block, 0, kTiles, results);
  for (int k = 0; k < count; ++k) {
    for (int unit = 0; unit < kUnits; ++unit) {
      unrolled<kPieces>([&](auto piece) __attribute__((always_inline)) { beside(k, unit, piece); });
    }
  }
}

template <class Sums>
inline void store_sums(std::int32_t* to, Sums sums) {
  _mm256_store_si256(reinterpret_cast<__m256i*>(to), reinterpret_cast<__m256i>(sums));
}

// rne of values whose rounded ones are to be packed with saturation: only from above would the conversion wrap.
inline __m256i round_to_pack(__m256 value) {
  return _mm256_cvtps_epi32(_mm256_min_ps(value, _mm256_set1_ps(32767.0f)));
}

// Packs go by 128 bits; this restores the order.
inline __m256i pack(__m256i first, __m256i second) {
  return _mm256_permute4x64_epi64(_mm256_packs_epi32(first, second), 0xd8);
}
inline void store16(std::int16_t* to, __m256i values) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), values); }
inline void store16(std::uint8_t* to, __m256i values) {
  const __m128i packed = _mm_packus_epi16(_mm256_castsi256_si128(values), _mm256_extracti128_si256(values, 1));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(to), packed);
}
// 16 values of 16 bits with the zero point, clamped to the range of an activation; an s16 has zero point 0.
template <class Activation, class Out>
inline __m256i activations(__m256i values, __m256i zero_point) {
  if constexpr (sizeof(Activation) == 1) values = _mm256_adds_epi16(values, zero_point);
  if constexpr (sizeof(Activation) < sizeof(Out)) {  // else the store does it
    values = _mm256_min_epi16(_mm256_max_epi16(values, _mm256_setzero_si256()), _mm256_set1_epi16(255));
  }
  return values;
}
template <class Activation, class Out>
inline void store_activations(Out* to, __m256i values, __m256i zero_point) {
  store16(to, activations<Activation, Out>(values, zero_point));
}
inline __m256i load8(const std::int16_t* from) {
  return _mm256_cvtepi16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
}
inline __m256i load8(const std::uint8_t* from) {
  return _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(from)));
}

// SPEC §2.2, of 8 accumulators, to be packed.
template <bool kLeaky>
inline __m256i scaled(__m256 value, __m256 multiplier, __m256 negative) {
  __m256 product = _mm256_mul_ps(value, multiplier);
  // negative < multiplier, so the larger product is the one that the accumulator's sign selects.
  if constexpr (kLeaky) product = _mm256_max_ps(product, _mm256_mul_ps(value, negative));
  return round_to_pack(product);
}

template <class Sums, class Floats>
inline Sums leaky_rounded(Sums sums, Floats multiplier, Floats negative) {
  const __m256 value = _mm256_cvtepi32_ps(reinterpret_cast<__m256i>(sums));
  return reinterpret_cast<Sums>(
      scaled<true>(value, reinterpret_cast<__m256>(multiplier), reinterpret_cast<__m256>(negative)));
}
template <class Activation, int kColumns, int kStride, class Sums>
inline void store_columns(const Sums (&rounded)[kColumns], std::int32_t zero_point, std::int16_t* to) {
  static_assert(kColumns % 2 == 0);
  const __m256i zero = _mm256_set1_epi16(static_cast<std::int16_t>(zero_point));
#pragma GCC unroll 2
  for (int j = 0; j < kColumns; j += 2, to += 2 * kStride) {
    const auto column = [&](int k) { return reinterpret_cast<__m256i>(rounded[j + k]); };
    const __m256i numbers = activations<Activation, std::int16_t>(pack(column(0), column(1)), zero);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to), _mm256_castsi256_si128(numbers));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to + kStride), _mm256_extracti128_si256(numbers, 1));
  }
}

template <int kOutputs, bool kLeaky, class Activation, class Out>
inline void requantise_block(const std::int32_t* accumulators, const PackedConv& conv, std::int32_t block,
                             std::int32_t zero_point, Out* out) {
  const __m256i zero = _mm256_set1_epi16(static_cast<std::int16_t>(zero_point));
  const float* multiplier = conv.multiplier + block * kOutputs;
  const float* negative = conv.multiplier_negative + block * kOutputs;
  for (int o = 0; o < kOutputs; o += 16) {
    const int next = (o + 8) % kOutputs;  // of eight outputs, the same again
    const __m256 scale[2] = {_mm256_loadu_ps(multiplier + o), _mm256_loadu_ps(multiplier + next)};
    const __m256 negative_scale[2] = {_mm256_loadu_ps(negative + o), _mm256_loadu_ps(negative + next)};
    for (int i = o; i < kBlock; i += kOutputs < 16 ? 16 : kOutputs) {
      __m256i rounded[2];
#pragma GCC unroll 2
      for (int v = 0; v < 2; ++v) {
        const __m256 value = _mm256_cvtepi32_ps(load_accumulators(accumulators + i + 8 * v));
        rounded[v] = scaled<kLeaky>(value, scale[v], negative_scale[v]);
      }
      store_activations<Activation>(out + i, pack(rounded[0], rounded[1]), zero);
    }
  }
}

inline void gdn_squares_block(const std::int32_t* accumulators, const float* magnitude, std::int16_t* squares) {
  const __m256 limit = _mm256_set1_ps(181.0f), sign = _mm256_set1_ps(-0.0f);
  for (int o = 0; o < kChannels; o += 16) {
    const __m256 size[2] = {_mm256_loadu_ps(magnitude + o), _mm256_loadu_ps(magnitude + o + 8)};
    for (int i = o; i < kBlock; i += kChannels) {
      __m256i rounded[2];
#pragma GCC unroll 2
      for (int v = 0; v < 2; ++v) {
        const __m256 value = _mm256_cvtepi32_ps(load_accumulators(accumulators + i + 8 * v));
        const __m256 sized = _mm256_mul_ps(_mm256_andnot_ps(sign, value), size[v]);
        rounded[v] = _mm256_cvtps_epi32(_mm256_min_ps(sized, limit));
      }
      const __m256i k = pack(rounded[0], rounded[1]);
      store16(squares + i, _mm256_mullo_epi16(k, k));
    }
  }
}

template <bool kInverse, int kOutputs, class Out>
inline void gdn_add_skip_block(const std::int32_t* accumulators, const float* numerator, const std::int32_t* norms,
                               const std::int32_t* skip, const float* multiplier, std::int32_t zero_point, Out* out) {
  const __m256i zero = _mm256_set1_epi16(static_cast<std::int16_t>(zero_point));
  const auto load = [](const std::int32_t* from) { return _mm256_cvtepi32_ps(load_accumulators(from)); };
  for (int o = 0; o < kOutputs; o += 16) {
    const int c = o % kChannels;
    const __m256 scale[2] = {_mm256_loadu_ps(numerator + c), _mm256_loadu_ps(numerator + c + 8)};
    const __m256 skip_scale[2] = {_mm256_loadu_ps(multiplier + o), _mm256_loadu_ps(multiplier + o + 8)};
    for (int i = o; i < kBlock; i += kOutputs) {
      __m256i rounded[2];
#pragma GCC unroll 2
      for (int v = 0; v < 2; ++v) {
        const int at = i + 8 * v;
        const __m256 root = _mm256_sqrt_ps(load(norms + at));
        const __m256 value = _mm256_mul_ps(load(accumulators + at), scale[v]);
        const __m256 normalised = kInverse ? _mm256_mul_ps(value, root) : _mm256_div_ps(value, root);
        rounded[v] = round_to_pack(_mm256_add_ps(normalised, _mm256_mul_ps(load(skip + at), skip_scale[v])));
      }
      store_activations<Out>(out + i, pack(rounded[0], rounded[1]), zero);
    }
  }
}

// Adds `count` pixels, at most 65536, to sums[32].
template <class T>
inline void add_to_sums(const T* pixels, std::int32_t count, std::int64_t* sums) {
#pragma GCC unroll 4
  for (int c = 0; c < kChannels; c += 8) {
    __m256i sum = _mm256_setzero_si256();
    for (std::int32_t p = 0; p < count; ++p) sum = _mm256_add_epi32(sum, load8(pixels + p * kChannels + c));
    const __m128i halves[2] = {_mm256_castsi256_si128(sum), _mm256_extracti128_si256(sum, 1)};
    for (int h = 0; h < 2; ++h) {
      __m256i* at = reinterpret_cast<__m256i*>(sums + c + 4 * h);
      _mm256_storeu_si256(at, _mm256_add_epi64(_mm256_loadu_si256(at), _mm256_cvtepi32_epi64(halves[h])));
    }
  }
}

// The model's 128 bytes, 16 to a register (twice).
struct SigmoidTable {
  __m256i part[8];

  explicit SigmoidTable(const std::uint8_t* bytes) {
    for (int i = 0; i < 8; ++i) {
      part[i] = _mm256_broadcastsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(bytes + 16 * i)));
    }
  }
  // Entries k, 0..127, of 32 lanes: a part's shuffle gives zero for all k but its own, as these have their top bit set
  // once 0x70 is added.
  __m256i look_up(__m256i k) const {
    const __m256i limit = _mm256_set1_epi8(0x70);
    __m256i entry = _mm256_setzero_si256();
#pragma GCC unroll 8
    for (int i = 0; i < 8; ++i) {
      const __m256i index = _mm256_adds_epu8(_mm256_xor_si256(k, _mm256_set1_epi8(static_cast<char>(16 * i))), limit);
      entry = _mm256_or_si256(entry, _mm256_shuffle_epi8(part[i], index));
    }
    return entry;
  }
};

// 16 channels of a pixel in lanes of 16 bits.
inline __m256i load_channels(const std::int16_t* from) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
}
inline __m256i load_channels(const std::uint8_t* from) {
  return _mm256_cvtepu8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
}

// y + ((W * (x - y) + 128) >> 8), in 16 bits. vpmulhrsw gives (a * b + 2^14) >> 15.
inline __m256i blend(__m256i weight, const std::uint8_t* x, const std::uint8_t* y) {
  const __m256i to = load_channels(x), from = load_channels(y);
  const __m256i difference = _mm256_slli_epi16(_mm256_sub_epi16(to, from), 7);
  return _mm256_add_epi16(from, _mm256_mulhrs_epi16(difference, weight));
}
// Differences of s16 do not fit; a sum of two products, (W * x + (256 - W) * y + 128) >> 8, is the same.
inline __m256i blend(__m256i weight, const std::int16_t* x, const std::int16_t* y) {
  const __m256i rounding = _mm256_set1_epi32(128), rest = _mm256_sub_epi16(_mm256_set1_epi16(256), weight);
  const __m256i to = load_channels(x), from = load_channels(y);
  const __m256i first = _mm256_madd_epi16(_mm256_unpacklo_epi16(to, from), _mm256_unpacklo_epi16(weight, rest));
  const __m256i second = _mm256_madd_epi16(_mm256_unpackhi_epi16(to, from), _mm256_unpackhi_epi16(weight, rest));
  return _mm256_packs_epi32(_mm256_srai_epi32(_mm256_add_epi32(first, rounding), 8),
                            _mm256_srai_epi32(_mm256_add_epi32(second, rounding), 8));
}

template <class T>
inline void blend_pixels(const std::uint8_t* hidden, const PackedConv& local2, const float* global,
                         const std::uint8_t* sigmoid, const T* x, const T* y, T* out) {
  const SigmoidTable table(sigmoid);
  const __m256i half = _mm256_set1_epi16(128), low = _mm256_set1_epi8(-127);
  const __m256i in_order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);  // after packs, which go by 128 bits
  alignas(kVectorBytes) std::int32_t accumulators[kBlock];
  for (int block = 0; block < kFusionPixels * kChannels; block += kBlock) {
    const std::uint8_t* from = hidden + block / kChannels * kHidden * sizeof(U8Line);
    conv_block<U8Line, kChannels, kHidden * sizeof(U8Line)>(&from, local2, 0, 0, accumulators);
    for (int i = block; i < block + kBlock; i += kChannels) {
      __m256i rounded[4];
#pragma GCC unroll 4
      for (int v = 0; v < 4; ++v) {
        const __m256 local = _mm256_mul_ps(_mm256_cvtepi32_ps(load_accumulators(accumulators + i - block + 8 * v)),
                                           _mm256_loadu_ps(local2.multiplier + 8 * v));
        rounded[v] = round_to_pack(_mm256_add_ps(local, _mm256_loadu_ps(global + 8 * v)));
      }
      const __m256i packed =
          _mm256_packs_epi16(_mm256_packs_epi32(rounded[0], rounded[1]), _mm256_packs_epi32(rounded[2], rounded[3]));
      const __m256i l = _mm256_max_epi8(_mm256_permutevar8x32_epi32(packed, in_order), low);
      const __m256i size = table.look_up(_mm256_abs_epi8(l));
      const __m128i sizes[2] = {_mm256_castsi256_si128(size), _mm256_extracti128_si256(size, 1)};
      const __m128i signs[2] = {_mm256_castsi256_si128(l), _mm256_extracti128_si256(l, 1)};
#pragma GCC unroll 2
      for (int h = 0; h < 2; ++h) {
        const __m256i weight =
            _mm256_add_epi16(half, _mm256_sign_epi16(_mm256_cvtepu8_epi16(sizes[h]), _mm256_cvtepi8_epi16(signs[h])));
        const int at = i + 16 * h;
        store16(out + at, blend(weight, x + at, y + at));
      }
    }
  }
}

inline void scale_indices(const std::int16_t* v, const PackedParameters& parameters, std::uint8_t* index) {
  look_up_scales(v, parameters, index);
}

inline void gain_pixel(const std::int16_t* in, const float* gain, std::int16_t* out) {
  for (int c = 0; c < kChannels; c += 16) {
    __m256i rounded[2];
    for (int v = 0; v < 2; ++v) {
      const __m256 value = _mm256_cvtepi32_ps(load8(in + c + 8 * v));
      rounded[v] = round_to_pack(_mm256_mul_ps(value, _mm256_loadu_ps(gain + c + 8 * v)));
    }
    store16(out + c, pack(rounded[0], rounded[1]));
  }
}

// Half of the pairs at a time.
inline void pixels_to_lanes(const std::int16_t* pixels, std::ptrdiff_t stride, std::int32_t* to, std::int16_t* seen) {
  __m256i bits = _mm256_load_si256(reinterpret_cast<const __m256i*>(seen));
#pragma GCC unroll 2
  for (int half = 0; half < 2; ++half, pixels += 16) {
    __m256i from[8], twos[8], fours[8];
#pragma GCC unroll 8
    for (int p = 0; p < 8; ++p) {
      from[p] = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(pixels + p * stride));
      bits = _mm256_or_si256(bits, _mm256_xor_si256(from[p], _mm256_srai_epi16(from[p], 15)));
    }
#pragma GCC unroll 4
    for (int p = 0; p < 8; p += 2) {
      twos[p] = _mm256_unpacklo_epi32(from[p], from[p + 1]);
      twos[p + 1] = _mm256_unpackhi_epi32(from[p], from[p + 1]);
    }
#pragma GCC unroll 2
    for (int p = 0; p < 8; p += 4) {
#pragma GCC unroll 2
      for (int i = 0; i < 2; ++i) {
        fours[p + 2 * i] = _mm256_unpacklo_epi64(twos[p + i], twos[p + i + 2]);
        fours[p + 2 * i + 1] = _mm256_unpackhi_epi64(twos[p + i], twos[p + i + 2]);
      }
    }
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i, to += 8) {
      _mm256_store_si256(reinterpret_cast<__m256i*>(to), _mm256_permute2x128_si256(fours[i], fours[4 + i], 0x20));
      _mm256_store_si256(reinterpret_cast<__m256i*>(to + 32), _mm256_permute2x128_si256(fours[i], fours[4 + i], 0x31));
    }
    to += 32;
  }
  _mm256_store_si256(reinterpret_cast<__m256i*>(seen), bits);
}
template <class Sums, class Pairs>
inline Sums add_pair_products(Sums sums, Pairs pairs, const std::int16_t* weights) {
  const __m256i products = _mm256_madd_epi16(reinterpret_cast<__m256i>(pairs), broadcast4(bytes(weights)));
  return reinterpret_cast<Sums>(_mm256_add_epi32(reinterpret_cast<__m256i>(sums), products));
}
template <class Sums>
inline void store_colour(Sums sums, std::int32_t bias, float multiplier, std::uint8_t* to) {
  const __m256 value =
      _mm256_mul_ps(_mm256_cvtepi32_ps(_mm256_add_epi32(reinterpret_cast<__m256i>(sums), _mm256_set1_epi32(bias))),
                    _mm256_set1_ps(multiplier));
  const __m256i rounded =
      _mm256_cvtps_epi32(_mm256_min_ps(_mm256_max_ps(value, _mm256_setzero_ps()), _mm256_set1_ps(255.0f)));
  const __m128i words = _mm_packs_epi32(_mm256_castsi256_si128(rounded), _mm256_extracti128_si256(rounded, 1));
  _mm_storel_epi64(reinterpret_cast<__m128i*>(to), _mm_packus_epi16(words, words));
}

}  // namespace treenet::cpu::TREENET_ISA

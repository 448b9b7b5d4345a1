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
inline constexpr int kVectorBytes = 32;

inline __m256i broadcast4(const std::uint8_t* from) {
  std::int32_t value;
  std::memcpy(&value, from, sizeof(value));
  return _mm256_set1_epi32(value);
}

inline __m256i load_accumulators(const std::int32_t* from) {
  return _mm256_load_si256(reinterpret_cast<const __m256i*>(from));
}

// Three pixels x 32 outputs at a time, or six x 16: 12 accumulators, a broadcast and a product fit the 16 registers.
// All pixels take their turn at a few taps, whose weights stay in the first cache that long; all taps' do not.
template <class Element, int kOutputs, int kStride>
inline void conv_span(const std::uint8_t* const* taps, const PackedConv& conv, std::int32_t block,
                      std::ptrdiff_t stride, std::int32_t count, std::int32_t* accumulators) {
  static_assert(sizeof(Element) == 2);
  constexpr int kTurn = 3, kVectors = kOutputs < 32 ? kOutputs / 8 : 4, kPixels = 12 / kVectors;
  const std::ptrdiff_t step = kStride != 0 ? kStride : stride;
  const std::uint8_t* block_weights = conv.weights + static_cast<std::ptrdiff_t>(block) * conv.block_bytes;
  for (int outputs = 0; outputs < kOutputs; outputs += 8 * kVectors) {
    const std::int32_t* bias = conv.bias + block * kOutputs + outputs;
    for (int tap = 0; tap < conv.taps; tap += kTurn) {
      const int end = conv.taps - tap < kTurn ? conv.taps : tap + kTurn;
      for (int first = 0; first < count * (kBlock / kOutputs); first += kPixels) {
        std::int32_t* own = accumulators + first * kOutputs + outputs;
        __m256i sum[kPixels][kVectors];
#pragma GCC unroll 6
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
#pragma GCC unroll 6
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
#pragma GCC unroll 6
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
inline void conv_block(const std::uint8_t* const* taps, const PackedConv& conv, std::int32_t block,
                       std::ptrdiff_t stride, std::int32_t* accumulators) {
  conv_span<Element, kOutputs, kStride>(taps, conv, block, stride, 1, accumulators);
}

inline __m256i round_clamped(__m256 value, __m256 low, __m256 high, __m256i zero_point) {
  return _mm256_add_epi32(_mm256_cvtps_epi32(_mm256_min_ps(_mm256_max_ps(value, low), high)), zero_point);
}

// Eight values that fit the type, from 32 bits.
inline void store8(std::int16_t* to, __m256i values) {
  const __m128i packed = _mm_packs_epi32(_mm256_castsi256_si128(values), _mm256_extracti128_si256(values, 1));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(to), packed);
}
inline void store8(std::uint8_t* to, __m256i values) {
  const __m128i packed = _mm_packs_epi32(_mm256_castsi256_si128(values), _mm256_extracti128_si256(values, 1));
  _mm_storel_epi64(reinterpret_cast<__m128i*>(to), _mm_packus_epi16(packed, packed));
}
inline __m256i load8(const std::int16_t* from) {
  return _mm256_cvtepi16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
}
inline __m256i load8(const std::uint8_t* from) {
  return _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(from)));
}

template <int kOutputs, bool kLeaky, class Out>
inline void requantise_block(const std::int32_t* accumulators, const PackedConv& conv, std::int32_t block,
                             std::int32_t zero_point, std::int32_t lo, std::int32_t hi, Out* out) {
  const __m256 low = _mm256_set1_ps(static_cast<float>(lo - zero_point));
  const __m256 high = _mm256_set1_ps(static_cast<float>(hi - zero_point));
  const __m256i zero = _mm256_set1_epi32(zero_point);
  for (int v = 0; v < kOutputs / 8; ++v) {
    const __m256 multiplier = _mm256_loadu_ps(conv.multiplier + block * kOutputs + 8 * v);
    const __m256 negative = _mm256_loadu_ps(conv.multiplier_negative + block * kOutputs + 8 * v);
    for (int i = 8 * v; i < kBlock; i += kOutputs) {
      const __m256 value = _mm256_cvtepi32_ps(load_accumulators(accumulators + i));
      __m256 scaled = _mm256_mul_ps(value, multiplier);
      // negative < multiplier, so the larger product is the one that the accumulator's sign selects.
      if constexpr (kLeaky) scaled = _mm256_max_ps(scaled, _mm256_mul_ps(value, negative));
      store8(out + i, round_clamped(scaled, low, high, zero));
    }
  }
}

inline void gdn_prepare_block(const std::int32_t* accumulators, const float* numerator, const float* magnitude,
                              float* values, std::int16_t* squares) {
  const __m256 limit = _mm256_set1_ps(181.0f), sign = _mm256_set1_ps(-0.0f);
  for (int v = 0; v < 4; ++v) {
    const __m256 scale = _mm256_loadu_ps(numerator + 8 * v), size = _mm256_loadu_ps(magnitude + 8 * v);
    for (int i = 8 * v; i < kBlock; i += kChannels) {
      const __m256 value = _mm256_cvtepi32_ps(load_accumulators(accumulators + i));
      _mm256_store_ps(values + i, _mm256_mul_ps(value, scale));
      const __m256 magnitudes = _mm256_mul_ps(_mm256_andnot_ps(sign, value), size);
      const __m256i k = _mm256_cvtps_epi32(_mm256_min_ps(magnitudes, limit));
      store8(squares + i, _mm256_mullo_epi32(k, k));
    }
  }
}

template <bool kInverse>
inline void gdn_finish_block(const std::int32_t* norms, float* values) {
  for (int i = 0; i < kBlock; i += 8) {
    const __m256 root = _mm256_sqrt_ps(_mm256_cvtepi32_ps(load_accumulators(norms + i)));
    const __m256 value = _mm256_load_ps(values + i);
    _mm256_store_ps(values + i, kInverse ? _mm256_mul_ps(value, root) : _mm256_div_ps(value, root));
  }
}

template <int kOutputs, class Out>
inline void add_skip_block(const float* values, const std::int32_t* accumulators, const float* multiplier,
                           std::int32_t zero_point, Out* out) {
  constexpr std::int32_t kLow = sizeof(Out) == 1 ? 0 : -32768, kHigh = sizeof(Out) == 1 ? 255 : 32767;
  const __m256 low = _mm256_set1_ps(static_cast<float>(kLow - zero_point));
  const __m256 high = _mm256_set1_ps(static_cast<float>(kHigh - zero_point));
  const __m256i zero = _mm256_set1_epi32(zero_point);
  for (int v = 0; v < kOutputs / 8; ++v) {
    const __m256 scale = _mm256_loadu_ps(multiplier + 8 * v);
    for (int i = 8 * v; i < kBlock; i += kOutputs) {
      const __m256 skip = _mm256_mul_ps(_mm256_cvtepi32_ps(load_accumulators(accumulators + i)), scale);
      store8(out + i, round_clamped(_mm256_add_ps(_mm256_load_ps(values + i), skip), low, high, zero));
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
inline void store_channels(std::int16_t* to, __m256i values) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), values);
}
inline void store_channels(std::uint8_t* to, __m256i values) {
  const __m128i packed = _mm_packus_epi16(_mm256_castsi256_si128(values), _mm256_extracti128_si256(values, 1));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(to), packed);
}

// In 16 bits: y + ((W * (x - y) + 128) >> 8) is (W * x + (256 - W) * y + 128) >> 8, a sum of two products.
template <class T>
inline void blend_block(const std::int32_t* accumulators, const float* multiplier, const float* global,
                        const std::uint8_t* sigmoid, const T* x, const T* y, T* out) {
  const SigmoidTable table(sigmoid);
  const __m256 low = _mm256_set1_ps(-127.0f), high = _mm256_set1_ps(127.0f);
  const __m256i half = _mm256_set1_epi16(128), one = _mm256_set1_epi16(256), rounding = _mm256_set1_epi32(128);
  const __m256i in_order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);  // after packs, which go by 128 bits
  for (int i = 0; i < kBlock; i += kChannels) {
    __m256i rounded[4];
#pragma GCC unroll 4
    for (int v = 0; v < 4; ++v) {
      const __m256 local = _mm256_mul_ps(_mm256_cvtepi32_ps(load_accumulators(accumulators + i + 8 * v)),
                                         _mm256_loadu_ps(multiplier + 8 * v));
      const __m256 sum = _mm256_add_ps(local, _mm256_loadu_ps(global + 8 * v));
      rounded[v] = _mm256_cvtps_epi32(_mm256_min_ps(_mm256_max_ps(sum, low), high));
    }
    const __m256i packed =
        _mm256_packs_epi16(_mm256_packs_epi32(rounded[0], rounded[1]), _mm256_packs_epi32(rounded[2], rounded[3]));
    const __m256i l = _mm256_permutevar8x32_epi32(packed, in_order);
    const __m256i size = table.look_up(_mm256_abs_epi8(l));
    const __m128i sizes[2] = {_mm256_castsi256_si128(size), _mm256_extracti128_si256(size, 1)};
    const __m128i signs[2] = {_mm256_castsi256_si128(l), _mm256_extracti128_si256(l, 1)};
#pragma GCC unroll 2
    for (int h = 0; h < 2; ++h) {
      const __m256i weight =
          _mm256_add_epi16(half, _mm256_sign_epi16(_mm256_cvtepu8_epi16(sizes[h]), _mm256_cvtepi8_epi16(signs[h])));
      const __m256i rest = _mm256_sub_epi16(one, weight);
      const __m256i to = load_channels(x + i + 16 * h), from = load_channels(y + i + 16 * h);
      const __m256i first = _mm256_madd_epi16(_mm256_unpacklo_epi16(to, from), _mm256_unpacklo_epi16(weight, rest));
      const __m256i second = _mm256_madd_epi16(_mm256_unpackhi_epi16(to, from), _mm256_unpackhi_epi16(weight, rest));
      store_channels(out + i + 16 * h, _mm256_packs_epi32(_mm256_srai_epi32(_mm256_add_epi32(first, rounding), 8),
                                                          _mm256_srai_epi32(_mm256_add_epi32(second, rounding), 8)));
    }
  }
}

inline void gain_pixel(const std::int16_t* in, const float* gain, std::int16_t* out) {
  const __m256 low = _mm256_set1_ps(-32768.0f), high = _mm256_set1_ps(32767.0f);
  for (int c = 0; c < kChannels; c += 8) {
    const __m256 value = _mm256_mul_ps(_mm256_cvtepi32_ps(load8(in + c)), _mm256_loadu_ps(gain + c));
    store8(out + c, round_clamped(value, low, high, _mm256_setzero_si256()));
  }
}

// A vector of four numbers at a time, three of them used.
inline void output_pixels(const std::int32_t* above, const std::int32_t* here, const std::int32_t* below,
                          const PackedOutput& output, std::int32_t count, std::uint8_t* out) {
  const __m128i bias = _mm_loadu_si128(reinterpret_cast<const __m128i*>(output.bias));
  const __m128 multiplier = _mm_loadu_ps(output.multiplier);
  const __m128 low = _mm_setzero_ps(), high = _mm_set1_ps(255.0f);
  const std::int32_t* lines[3] = {above, here, below};
  for (std::int32_t i = 0; i < count; ++i) {
    __m128i sum = bias;
#pragma GCC unroll 9
    for (int tap = 0; tap < 9; ++tap) {
      const std::int32_t* at = lines[tap / 3] + static_cast<std::ptrdiff_t>(i + tap % 3) * kChannels + tap * 3;
      sum = _mm_add_epi32(sum, _mm_loadu_si128(reinterpret_cast<const __m128i*>(at)));
    }
    const __m128 value = _mm_mul_ps(_mm_cvtepi32_ps(sum), multiplier);
    const __m128i rounded = _mm_cvtps_epi32(_mm_min_ps(_mm_max_ps(value, low), high));
    const __m128i words = _mm_packs_epi32(rounded, rounded);
    const std::int32_t packed = _mm_cvtsi128_si32(_mm_packus_epi16(words, words));
    std::memcpy(out + 3 * i, &packed, 3);
  }
}

}  // namespace treenet::cpu::TREENET_ISA

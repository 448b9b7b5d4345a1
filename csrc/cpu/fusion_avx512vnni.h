// A fusion's blends in AVX-512 with VNNI. Contracts: isa_scalar.h.
#pragma once

#include "cpu/isa_avx512vnni.h"

namespace treenet::cpu::TREENET_ISA {

// The weights of l = 0 to 127, of 16 bits.
struct FusionWeights {
  __m512i parts[4];

  explicit FusionWeights(const std::uint8_t* sigmoid) {
    for (int k = 0; k < 4; ++k) parts[k] = _mm512_add_epi16(_mm512_set1_epi16(128), load_pixel(sigmoid + 32 * k));
  }
  __m512i look_up(__m512i l) const {
    const __m512i low = _mm512_permutex2var_epi16(parts[0], l, parts[1]);
    const __m512i high = _mm512_permutex2var_epi16(parts[2], l, parts[3]);
    return _mm512_mask_blend_epi16(_mm512_test_epi16_mask(l, _mm512_set1_epi16(64)), low, high);
  }
};

// y + ((W * (x - y) + 128) >> 8), in 16 bits. vpmulhrsw gives (a * b + 2^14) >> 15.
inline __m512i blend(__m512i weight, const std::uint8_t* x, const std::uint8_t* y) {
  const __m512i to = load_pixel(x), from = load_pixel(y);
  const __m512i difference = _mm512_slli_epi16(_mm512_sub_epi16(to, from), 7);
  return _mm512_add_epi16(from, _mm512_mulhrs_epi16(difference, weight));
}
// Differences of s16 do not fit; a sum of two products, (W * x + (256 - W) * y + 128) >> 8, is the same.
inline __m512i blend(__m512i weight, const std::int16_t* x, const std::int16_t* y) {
  const __m512i rounding = _mm512_set1_epi32(128), rest = _mm512_sub_epi16(_mm512_set1_epi16(256), weight);
  const __m512i to = load_pixel(x), from = load_pixel(y);
  const __m512i first =
      _mm512_dpwssd_epi32(rounding, _mm512_unpacklo_epi16(to, from), _mm512_unpacklo_epi16(weight, rest));
  const __m512i second =
      _mm512_dpwssd_epi32(rounding, _mm512_unpackhi_epi16(to, from), _mm512_unpackhi_epi16(weight, rest));
  return _mm512_packs_epi32(_mm512_srai_epi32(first, 8), _mm512_srai_epi32(second, 8));
}

template <class T>
inline void blend_pixels(const std::uint8_t* hidden, const PackedConv& local2, const float* global,
                         const std::uint8_t* sigmoid, const T* x, const T* y, T* out) {
  constexpr int kSmallerWithSign = 2;
  const FusionWeights weights(sigmoid);
  const __m512i one = _mm512_set1_epi16(256);
  const __m512 limit = _mm512_set1_ps(127.0f);
  // Packs go by 128 bits: with these outputs in each half, what they give is in order.
  const __m512i outputs[2] = {_mm512_setr_epi32(0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27),
                              _mm512_setr_epi32(4, 5, 6, 7, 12, 13, 14, 15, 20, 21, 22, 23, 28, 29, 30, 31)};
  const auto of = [&](int half, const void* from) {
    const std::uint8_t* numbers = static_cast<const std::uint8_t*>(from);
    return _mm512_permutex2var_epi32(_mm512_loadu_si512(numbers), outputs[half], _mm512_loadu_si512(numbers + 64));
  };
  __m512i bias[2], low[2], high[2];  // weights of the first four hidden channels, and of the others
  __m512 scale[2], offset[2];
#pragma GCC unroll 2
  for (int h = 0; h < 2; ++h) {
    bias[h] = of(h, local2.bias);
    low[h] = of(h, local2.weights);
    high[h] = of(h, local2.weights + 128);
    scale[h] = _mm512_castsi512_ps(of(h, local2.multiplier));
    offset[h] = _mm512_castsi512_ps(of(h, global));
  }
#pragma GCC unroll 2
  for (int i = 0; i < kFusionPixels * kChannels; i += kChannels, hidden += kHidden) {
    const __m512i first = broadcast4(hidden), second = broadcast4(hidden + 4);
    __m512i rounded[2];
#pragma GCC unroll 2
    for (int h = 0; h < 2; ++h) {
      const __m512i sum = _mm512_dpbusd_epi32(_mm512_dpbusd_epi32(bias[h], first, low[h]), second, high[h]);
      const __m512 value = _mm512_add_ps(_mm512_mul_ps(_mm512_cvtepi32_ps(sum), scale[h]), offset[h]);
      rounded[h] = _mm512_cvtps_epi32(_mm512_range_ps(value, limit, kSmallerWithSign));
    }
    const __m512i l = _mm512_packs_epi32(rounded[0], rounded[1]);
    const __m512i weight = weights.look_up(_mm512_abs_epi16(l));
    const __m512i of_l = _mm512_mask_sub_epi16(weight, _mm512_movepi16_mask(l), one, weight);
    store_pixel(out + i, blend(of_l, x + i, y + i));
  }
}

}  // namespace treenet::cpu::TREENET_ISA

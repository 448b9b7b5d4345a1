// A fusion's blends in AVX-512 with VNNI. Contracts: isa_scalar.h.
#pragma once

#include "cpu/isa_avx512vnni.h"

namespace treenet::cpu::TREENET_ISA {

// The model's 128 bytes, two to a lane of 16 bits, in two registers: entry k is byte k % 2 of lane k / 2.
struct SigmoidTable {
  __m512i low, high;

  explicit SigmoidTable(const std::uint8_t* bytes)
      : low(_mm512_loadu_si512(bytes)), high(_mm512_loadu_si512(bytes + 64)) {}
  __m512i look_up(__m512i k) const {
    const __m512i lane = _mm512_permutex2var_epi16(low, _mm512_srli_epi16(k, 1), high);
    const __m512i shift = _mm512_slli_epi16(_mm512_and_si512(k, _mm512_set1_epi16(1)), 3);
    return _mm512_and_si512(_mm512_srlv_epi16(lane, shift), _mm512_set1_epi16(255));
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
inline void blend_block(const std::int32_t* accumulators, const float* multiplier, const float* global,
                        const std::uint8_t* sigmoid, const T* x, const T* y, T* out) {
  const SigmoidTable table(sigmoid);
  const __m512i half = _mm512_set1_epi16(128), limit = _mm512_set1_epi16(127);
  const PerChannel<kChannels> scale(multiplier), offset(global);
  for (int i = 0; i < kBlock; i += kChannels) {
    __m512i rounded[2];
#pragma GCC unroll 2
    for (int v = 0; v < 2; ++v) {
      const __m512 local = _mm512_mul_ps(_mm512_cvtepi32_ps(_mm512_load_si512(accumulators + i + 16 * v)), scale[v]);
      rounded[v] = round_to_pack(_mm512_add_ps(local, offset[v]));
    }
    const __m512i l = pack(rounded[0], rounded[1]);
    const __m512i size = table.look_up(_mm512_min_epu16(_mm512_abs_epi16(l), limit));
    const __m512i weight = _mm512_mask_sub_epi16(_mm512_add_epi16(half, size), _mm512_movepi16_mask(l), half, size);
    store_pixel(out + i, blend(weight, x + i, y + i));
  }
}

}  // namespace treenet::cpu::TREENET_ISA

// Channels' symbols for AVX-512. Contract: symbols_scalar.h.
#pragma once

#include <immintrin.h>

#include "cpu/kernels.h"

namespace treenet::cpu::TREENET_ISA {

// Sixteen channels.
struct CodedChannels {
  static constexpr int kCount = 16;
  const LatentRow& row;
  std::ptrdiff_t at;
  __m128i index = _mm_loadu_si128(reinterpret_cast<const __m128i*>(row.index + at));
  __mmask16 coded = _mm_cmpge_epu8_mask(index, _mm_set1_epi8(static_cast<char>(row.skip)));

  // The mask by a move of its own: GCC 12 widens one in memory by reading beyond its 16 bits.
  int count() const { return _mm_popcnt_u32(_cvtmask16_u32(coded)); }
  void list_tables(std::uint8_t* tables) const {
    const __m512i packed = _mm512_maskz_compress_epi32(coded, _mm512_cvtepu8_epi32(index));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(tables), _mm512_cvtepi32_epi8(packed));
  }
  void quantise(const std::int16_t* latents, std::int16_t* symbols) const {
    const __m512i difference = _mm512_sub_epi32(load(latents), load(row.mean + at));
    const __m512i rounded = _mm512_add_epi32(difference, _mm512_set1_epi32(kLatentStep / 2));
    const __m512i quantised = _mm512_maskz_srai_epi32(coded, rounded, kLatentBits);
    store_decoded(quantised);
    store(symbols, _mm512_cvtepi32_epi16(_mm512_maskz_compress_epi32(coded, quantised)));
  }
  void dequantise(const std::int16_t* symbols) const { store_decoded(_mm512_maskz_expand_epi32(coded, load(symbols))); }

 private:
  static __m512i load(const std::int16_t* from) {
    return _mm512_cvtepi16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)));
  }
  static void store(std::int16_t* to, __m256i words) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), words); }
  // From symbols, which are zero where there is none.
  void store_decoded(__m512i symbols) const {
    const __m512i decoded = _mm512_add_epi32(_mm512_slli_epi32(symbols, kLatentBits), load(row.mean + at));
    store(row.decoded + at, _mm512_cvtsepi32_epi16(decoded));
  }
};

}  // namespace treenet::cpu::TREENET_ISA

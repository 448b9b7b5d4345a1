// A position's symbols for AVX-512. Contracts: symbols_scalar.h.
#pragma once

#include <immintrin.h>

#include "cpu/kernels.h"

namespace treenet::cpu::TREENET_ISA {

// Sixteen channels from element `at` on.
struct SixteenChannels {
  const LatentRow& row;
  std::ptrdiff_t at;
  __m128i index = _mm_loadu_si128(reinterpret_cast<const __m128i*>(row.index + at));
  __mmask16 coded = _mm_cmpge_epu8_mask(index, _mm_set1_epi8(static_cast<char>(row.skip)));

  static __m512i load(const std::int16_t* from) {
    return _mm512_cvtepi16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)));
  }
  static void store(std::int16_t* to, __m256i words) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), words); }

  int count() const { return _mm_popcnt_u32(coded); }
  __m512i mean() const { return load(row.mean + at); }
  // From symbols, which are zero where there is none.
  void store_decoded(__m512i symbols) const {
    const __m512i decoded = _mm512_add_epi32(_mm512_slli_epi32(symbols, kLatentBits), mean());
    store(row.decoded + at, _mm512_cvtsepi32_epi16(decoded));
  }
  void store_tables(std::uint8_t* to) const {
    const __m512i tables = _mm512_maskz_compress_epi32(coded, _mm512_cvtepu8_epi32(index));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to), _mm512_cvtepi32_epi8(tables));
  }
};

inline std::ptrdiff_t list_tables_of_position(const LatentRow& row, std::ptrdiff_t at, std::uint8_t* tables) {
  const SixteenChannels first{row, at}, second{row, at + 16};
  first.store_tables(tables);
  second.store_tables(tables + first.count());
  return first.count() + second.count();
}

inline std::ptrdiff_t quantise_position(const LatentRow& row, std::ptrdiff_t at, const std::int16_t* latents,
                                        std::int16_t* symbols) {
  std::ptrdiff_t before = 0;
#pragma GCC unroll 2
  for (std::ptrdiff_t c = 0; c < kChannels; c += 16) {
    const SixteenChannels channels{row, at + c};
    const __m512i difference = _mm512_sub_epi32(SixteenChannels::load(latents + at + c), channels.mean());
    const __m512i rounded = _mm512_add_epi32(difference, _mm512_set1_epi32(kLatentStep / 2));
    const __m512i quantised = _mm512_maskz_srai_epi32(channels.coded, rounded, kLatentBits);
    channels.store_decoded(quantised);
    SixteenChannels::store(symbols + before,
                           _mm512_cvtepi32_epi16(_mm512_maskz_compress_epi32(channels.coded, quantised)));
    before += channels.count();
  }
  return before;
}

inline std::ptrdiff_t dequantise_position(const LatentRow& row, std::ptrdiff_t at, const std::int16_t* symbols) {
  std::ptrdiff_t before = 0;
#pragma GCC unroll 2
  for (std::ptrdiff_t c = 0; c < kChannels; c += 16) {
    const SixteenChannels channels{row, at + c};
    channels.store_decoded(_mm512_maskz_expand_epi32(channels.coded, SixteenChannels::load(symbols + before)));
    before += channels.count();
  }
  return before;
}

}  // namespace treenet::cpu::TREENET_ISA

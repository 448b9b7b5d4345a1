// The entropy coder's loops for AVX-512, on vectors of 16 lanes. Contracts: codec/rans_loops.h.
#pragma once

#include <immintrin.h>

#include "codec/rans_loops.h"
#include "cpu/crc32_x86.h"

namespace treenet::cpu::TREENET_ISA {

template <int kVectors>
std::uint8_t* encode_sixteens(std::uint32_t* states, const NarrowDivisor* symbols, std::size_t groups,
                              std::uint8_t* words) {
  const __m512i even = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
  const __m512i odd = _mm512_add_epi32(even, _mm512_set1_epi32(1));
  __m512i x[kVectors];
  for (int v = 0; v < kVectors; ++v) x[v] = _mm512_loadu_si512(states + 16 * v);
  for (std::size_t group = groups; group-- > 0;) {
#pragma GCC unroll 2
    for (int v = kVectors - 1; v >= 0; --v) {
      const NarrowDivisor* divisors = symbols + 16 * (group * kVectors + v);
      const __m512i low = _mm512_loadu_si512(divisors), high = _mm512_loadu_si512(divisors + 8);
      const __m512i reciprocal = _mm512_permutex2var_epi32(low, even, high);
      const __m512i interval = _mm512_permutex2var_epi32(low, odd, high);
      const __m512i cumulative = _mm512_and_si512(interval, _mm512_set1_epi32(0xFFFF));
      const __m512i frequency = _mm512_srli_epi32(interval, 16);

      const __mmask16 full = _mm512_cmpge_epu32_mask(x[v], _mm512_slli_epi32(frequency, 16));
      const auto count = static_cast<unsigned>(_mm_popcnt_u32(_cvtmask16_u32(full)));
      words -= 2 * count;
      const __m256i due = _mm512_cvtepi32_epi16(_mm512_maskz_compress_epi32(full, x[v]));
      _mm256_mask_storeu_epi16(words, static_cast<__mmask16>((1u << count) - 1), due);
      const __m512i state = _mm512_mask_srli_epi32(x[v], full, x[v], 16);

      // Quotients, perhaps one too small (NarrowDivisor), of even lanes and of odd ones.
      const __m512i of_even = _mm512_mul_epu32(state, reciprocal);
      const __m512i of_odd = _mm512_mul_epu32(_mm512_srli_epi64(state, 32), _mm512_srli_epi64(reciprocal, 32));
      __m512i quotient = _mm512_mask_blend_epi32(0xAAAA, _mm512_srli_epi64(of_even, 32), of_odd);
      __m512i remainder = _mm512_sub_epi32(state, _mm512_mullo_epi32(quotient, frequency));
      const __mmask16 small = _mm512_cmpge_epu32_mask(remainder, frequency);
      quotient = _mm512_mask_add_epi32(quotient, small, quotient, _mm512_set1_epi32(1));
      remainder = _mm512_mask_sub_epi32(remainder, small, remainder, frequency);
      x[v] = _mm512_add_epi32(_mm512_slli_epi32(quotient, 16), _mm512_add_epi32(remainder, cumulative));
    }
  }
  for (int v = 0; v < kVectors; ++v) _mm512_storeu_si512(states + 16 * v, x[v]);
  return words;
}

constexpr CoderLoops coder_loops() {
  CoderLoops loops = kScalarLoops;  // the plain loops take up to eight lanes faster
  loops.encode[4] = encode_sixteens<1>;
  loops.encode[5] = encode_sixteens<2>;
  loops.fold_crc = fold_crc;
  return loops;
}

}  // namespace treenet::cpu::TREENET_ISA

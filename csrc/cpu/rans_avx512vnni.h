// The entropy coder's loops for AVX-512, on vectors of 16 lanes. Contracts: codec/rans_loops.h.
#pragma once

#include <immintrin.h>

#include "cpu/rans_x86.h"

namespace treenet::cpu::TREENET_ISA {

template <int kVectors>
std::uint8_t* encode_sixteens(std::uint32_t* states, const Divisor* symbols, std::size_t groups, std::uint8_t* words) {
  const __m512i even = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
  const __m512i odd = _mm512_add_epi32(even, _mm512_set1_epi32(1));
  __m512i x[kVectors];
  for (int v = 0; v < kVectors; ++v) x[v] = _mm512_loadu_si512(states + 16 * v);
  for (std::size_t group = groups; group-- > 0;) {
#pragma GCC unroll 2
    for (int v = kVectors - 1; v >= 0; --v) {
      const Divisor* divisors = symbols + 16 * (group * kVectors + v);
      const __m512i low = _mm512_loadu_si512(divisors), high = _mm512_loadu_si512(divisors + 8);
      const __m512i reciprocal = _mm512_permutex2var_epi32(low, even, high);
      const __m512i interval = _mm512_permutex2var_epi32(low, odd, high);
      const __m512i cumulative = _mm512_and_si512(interval, _mm512_set1_epi32(0xFFFF));
      const __m512i frequency = _mm512_srli_epi32(interval, 16);

      const __mmask16 full = _mm512_cmpge_epu32_mask(x[v], _mm512_slli_epi32(frequency, 16));
      const auto count = static_cast<unsigned>(_mm_popcnt_u32(full));
      words -= 2 * count;
      const __m256i due = _mm512_cvtepi32_epi16(_mm512_maskz_compress_epi32(full, x[v]));
      _mm256_mask_storeu_epi16(words, static_cast<__mmask16>((1u << count) - 1), due);
      const __m512i state = _mm512_mask_srli_epi32(x[v], full, x[v], 16);

      // Quotients as in the plain loop, of even lanes and of odd ones.
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

template <int kVectors>
std::size_t decode_sixteens(const DecodingTables& all, std::uint32_t* states, const std::uint8_t* tables,
                            std::int16_t* symbols, std::size_t groups, const std::uint8_t*& words,
                            const std::uint8_t* end) {
  constexpr int kLanes = 16 * kVectors;
  const __m512i low_half = _mm512_set1_epi32(0xFFFF);
  const __m512i even = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
  const __m512i odd = _mm512_add_epi32(even, _mm512_set1_epi32(1));
  const DecodingTables records = all;
  const std::uint8_t* next_word = words;
  __m512i x[kVectors];
  for (int v = 0; v < kVectors; ++v) x[v] = _mm512_loadu_si512(states + 16 * v);
  std::size_t group = 0;
  unsigned escapes = 0;
  for (; group < groups && escapes == 0 && end - next_word >= 2 * kLanes; ++group) {
#pragma GCC unroll 2
    for (int v = 0; v < kVectors; ++v, tables += 16, symbols += 16) {
      const __m512i table = _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(tables)));
      const __m512i slot = _mm512_and_si512(x[v], low_half);
      const __m512i cell =
          _mm512_add_epi32(_mm512_slli_epi32(table, kFrequencyBits - kCellBits), _mm512_srli_epi32(slot, kCellBits));
      const __m512i first = _mm512_and_si512(_mm512_i32gather_epi32(cell, records.cells, 1), _mm512_set1_epi32(0xFF));
      // Both intervals that a cell can have: two records, read as one number.
      const __m512i at = _mm512_add_epi32(_mm512_slli_epi32(table, kTableBits), first);
      const __m512i low = _mm512_i32gather_epi64(_mm512_castsi512_si256(at), records.intervals, 4);
      const __m512i high = _mm512_i32gather_epi64(_mm512_extracti64x4_epi64(at, 1), records.intervals, 4);
      __m512i interval = _mm512_permutex2var_epi32(low, even, high);
      const __m512i second = _mm512_permutex2var_epi32(low, odd, high);
      const __mmask16 next = _mm512_cmpge_epu32_mask(_mm512_sub_epi32(slot, _mm512_and_si512(interval, low_half)),
                                                     _mm512_srli_epi32(interval, 16));
      interval = _mm512_mask_mov_epi32(interval, next, second);
      const __m512i k = _mm512_mask_add_epi32(first, next, first, _mm512_set1_epi32(1));

      __m512i state = _mm512_mullo_epi32(_mm512_srli_epi32(interval, 16), _mm512_srli_epi32(x[v], 16));
      state = _mm512_add_epi32(state, _mm512_sub_epi32(slot, _mm512_and_si512(interval, low_half)));
      const __mmask16 due = _mm512_cmplt_epu32_mask(state, _mm512_set1_epi32(kLowerBound));
      const __m512i lying = _mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(next_word)));
      x[v] = _mm512_mask_or_epi32(state, due, _mm512_slli_epi32(state, 16), _mm512_maskz_expand_epi32(due, lying));
      next_word += 2 * _mm_popcnt_u32(due);

      const __m512i info = _mm512_i32gather_epi32(table, records.infos, 4);
      const __m512i symbol = _mm512_add_epi32(info, k);  // the lower halves
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(symbols), _mm512_cvtepi32_epi16(symbol));
      escapes |= _mm512_cmpeq_epi32_mask(_mm512_srli_epi32(info, 16), k);
    }
  }
  for (int v = 0; v < kVectors; ++v) _mm512_storeu_si512(states + 16 * v, x[v]);
  words = next_word;
  return group;
}

constexpr CoderLoops coder_loops() {
  CoderLoops loops = kScalarLoops;  // fewer lanes than a vector has
  loops.encode[3] = encode_eights<1>;
  loops.encode[4] = encode_sixteens<1>;
  loops.encode[5] = encode_sixteens<2>;
  loops.decode[3] = decode_eights<1>;
  loops.decode[4] = decode_sixteens<1>;
  loops.decode[5] = decode_sixteens<2>;
  return loops;
}

}  // namespace treenet::cpu::TREENET_ISA

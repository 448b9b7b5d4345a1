// The entropy coder's loops for AVX2, on vectors of 8 lanes. Contracts: codec/rans_loops.h.
#pragma once

#include <immintrin.h>

#include "codec/rans_loops.h"
#include "cpu/crc32_x86.h"

namespace treenet::cpu::TREENET_ISA {

// AVX2 cannot compress. [mask]: for each place of a vector, the element that comes there.
struct Permutations {
  std::uint8_t from[256][8];
};

// Marked elements to the end of the vector, in their order.
constexpr Permutations make_compress() {
  Permutations table{};
  for (unsigned mask = 0; mask < 256; ++mask) {
    int place = 8;
    for (int element = 8; element-- > 0;) {
      if (mask >> element & 1) table.from[mask][--place] = static_cast<std::uint8_t>(element);
    }
  }
  return table;
}

inline constexpr Permutations kCompress = make_compress();

inline __m256i permute(__m256i vector, const Permutations& permutations, unsigned mask) {
  const __m128i places = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(permutations.from[mask]));
  return _mm256_permutevar8x32_epi32(vector, _mm256_cvtepu8_epi32(places));
}

inline unsigned mask_of(__m256i marks) { return static_cast<unsigned>(_mm256_movemask_ps(_mm256_castsi256_ps(marks))); }

// All ones where a >= b, of unsigned numbers.
inline __m256i at_least(__m256i a, __m256i b) { return _mm256_cmpeq_epi32(_mm256_max_epu32(a, b), a); }

// Undoes the order in which AVX2 joins two vectors: by their lower halves, then by their upper ones.
inline __m256i in_order(__m256i joined) { return _mm256_permute4x64_epi64(joined, 0xD8); }

// The even and the odd elements of two vectors.
inline __m256i evens(__m256i a, __m256i b) {
  return in_order(
      _mm256_castps_si256(_mm256_shuffle_ps(_mm256_castsi256_ps(a), _mm256_castsi256_ps(b), _MM_SHUFFLE(2, 0, 2, 0))));
}
inline __m256i odds(__m256i a, __m256i b) {
  return in_order(
      _mm256_castps_si256(_mm256_shuffle_ps(_mm256_castsi256_ps(a), _mm256_castsi256_ps(b), _MM_SHUFFLE(3, 1, 3, 1))));
}

// The lower halves of eight numbers below 2^16.
inline void store_words(void* to, __m256i words) {
  const __m256i packed = in_order(_mm256_packus_epi32(words, words));
  _mm_storeu_si128(static_cast<__m128i*>(to), _mm256_castsi256_si128(packed));
}

inline __m256i load(const void* from) { return _mm256_loadu_si256(static_cast<const __m256i*>(from)); }

template <int kVectors>
std::uint8_t* encode_eights(std::uint32_t* states, const NarrowDivisor* symbols, std::size_t groups,
                            std::uint8_t* words) {
  __m256i x[kVectors];
  for (int v = 0; v < kVectors; ++v) x[v] = load(states + 8 * v);
  for (std::size_t group = groups; group-- > 0;) {
#pragma GCC unroll 4
    for (int v = kVectors - 1; v >= 0; --v) {
      const NarrowDivisor* divisors = symbols + 8 * (group * kVectors + v);
      const __m256i low = load(divisors), high = load(divisors + 4);
      const __m256i reciprocal = evens(low, high);
      const __m256i interval = odds(low, high);
      const __m256i cumulative = _mm256_and_si256(interval, _mm256_set1_epi32(0xFFFF));
      const __m256i frequency = _mm256_srli_epi32(interval, 16);

      const __m256i full = at_least(x[v], _mm256_slli_epi32(frequency, 16));
      const unsigned mask = mask_of(full);
      const __m256i due = permute(_mm256_and_si256(x[v], _mm256_set1_epi32(0xFFFF)), kCompress, mask);
      store_words(words - 16, due);
      words -= 2 * _mm_popcnt_u32(mask);
      const __m256i state = _mm256_blendv_epi8(x[v], _mm256_srli_epi32(x[v], 16), full);

      // Quotients, perhaps one too small (NarrowDivisor), of even lanes and of odd ones.
      const __m256i of_even = _mm256_mul_epu32(state, reciprocal);
      const __m256i of_odd = _mm256_mul_epu32(_mm256_srli_epi64(state, 32), _mm256_srli_epi64(reciprocal, 32));
      __m256i quotient = _mm256_blend_epi32(_mm256_srli_epi64(of_even, 32), of_odd, 0xAA);
      __m256i remainder = _mm256_sub_epi32(state, _mm256_mullo_epi32(quotient, frequency));
      const __m256i small = at_least(remainder, frequency);
      quotient = _mm256_sub_epi32(quotient, small);
      remainder = _mm256_sub_epi32(remainder, _mm256_and_si256(small, frequency));
      x[v] = _mm256_add_epi32(_mm256_slli_epi32(quotient, 16), _mm256_add_epi32(remainder, cumulative));
    }
  }
  for (int v = 0; v < kVectors; ++v) _mm256_storeu_si256(reinterpret_cast<__m256i*>(states + 8 * v), x[v]);
  return words;
}

constexpr CoderLoops coder_loops() {
  CoderLoops loops = kScalarLoops;  // the plain loops take up to eight lanes faster
  loops.encode[4] = encode_eights<2>;
  loops.encode[5] = encode_eights<4>;
  loops.fold_crc = fold_crc;
  return loops;
}

}  // namespace treenet::cpu::TREENET_ISA

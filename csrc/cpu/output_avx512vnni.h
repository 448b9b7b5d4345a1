// The output convolution in AVX-512 with VNNI. Contracts: output_lanes.h, and output_products.h for use with AMX.
#pragma once

#include "cpu/isa_avx512vnni.h"

namespace treenet::cpu::TREENET_ISA {

inline void pixels_to_lanes(const std::int16_t* pixels, std::ptrdiff_t stride, std::int32_t* to, std::int16_t* seen) {
  __m512i from[16], twos[16], fours[16], bits = _mm512_load_si512(seen);
#pragma GCC unroll 16
  for (int p = 0; p < 16; ++p) {
    from[p] = _mm512_loadu_si512(pixels + p * stride);
    bits = _mm512_or_si512(bits, _mm512_xor_si512(from[p], _mm512_srai_epi16(from[p], 15)));
  }
  _mm512_store_si512(seen, bits);
#pragma GCC unroll 8
  for (int p = 0; p < 16; p += 2) {
    twos[p] = _mm512_unpacklo_epi32(from[p], from[p + 1]);
    twos[p + 1] = _mm512_unpackhi_epi32(from[p], from[p + 1]);
  }
#pragma GCC unroll 4
  for (int p = 0; p < 16; p += 4) {
#pragma GCC unroll 2
    for (int i = 0; i < 2; ++i) {
      fours[p + 2 * i] = _mm512_unpacklo_epi64(twos[p + i], twos[p + i + 2]);
      fours[p + 2 * i + 1] = _mm512_unpackhi_epi64(twos[p + i], twos[p + i + 2]);
    }
  }
  // Pair i of every four is in fours[4 k + i], of pixels [4 k, 4 k + 4).
  constexpr int kEven = 0x88, kOdd = 0xdd;
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i, to += 16) {
    const __m512i even_low = _mm512_shuffle_i32x4(fours[i], fours[4 + i], kEven);
    const __m512i odd_low = _mm512_shuffle_i32x4(fours[i], fours[4 + i], kOdd);
    const __m512i even_high = _mm512_shuffle_i32x4(fours[8 + i], fours[12 + i], kEven);
    const __m512i odd_high = _mm512_shuffle_i32x4(fours[8 + i], fours[12 + i], kOdd);
    _mm512_store_si512(to, _mm512_shuffle_i32x4(even_low, even_high, kEven));
    _mm512_store_si512(to + 4 * 16, _mm512_shuffle_i32x4(odd_low, odd_high, kEven));
    _mm512_store_si512(to + 8 * 16, _mm512_shuffle_i32x4(even_low, even_high, kOdd));
    _mm512_store_si512(to + 12 * 16, _mm512_shuffle_i32x4(odd_low, odd_high, kOdd));
  }
}
template <class Sums, class Pairs>
inline Sums add_pair_products(Sums sums, Pairs pairs, const std::int16_t* weights) {
  return reinterpret_cast<Sums>(_mm512_dpwssd_epi32(reinterpret_cast<__m512i>(sums), reinterpret_cast<__m512i>(pairs),
                                                    broadcast4(bytes(weights))));
}
template <class Sums>
inline void store_colour(Sums sums, std::int32_t bias, float multiplier, std::uint8_t* to) {
  const __m512 value =
      _mm512_mul_ps(_mm512_cvtepi32_ps(_mm512_add_epi32(reinterpret_cast<__m512i>(sums), _mm512_set1_epi32(bias))),
                    _mm512_set1_ps(multiplier));
  const __m512 clamped = _mm512_min_ps(_mm512_max_ps(value, _mm512_setzero_ps()), _mm512_set1_ps(255.0f));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(to), _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(clamped)));
}

// Four pixels at a time, each four numbers, three of them used. Products are read for whole fours; what lies behind the
// last pixel counts for nothing.
inline void output_pixels(const std::int32_t* above, const std::int32_t* here, const std::int32_t* below,
                          const PackedOutput& output, std::int32_t count, std::uint8_t* out) {
  const __m512i bias = _mm512_broadcast_i32x4(_mm_loadu_si128(reinterpret_cast<const __m128i*>(output.bias)));
  const __m512 multiplier = _mm512_broadcast_f32x4(_mm_loadu_ps(output.multiplier));
  const __m512 low = _mm512_setzero_ps(), high = _mm512_set1_ps(255.0f);
  const __m128i colours = _mm_setr_epi8(0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, -1, -1, -1, -1);
  const std::int32_t* lines[3] = {above, here, below};
  for (std::int32_t i = 0; i < count; i += 4) {
    __m128i sum[4];
#pragma GCC unroll 4
    for (int p = 0; p < 4; ++p) {
      sum[p] = _mm_setzero_si128();
#pragma GCC unroll 9
      for (int tap = 0; tap < 9; ++tap) {
        const std::int32_t* at = lines[tap / 3] + static_cast<std::ptrdiff_t>(i + p + tap % 3) * kChannels + tap * 3;
        sum[p] = _mm_add_epi32(sum[p], _mm_loadu_si128(reinterpret_cast<const __m128i*>(at)));
      }
    }
    const __m256i halves[2] = {_mm256_inserti128_si256(_mm256_castsi128_si256(sum[0]), sum[1], 1),
                               _mm256_inserti128_si256(_mm256_castsi128_si256(sum[2]), sum[3], 1)};
    const __m512i sums = _mm512_inserti64x4(_mm512_castsi256_si512(halves[0]), halves[1], 1);
    const __m512 value = _mm512_mul_ps(_mm512_cvtepi32_ps(_mm512_add_epi32(sums, bias)), multiplier);
    const __m128i bytes = _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(_mm512_min_ps(_mm512_max_ps(value, low), high)));
    const int valid = count - i < 4 ? 3 * (count - i) : 12;
    _mm_mask_storeu_epi8(out + 3 * i, static_cast<__mmask16>((1u << valid) - 1), _mm_shuffle_epi8(bytes, colours));
  }
}

}  // namespace treenet::cpu::TREENET_ISA

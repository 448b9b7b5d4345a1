// The image's convolution in AVX-512 with VNNI. Contracts: conv_image.h.
#pragma once

#include "cpu/isa_avx512vnni.h"

namespace treenet::cpu::TREENET_ISA {

inline void add_last_taps(std::uint8_t* line, std::int32_t count) {
  constexpr __mmask16 kOdd = 0xaaaa;
  const __m512i colours = _mm512_set1_epi32(0xffffff);
  for (std::int32_t i = 0; i < count; i += 16, line += 64) {
    const __m512i reds = _mm512_slli_epi32(_mm512_loadu_si512(line + 8), 24);
    const __m512i greens = _mm512_slli_epi32(_mm512_srli_epi32(_mm512_loadu_si512(line + 4), 8), 24);
    const __m512i pixels = _mm512_and_si512(_mm512_loadu_si512(line), colours);
    _mm512_storeu_si512(line, _mm512_or_si512(pixels, _mm512_mask_mov_epi32(reds, kOdd, greens)));
  }
}

inline void gather_blues(const std::uint8_t* const (&lines)[3], std::int32_t count, std::uint8_t* blues) {
  const __m512i even = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
  for (std::int32_t i = 0; i < count; i += 16) {
    __m512i blue[3];
#pragma GCC unroll 3
    for (int u = 0; u < 3; ++u) {
      const std::uint8_t* from = lines[u] + 8 * i + 8;
      const __m512i pixels = _mm512_permutex2var_epi32(_mm512_loadu_si512(from), even, _mm512_loadu_si512(from + 64));
      blue[u] = _mm512_and_si512(_mm512_srli_epi32(pixels, 16), _mm512_set1_epi32(255));
    }
    const __m512i all =
        _mm512_or_si512(blue[0], _mm512_or_si512(_mm512_slli_epi32(blue[1], 8), _mm512_slli_epi32(blue[2], 16)));
    _mm512_storeu_si512(blues + 4 * i, all);
  }
}

[[gnu::noinline]] inline void conv_image_block(const std::uint8_t* const (&lines)[3], const std::uint8_t* blues,
                                               const PackedConv& conv, std::int32_t* accumulators) {
  constexpr int kLines = 3, kGroups = 2 * kLines + 1;
  const std::uint8_t* from[kLines] = {lines[0], lines[1], lines[2]};
  __m512i sum[kBlockPixels][2];
#pragma GCC unroll 16
  for (int p = 0; p < kBlockPixels; ++p) {
    sum[p][0] = _mm512_loadu_si512(conv.bias);
    sum[p][1] = _mm512_loadu_si512(conv.bias + 16);
  }
#pragma GCC unroll 7
  for (int g = 0; g < kGroups; ++g) {
    const __m512i low = _mm512_load_si512(conv.weights + 128 * g);
    const __m512i high = _mm512_load_si512(conv.weights + 128 * g + 64);
#pragma GCC unroll 16
    for (int p = 0; p < kBlockPixels; ++p) {
      const __m512i value = broadcast4(g < 2 * kLines ? from[g / 2] + 8 * p + 4 * (g % 2) : blues + 4 * p);
      sum[p][0] = _mm512_dpbusd_epi32(sum[p][0], value, low);
      sum[p][1] = _mm512_dpbusd_epi32(sum[p][1], value, high);
    }
  }
#pragma GCC unroll 16
  for (int p = 0; p < kBlockPixels; ++p) {
    store_sums(accumulators + 32 * p, sum[p][0]);
    store_sums(accumulators + 32 * p + 16, sum[p][1]);
  }
}

}  // namespace treenet::cpu::TREENET_ISA

// The sum of products that makes a pixel (SPEC §6), a vector of four numbers at a time, three of them used. Common to
// the x86 paths; contract: isa_scalar.h.
#pragma once

#include <immintrin.h>

#include <cstring>

#include "cpu/lines.h"

namespace treenet::cpu::TREENET_ISA {

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

// Compiled with AVX-512 VNNI flags: no more than the primitives, and nothing of the standard library that could stand
// in for what other files have of it.
#define TREENET_ISA root_test
#include "roots_avx512vnni.h"

#include "cpu/isa_avx512vnni.h"

namespace treenet::cpu {

bool any_root_differs(float number, std::uint32_t first, std::uint32_t last, float root) {
  const __m512i lanes = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  const __m512 value = _mm512_set1_ps(number), expected = _mm512_set1_ps(root);
  __mmask16 other = 0;
  for (std::uint32_t estimate = first; estimate <= last; estimate += 16) {
    const __m512i estimates = _mm512_add_epi32(_mm512_set1_epi32(static_cast<int>(estimate)), lanes);
    const __m512 made = root_test::root_from(value, _mm512_castsi512_ps(estimates));
    other = static_cast<__mmask16>(other | _mm512_cmpneq_ps_mask(made, expected));
  }
  return other != 0;
}

float root_by_products_of(float number) {
  return _mm512_cvtss_f32(root_test::root_by_products(_mm512_set1_ps(number)));
}
float inverse_root_estimate(float number) { return _mm512_cvtss_f32(_mm512_rsqrt14_ps(_mm512_set1_ps(number))); }

}  // namespace treenet::cpu

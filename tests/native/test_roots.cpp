// The square root by multiplications (cpu/isa_avx512vnni.h), for all that it can be given.
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <vector>

#include "check.h"
#include "cpu/dispatch.h"

#if defined(TREENET_HAVE_AVX512VNNI)
#define TREENET_ISA root_test
#include "cpu/isa_avx512vnni.h"

namespace treenet::cpu::root_test {
namespace {

bool runs_here() {
  const std::vector<std::string> isas = usable_isas();
  return std::find(isas.begin(), isas.end(), "avx512vnni") != isas.end();
}

// A root's significand depends on the number's and on whether its exponent is even: the numbers of [1, 4) stand for
// all.
constexpr std::uint32_t kFirst = std::bit_cast<std::uint32_t>(1.0f), kLast = std::bit_cast<std::uint32_t>(4.0f);

// An instruction's estimate is another one on another processor. All are within 2^-14 of the inverse root.
TEST("roots are correctly rounded from every estimate within 2^-14, for every significand") {
  if (!runs_here()) return;
  const __m512i lanes = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  std::uint32_t wrong = 0;
  for (std::uint32_t bits = kFirst; bits < kLast; ++bits) {
    const float number = std::bit_cast<float>(bits);
    const double inverse = 1 / std::sqrt(static_cast<double>(number));
    const auto bound = [&](double factor) {
      return std::bit_cast<std::uint32_t>(static_cast<float>(inverse * factor));
    };
    const std::uint32_t first = bound(1 - 0x1p-14) - 1, last = bound(1 + 0x1p-14) + 1;
    const __m512 value = _mm512_set1_ps(number), root = _mm512_set1_ps(std::sqrt(number));
    __mmask16 other = 0;
    for (std::uint32_t estimate = first; estimate <= last; estimate += 16) {
      const __m512i estimates = _mm512_add_epi32(_mm512_set1_epi32(static_cast<int>(estimate)), lanes);
      other |= _mm512_cmpneq_ps_mask(root_from(value, _mm512_castsi512_ps(estimates)), root);
    }
    wrong += other != 0;
  }
  CHECK_EQUAL(wrong, 0u);
}

TEST("this processor's estimate is within 2^-14") {
  if (!runs_here()) return;
  double largest = 0;
  for (std::uint32_t bits = kFirst; bits < kLast; ++bits) {
    const float number = std::bit_cast<float>(bits);
    const float estimate = _mm512_cvtss_f32(_mm512_rsqrt14_ps(_mm512_set1_ps(number)));
    largest = std::max(largest, std::abs(estimate * std::sqrt(static_cast<double>(number)) - 1));
  }
  CHECK(largest <= 0x1p-14);
}

TEST("roots of every power of two and its neighbours, up to the largest norm") {
  if (!runs_here()) return;
  for (int exponent = 0; exponent <= 31; ++exponent) {
    for (const float number : {std::ldexp(1.0f, exponent), std::nextafter(std::ldexp(1.0f, exponent), 0.0f),
                               std::nextafter(std::ldexp(1.0f, exponent), 4e9f)}) {
      if (number < 1 || number > 0x1p31f) continue;
      CHECK_EQUAL(_mm512_cvtss_f32(root_by_products(_mm512_set1_ps(number))), std::sqrt(number));
    }
  }
}

}  // namespace
}  // namespace treenet::cpu::root_test
#endif

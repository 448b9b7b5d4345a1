// The square root by multiplications (cpu/isa_avx512vnni.h), for all that it can be given.
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "check.h"
#include "cpu/dispatch.h"
#include "roots_avx512vnni.h"

namespace treenet::cpu {
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
  std::uint32_t wrong = 0;
  for (std::uint32_t bits = kFirst; bits < kLast; ++bits) {
    const float number = std::bit_cast<float>(bits);
    const double inverse = 1 / std::sqrt(static_cast<double>(number));
    const auto bound = [&](double factor) {
      return std::bit_cast<std::uint32_t>(static_cast<float>(inverse * factor));
    };
    wrong += any_root_differs(number, bound(1 - 0x1p-14) - 1, bound(1 + 0x1p-14) + 1, std::sqrt(number));
  }
  CHECK_EQUAL(wrong, 0u);
}

TEST("this processor's estimate is within 2^-14") {
  if (!runs_here()) return;
  double largest = 0;
  for (std::uint32_t bits = kFirst; bits < kLast; ++bits) {
    const float number = std::bit_cast<float>(bits);
    const double product = inverse_root_estimate(number) * std::sqrt(static_cast<double>(number));
    largest = std::max(largest, std::abs(product - 1));
  }
  CHECK(largest <= 0x1p-14);
}

TEST("roots of every power of two and its neighbours, up to the largest norm") {
  if (!runs_here()) return;
  for (int exponent = 0; exponent <= 31; ++exponent) {
    const float power = std::ldexp(1.0f, exponent);
    for (const float number : {power, std::nextafter(power, 0.0f), std::nextafter(power, 4e9f)}) {
      if (number < 1 || number > 0x1p31f) continue;
      CHECK_EQUAL(root_by_products_of(number), std::sqrt(number));
    }
  }
}

}  // namespace
}  // namespace treenet::cpu

#include "peak.h"

#include <chrono>

#include "cpu/dispatch.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace treenet::benchmarks {

#if defined(__x86_64__)
namespace {

constexpr long kTurns = 100000;
constexpr int kSums = 12;  // independent ones: twice the latency of a multiplication, as two start in a cycle

// Products of an instruction: all bits of a register by the bits of a product's operands.
constexpr double kVnniProducts = 512 / 8, kAvx2Products = 256 / 16;

__attribute__((target("avx512f,avx512vnni"))) void multiply_vnni() {
  const __m512i factor = _mm512_set1_epi8(1);
  __m512i sums[kSums] = {};
  for (long turn = 0; turn < kTurns; ++turn) {
#pragma GCC unroll 12
    for (int i = 0; i < kSums; ++i) asm volatile("vpdpbusd %1, %1, %0" : "+v"(sums[i]) : "v"(factor));
  }
}

__attribute__((target("avx2"))) void multiply_avx2() {
  const __m256i factor = _mm256_set1_epi16(1);
  __m256i sums[kSums] = {};
  for (long turn = 0; turn < kTurns; ++turn) {
#pragma GCC unroll 12
    for (int i = 0; i < kSums; ++i) {
      __m256i products;
      asm volatile("vpmaddwd %2, %2, %1\n\tvpaddd %1, %0, %0" : "+x"(sums[i]), "=&x"(products) : "x"(factor));
    }
  }
}

double rate(void (*multiply)(), double products) {
  using Clock = std::chrono::steady_clock;
  const Clock::time_point begin = Clock::now();
  multiply();
  return kTurns * kSums * products / std::chrono::duration<double>(Clock::now() - begin).count();
}

}  // namespace
#endif

std::optional<double> peak(const std::string& isa) {
  cpu::kernels_for(isa);  // throws where these instructions are not to be had
#if defined(__x86_64__)
  if (isa == "avx512vnni" || isa == "amx") return rate(multiply_vnni, kVnniProducts);
  if (isa == "avx2") return rate(multiply_avx2, kAvx2Products);
#endif
  return std::nullopt;
}

}  // namespace treenet::benchmarks

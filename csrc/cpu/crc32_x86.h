// Folding for CRC-32/ISO-HDLC by carry-less multiplication (PCLMULQDQ). Contract: codec/crc32_fold.h.
#pragma once

#include <immintrin.h>

#include "codec/crc32_fold.h"

namespace treenet::cpu::TREENET_ISA {

// x^exponent modulo the polynomial, as a factor: bits reflected like those of the checksum (the lowest power highest),
// and shifted by one, which reflected products lack.
constexpr long long crc_power(int exponent) {
  std::uint32_t power = 0x80000000u;
  for (int i = 0; i < exponent; ++i) power = power >> 1 ^ (power & 1 ? 0xEDB88320u : 0);
  return static_cast<long long>(power) << 1;
}

// 16 bytes brought forward by so many bits: a number with the same remainder, that many bits later.
template <int kBits>
inline __m128i crc_forward(__m128i bytes) {
  constexpr long long kLow = crc_power(kBits + 32), kHigh = crc_power(kBits - 32);
  const __m128i factors = _mm_set_epi64x(kHigh, kLow);
  return _mm_xor_si128(_mm_clmulepi64_si128(bytes, factors, 0x00), _mm_clmulepi64_si128(bytes, factors, 0x11));
}

inline void fold_crc(std::uint32_t remainder, const std::uint8_t* bytes, std::size_t blocks, std::uint8_t* folded) {
  const auto part = [&](int i) { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(bytes + 16 * i)); };
  // Four chains, since a multiplication takes several cycles.
  __m128i a = _mm_xor_si128(part(0), _mm_cvtsi32_si128(static_cast<int>(remainder)));
  __m128i b = part(1), c = part(2), d = part(3);
  while (--blocks > 0) {
    bytes += kCrcFoldBlock;
    a = _mm_xor_si128(crc_forward<512>(a), part(0));
    b = _mm_xor_si128(crc_forward<512>(b), part(1));
    c = _mm_xor_si128(crc_forward<512>(c), part(2));
    d = _mm_xor_si128(crc_forward<512>(d), part(3));
  }
  b = _mm_xor_si128(crc_forward<128>(a), b);
  c = _mm_xor_si128(crc_forward<128>(b), c);
  d = _mm_xor_si128(crc_forward<128>(c), d);
  _mm_storeu_si128(reinterpret_cast<__m128i*>(folded), d);
}

}  // namespace treenet::cpu::TREENET_ISA

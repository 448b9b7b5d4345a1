// What a CUDA thread computes on its own. Float operations are single IEEE operations where the compiler keeps them
// apart (-ffp-contract=off, which treenet_codec asks of all that link it).
#pragma once

#include <algorithm>
#include <bit>
#include <climits>
#include <cmath>
#include <concepts>
#include <cstdint>
#include <cstring>

// A mix of types is converted as in a + b, which is what CUDA's overloads do.
template <std::integral A, std::integral B>
constexpr auto min(A a, B b) {
  using Common = decltype(a + b);
  return static_cast<Common>(a) < static_cast<Common>(b) ? static_cast<Common>(a) : static_cast<Common>(b);
}
template <std::integral A, std::integral B>
constexpr auto max(A a, B b) {
  using Common = decltype(a + b);
  return static_cast<Common>(a) < static_cast<Common>(b) ? static_cast<Common>(b) : static_cast<Common>(a);
}

inline int __popc(unsigned value) { return std::popcount(value); }
inline int __clz(int value) { return std::countl_zero(static_cast<unsigned>(value)); }
inline int __ffs(int value) { return value == 0 ? 0 : std::countr_zero(static_cast<unsigned>(value)) + 1; }

// Byte i of the result is byte (selector >> 4i & 7) of y:x.
inline unsigned __byte_perm(unsigned x, unsigned y, unsigned selector) {
  const std::uint64_t bytes = static_cast<std::uint64_t>(y) << 32 | x;
  unsigned result = 0;
  for (int i = 0; i < 4; ++i) {
    const unsigned byte = selector >> (4 * i) & 7;
    result |= static_cast<unsigned>(bytes >> (8 * byte) & 0xFF) << (8 * i);
  }
  return result;
}

namespace treenet::cuda::emulation {

template <class Byte>
unsigned dot_product(unsigned a, unsigned b, unsigned sum) {
  for (int shift = 0; shift < 32; shift += 8) {
    sum += static_cast<unsigned>(static_cast<Byte>(a >> shift) * static_cast<Byte>(b >> shift));
  }
  return sum;
}

}  // namespace treenet::cuda::emulation

inline int __dp4a(int a, int b, int sum) {
  return static_cast<int>(treenet::cuda::emulation::dot_product<std::int8_t>(a, b, sum));
}
inline unsigned __dp4a(unsigned a, unsigned b, unsigned sum) {
  return treenet::cuda::emulation::dot_product<std::uint8_t>(a, b, sum);
}

template <class T>
T __ldg(const T* address) {
  return *address;
}

// Relaxed as on the GPU, and atomic between host threads that launch at the same time.
inline int atomicAdd(int* address, int value) { return __atomic_fetch_add(address, value, __ATOMIC_RELAXED); }
inline unsigned atomicAdd(unsigned* address, unsigned value) {
  return __atomic_fetch_add(address, value, __ATOMIC_RELAXED);
}
inline unsigned long long atomicAdd(unsigned long long* address, unsigned long long value) {
  return __atomic_fetch_add(address, value, __ATOMIC_RELAXED);
}

inline void __threadfence() {}

// To the nearest integer, ties to even, saturating; 0 for what is no number.
inline int __float2int_rn(float value) {
  if (std::isnan(value)) return 0;
  if (value >= 2147483648.0f) return INT_MAX;
  if (value < -2147483648.0f) return INT_MIN;
  return static_cast<int>(std::lrint(value));
}
inline float __uint_as_float(unsigned bits) { return std::bit_cast<float>(bits); }
inline float __int2float_rn(int value) { return static_cast<float>(value); }
inline float __fadd_rn(float a, float b) { return a + b; }
inline float __fsub_rn(float a, float b) { return a - b; }
inline float __fmul_rn(float a, float b) { return a * b; }
inline float __fdiv_rn(float a, float b) { return a / b; }
inline float __fmaf_rn(float a, float b, float c) { return std::fma(a, b, c); }
inline float __fsqrt_rn(float value) { return std::sqrt(value); }

// a + the dot product of two s16 and the lower two bytes of an s8 vector.
inline int __dp2a_lo(int a, int b, int sum) {
  for (int i = 0; i < 2; ++i) {
    sum += static_cast<std::int16_t>(a >> (16 * i)) * static_cast<std::int8_t>(b >> (8 * i));
  }
  return sum;
}

namespace treenet::cuda::emulation {

// cvt.pack.sat
inline unsigned pack_s16(int a, int b) {
  const auto clamped = [](int v) { return static_cast<unsigned>(std::clamp(v, -32768, 32767)) & 0xFFFF; };
  return clamped(a) | clamped(b) << 16;
}
inline unsigned pack_u8(int a, int b, int c, int d) {
  const auto clamped = [](int v) { return static_cast<unsigned>(std::clamp(v, 0, 255)); };
  return clamped(a) | clamped(b) << 8 | clamped(c) << 16 | clamped(d) << 24;
}

// rsqrt.approx: an estimate that is not quite right, as a GPU's is not.
inline float inverse_root_estimate(float value) { return (1 + 0x1p-20f) / std::sqrt(value); }

}  // namespace treenet::cuda::emulation

// The tensor cores' integer products, and the layouts of their operands. Everything that a warp holds in fragments is
// laid out as stated here (PTX ISA, "Matrix Fragments for mma.m16n8k32" and "mma.m16n8k16"):
//
// With g = lane / 4 and t = lane % 4 a lane holds
//   A  16 x 32 bytes:  a[0] row g,   k = 4t..4t+3       a[2] row g,   k = 16+4t..16+4t+3
//                      a[1] row g+8, k = 4t..4t+3       a[3] row g+8, k = 16+4t..16+4t+3
//   B  32 x 8 bytes:   b[0] k = 4t..4t+3, column g      b[1] k = 16+4t..16+4t+3, column g
//   D  16 x 8 s32:     d[0], d[1] row g, columns 2t, 2t+1        d[2], d[3] row g+8, columns 2t, 2t+1
// and with half the depth, 16 x 16 by 16 x 8, a[0], a[1] and b[0] of these.
//
// A row is a position of the image, k an input channel, a column an output channel.
#pragma once

#include "cuda/platform.h"

namespace treenet::cuda {

using FragmentA = std::uint32_t[4];
using FragmentB = std::uint32_t[2];
using FragmentD = std::int32_t[4];

#if defined(__CUDACC__)

// volatile: what a whole warp does must not be moved into a branch that only some lanes take.
#define TREENET_MMA_K32(name, a_type, b_type)                                                                  \
  __device__ __forceinline__ void name(FragmentD& d, const FragmentA& a, std::uint32_t b0, std::uint32_t b1) { \
    asm volatile("mma.sync.aligned.m16n8k32.row.col.s32." a_type "." b_type                                    \
                 ".s32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"                                  \
                 : "+r"(d[0]), "+r"(d[1]), "+r"(d[2]), "+r"(d[3])                                              \
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));                              \
  }
TREENET_MMA_K32(mma_u8_s8, "u8", "s8")
TREENET_MMA_K32(mma_s8_s8, "s8", "s8")
TREENET_MMA_K32(mma_u8_u8, "u8", "u8")
#undef TREENET_MMA_K32

// Depth 16: a0 is row g, a1 row g+8.
__device__ __forceinline__ void mma_k16_u8_s8(FragmentD& d, std::uint32_t a0, std::uint32_t a1, std::uint32_t b) {
  asm volatile("mma.sync.aligned.m16n8k16.row.col.s32.u8.s8.s32 {%0,%1,%2,%3}, {%4,%5}, {%6}, {%0,%1,%2,%3};"
               : "+r"(d[0]), "+r"(d[1]), "+r"(d[2]), "+r"(d[3])
               : "r"(a0), "r"(a1), "r"(b));
}

// Where a row lies in shared memory: one register, where a pointer takes two.
struct SharedRow {
  unsigned address;
};
__device__ __forceinline__ SharedRow shared_row(const void* pointer) {
  return {static_cast<unsigned>(__cvta_generic_to_shared(pointer))};
}
__device__ __forceinline__ SharedRow operator+(SharedRow row, int bytes) {
  return {row.address + static_cast<unsigned>(bytes)};
}

// Four 8 x 16 byte matrices from shared memory: lane l gives the place of row l % 8 of matrix l / 8, aligned to 16
// bytes, and gets bytes 4t..4t+3 of row g of each. Of stores to them it knows only those before a barrier.
__device__ __forceinline__ void load_matrices(FragmentA& a, SharedRow row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(a[0]), "=r"(a[1]), "=r"(a[2]), "=r"(a[3])
               : "r"(row.address));
}

// Two integers as s16, clamped, the first in the lower half; and four as u8 (PTX ISA, "cvt.pack").
__device__ __forceinline__ std::uint32_t pack_s16(std::int32_t a, std::int32_t b) {
  std::uint32_t packed;
  asm("cvt.pack.sat.s16.s32 %0, %2, %1;" : "=r"(packed) : "r"(a), "r"(b));
  return packed;
}
__device__ __forceinline__ std::uint32_t pack_u8(std::int32_t a, std::int32_t b, std::int32_t c, std::int32_t d) {
  std::uint32_t packed;
  asm("cvt.pack.sat.u8.s32.b32 %0, %2, %1, 0;" : "=r"(packed) : "r"(c), "r"(d));
  asm("cvt.pack.sat.u8.s32.b32 %0, %2, %1, %0;" : "+r"(packed) : "r"(a), "r"(b));
  return packed;
}

// Within 2^-20 of 1 / sqrt(value), for normal numbers: what the instruction is documented to give (PTX ISA,
// "rsqrt.approx").
__device__ __forceinline__ float inverse_root_estimate(float value) {
  float estimate;
  asm("rsqrt.approx.ftz.f32 %0, %1;" : "=f"(estimate) : "f"(value));
  return estimate;
}

// The value, of which the compiler does not know the range any more.
__device__ __forceinline__ int unknown(int value) {
  asm("" : "+r"(value));
  return value;
}

#elif defined(TREENET_EMULATED)

inline void mma_u8_s8(FragmentD& d, const FragmentA& a, std::uint32_t b0, std::uint32_t b1) {
  emulation::mma_k32<std::uint8_t, std::int8_t>(d, a, b0, b1);
}
inline void mma_s8_s8(FragmentD& d, const FragmentA& a, std::uint32_t b0, std::uint32_t b1) {
  emulation::mma_k32<std::int8_t, std::int8_t>(d, a, b0, b1);
}
inline void mma_u8_u8(FragmentD& d, const FragmentA& a, std::uint32_t b0, std::uint32_t b1) {
  emulation::mma_k32<std::uint8_t, std::uint8_t>(d, a, b0, b1);
}
inline void mma_k16_u8_s8(FragmentD& d, std::uint32_t a0, std::uint32_t a1, std::uint32_t b) {
  emulation::mma_k16<std::uint8_t, std::int8_t>(d, a0, a1, b);
}
struct SharedRow {
  const std::uint8_t* pointer;
};
inline SharedRow shared_row(const void* pointer) { return {static_cast<const std::uint8_t*>(pointer)}; }
inline SharedRow operator+(SharedRow row, int bytes) { return {row.pointer + bytes}; }
inline void load_matrices(FragmentA& a, SharedRow row) { emulation::load_matrices(a, row.pointer); }
using emulation::inverse_root_estimate;
using emulation::pack_s16;
using emulation::pack_u8;
inline int unknown(int value) { return value; }

#endif

}  // namespace treenet::cuda

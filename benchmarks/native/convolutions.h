// The convolutions of residual blocks by themselves, from a plane to accumulators, which nobody takes: what blocks do
// with accumulators (requantisation, GDN, the skip) is the time that kernels take beyond this.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "cpu/kernels.h"

namespace treenet::benchmarks {

// For one instruction set. Planes have the model's types; lines outside of them are zeros.
struct Convolutions {
  // Enough for a plane of so many columns.
  std::size_t (*scratch_bytes)(std::int32_t columns);
  // 3x3 of stride 2, to 32 outputs, of an image or of s16 x 32; both sides are even.
  void (*image)(const cpu::PackedConv&, const cpu::Plane& in, void* scratch);
  void (*s16_stride2)(const cpu::PackedConv&, const cpu::Plane& in, void* scratch);
  // 3x3 of stride 1, to 32 outputs, or to 2 x 2 positions of 32 for each of the input's.
  void (*s16)(const cpu::Packed3x3&, const cpu::Plane& in, void* scratch);
  void (*s16_subpixel)(const cpu::Packed3x3&, const cpu::Plane& in, void* scratch);
  void (*u8)(const cpu::Packed3x3&, const cpu::Plane& in, void* scratch);
  void (*u8_subpixel)(const cpu::Packed3x3&, const cpu::Plane& in, void* scratch);
};

// Null where the compiler has no such instruction set.
extern const Convolutions *const convolutions_scalar, *const convolutions_avx2, *const convolutions_avx512vnni,
                                                                                    *const convolutions_amx;

const Convolutions& convolutions_for(const std::string& isa);

}  // namespace treenet::benchmarks

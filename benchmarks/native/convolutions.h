// The convolutions of residual blocks by themselves, from a plane to sums that are not kept: accumulators, or with AMX
// and s16 the two parts that the next step adds. All of them load their lines from the plane, or read them in it, at
// its full width, as in blocks only the first one does, tile by tile; so a kernel's time is not that of its
// convolutions and of the rest. Each returns a number made from a sum of every row, the same on all instruction sets.
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
  std::uint32_t (*image)(const cpu::PackedConv&, const cpu::Plane& in, void* scratch);
  std::uint32_t (*s16_stride2)(const cpu::Packed3x3&, const cpu::Plane& in, void* scratch);
  // 3x3 of stride 1, to 32 outputs, or to 2 x 2 positions of 32 for each of the input's.
  std::uint32_t (*s16)(const cpu::Packed3x3&, const cpu::Plane& in, void* scratch);
  std::uint32_t (*s16_subpixel)(const cpu::Packed3x3&, const cpu::Plane& in, void* scratch);
  std::uint32_t (*u8)(const cpu::Packed3x3&, const cpu::Plane& in, void* scratch);
  std::uint32_t (*u8_subpixel)(const cpu::Packed3x3&, const cpu::Plane& in, void* scratch);
};

// Null where the compiler has no such instruction set.
extern const Convolutions* const convolutions_scalar;
extern const Convolutions* const convolutions_avx2;
extern const Convolutions* const convolutions_avx512vnni;
extern const Convolutions* const convolutions_amx;

// Throws Error(kBackend) where it is null.
const Convolutions& convolutions_for(const std::string& isa);

}  // namespace treenet::benchmarks

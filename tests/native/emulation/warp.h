// What CUDA threads do together: shuffles, votes, barriers and the tensor cores' products. Every call takes the place
// in the source that it is made from, for reports of threads that miss each other.
#pragma once

#include <bit>
#include <concepts>
#include <cstdint>
#include <source_location>

namespace treenet::cuda::emulation {

using Place = std::source_location;

template <class T>
concept Byte = std::same_as<T, std::uint8_t> || std::same_as<T, std::int8_t>;

// d += a * b with fragments laid out as csrc/cuda/mma.h says; sums wrap.
template <Byte A, Byte B>
void mma_k32(std::int32_t (&d)[4], const std::uint32_t (&a)[4], std::uint32_t b0, std::uint32_t b1,
             const Place& place = Place::current());
template <Byte A, Byte B>
void mma_k16(std::int32_t (&d)[4], std::uint32_t a0, std::uint32_t a1, std::uint32_t b,
             const Place& place = Place::current());
void load_matrices(std::uint32_t (&a)[4], const void* row, const Place& place = Place::current());

enum class Shuffle { kIndex, kUp, kDown, kXor };

// `bits` of the lane that CUDA's shuffle of this kind reads.
std::uint64_t shuffle(Shuffle kind, unsigned mask, std::uint64_t bits, unsigned operand, int width, const Place& place);

// CUDA has shuffles for numbers of 4 and of 8 bytes; smaller integers are promoted.
template <class T>
auto shuffle_number(Shuffle kind, unsigned mask, T value, unsigned operand, int width, const Place& place) {
  const auto number = +value;
  using Number = std::remove_const_t<decltype(number)>;
  using Bits = std::conditional_t<sizeof(Number) == 4, std::uint32_t, std::uint64_t>;
  return std::bit_cast<Number>(
      static_cast<Bits>(shuffle(kind, mask, std::bit_cast<Bits>(number), operand, width, place)));
}

template <class T>
auto __shfl_sync(unsigned mask, T value, int lane, int width = 32, const Place& place = Place::current()) {
  return shuffle_number(Shuffle::kIndex, mask, value, static_cast<unsigned>(lane), width, place);
}
template <class T>
auto __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = 32, const Place& place = Place::current()) {
  return shuffle_number(Shuffle::kUp, mask, value, delta, width, place);
}
template <class T>
auto __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = 32, const Place& place = Place::current()) {
  return shuffle_number(Shuffle::kDown, mask, value, delta, width, place);
}
template <class T>
auto __shfl_xor_sync(unsigned mask, T value, int lanes, int width = 32, const Place& place = Place::current()) {
  return shuffle_number(Shuffle::kXor, mask, value, static_cast<unsigned>(lanes), width, place);
}

unsigned __ballot_sync(unsigned mask, int predicate, const Place& place = Place::current());
int __any_sync(unsigned mask, int predicate, const Place& place = Place::current());
int __all_sync(unsigned mask, int predicate, const Place& place = Place::current());
unsigned __reduce_add_sync(unsigned mask, unsigned value, const Place& place = Place::current());
int __reduce_add_sync(unsigned mask, int value, const Place& place = Place::current());
void __syncwarp(unsigned mask = 0xFFFFFFFFu, const Place& place = Place::current());
void __syncthreads(const Place& place = Place::current());

}  // namespace treenet::cuda::emulation

using treenet::cuda::emulation::__all_sync;
using treenet::cuda::emulation::__any_sync;
using treenet::cuda::emulation::__ballot_sync;
using treenet::cuda::emulation::__reduce_add_sync;
using treenet::cuda::emulation::__shfl_down_sync;
using treenet::cuda::emulation::__shfl_sync;
using treenet::cuda::emulation::__shfl_up_sync;
using treenet::cuda::emulation::__shfl_xor_sync;
using treenet::cuda::emulation::__syncthreads;
using treenet::cuda::emulation::__syncwarp;

#include <cstdint>
#include <cstring>
#include <string>

#include "emulation/block.h"
#include "emulation/warp.h"

namespace treenet::cuda::emulation {
namespace {

constexpr int kRows = 16, kColumns = 8, kMostDepth = 32;

struct Fragments {
  std::int32_t* d;
  std::uint32_t a[4], b[2];
};

// The four bytes of a register.
template <Byte Element>
void unpack(std::uint32_t bits, std::int16_t* to) {
  for (int i = 0; i < 4; ++i) to[i] = static_cast<Element>(bits >> (8 * i));
}

// Without the sanitizers' checks, which would quadruple the time of an mma: no index here depends on data.
__attribute__((no_sanitize("address", "undefined"))) std::uint32_t product(const std::int16_t (&a)[kMostDepth],
                                                                           const std::int16_t (&b)[kMostDepth]) {
  std::int32_t sum = 0;
  for (int k = 0; k < kMostDepth; ++k) sum += a[k] * b[k];
  return static_cast<std::uint32_t>(sum);
}

template <Byte A, Byte B, int kDepth>
void multiply(unsigned, void* const* operands) {
  std::int16_t a[kRows][kMostDepth] = {}, b[kColumns][kMostDepth] = {};
  for (unsigned lane = 0; lane < kLanes; ++lane) {
    const Fragments& own = *static_cast<const Fragments*>(operands[lane]);
    const unsigned g = lane / 4, t = lane % 4;
    for (unsigned half = 0; half < kDepth / 16; ++half) {
      const unsigned k = 16 * half + 4 * t;
      unpack<A>(own.a[2 * half], &a[g][k]);
      unpack<A>(own.a[2 * half + 1], &a[g + 8][k]);
      unpack<B>(own.b[half], &b[g][k]);
    }
  }
  for (unsigned lane = 0; lane < kLanes; ++lane) {
    std::int32_t* const d = static_cast<const Fragments*>(operands[lane])->d;
    const unsigned g = lane / 4, t = lane % 4;
    for (unsigned i = 0; i < 4; ++i) {
      const std::uint32_t sum = product(a[g + 8 * (i / 2)], b[2 * t + i % 2]);
      d[i] = static_cast<std::int32_t>(static_cast<std::uint32_t>(d[i]) + sum);
    }
  }
}

template <Byte A, Byte B, int kDepth>
constexpr Collective kMultiply{kDepth == 32 ? "mma.m16n8k32" : "mma.m16n8k16", multiply<A, B, kDepth>};

struct MatrixRows {
  const std::uint8_t* row;
  std::uint32_t* a;  // four registers
};

void load(unsigned, void* const* operands) {
  for (unsigned lane = 0; lane < kLanes; ++lane) {
    const MatrixRows& own = *static_cast<const MatrixRows*>(operands[lane]);
    for (unsigned matrix = 0; matrix < 4; ++matrix) {
      const std::uint8_t* row = static_cast<const MatrixRows*>(operands[8 * matrix + lane / 4])->row;
      std::memcpy(&own.a[matrix], row + 4 * (lane % 4), 4);
    }
  }
}

constexpr Collective kLoad{"ldmatrix", load};

}  // namespace

template <Byte A, Byte B>
void mma_k32(std::int32_t (&d)[4], const std::uint32_t (&a)[4], std::uint32_t b0, std::uint32_t b1,
             const Place& place) {
  Fragments fragments{d, {a[0], a[1], a[2], a[3]}, {b0, b1}};
  Block::current().meet(kMultiply<A, B, 32>, kAllLanes, &fragments, place);
}

template <Byte A, Byte B>
void mma_k16(std::int32_t (&d)[4], std::uint32_t a0, std::uint32_t a1, std::uint32_t b, const Place& place) {
  Fragments fragments{d, {a0, a1}, {b}};
  Block::current().meet(kMultiply<A, B, 16>, kAllLanes, &fragments, place);
}

#define TREENET_INSTANTIATE(A, B)                                                                            \
  template void mma_k32<A, B>(std::int32_t (&)[4], const std::uint32_t (&)[4], std::uint32_t, std::uint32_t, \
                              const Place&);                                                                 \
  template void mma_k16<A, B>(std::int32_t (&)[4], std::uint32_t, std::uint32_t, std::uint32_t, const Place&);
TREENET_INSTANTIATE(std::uint8_t, std::uint8_t)
TREENET_INSTANTIATE(std::uint8_t, std::int8_t)
TREENET_INSTANTIATE(std::int8_t, std::uint8_t)
TREENET_INSTANTIATE(std::int8_t, std::int8_t)
#undef TREENET_INSTANTIATE

void load_matrices(std::uint32_t (&a)[4], const void* row, const Place& place) {
  Block& block = Block::current();
  const auto first = reinterpret_cast<std::uintptr_t>(block.shared());
  const auto address = reinterpret_cast<std::uintptr_t>(row);
  if (address < first || address - first > block.shared_bytes() || block.shared_bytes() - (address - first) < 16) {
    block.fail("loads a row that is not in the " + std::to_string(block.shared_bytes()) +
               " bytes of its block's shared memory");
  }
  if (address % 16 != 0) {
    block.fail("loads a row from byte " + std::to_string(address - first) + " of shared memory: not a multiple of 16");
  }
  MatrixRows operands{static_cast<const std::uint8_t*>(row), a};
  block.meet(kLoad, kAllLanes, &operands, place);
}

}  // namespace treenet::cuda::emulation

#include "emulation/warp.h"

#include <bit>
#include <string>

#include "emulation/block.h"

namespace treenet::cuda::emulation {
namespace {

template <class Operand>
Operand& of(void* const* operands, unsigned lane) {
  return *static_cast<Operand*>(operands[lane]);
}

template <class Do>
void for_lanes(unsigned mask, Do&& work) {
  for (; mask != 0; mask &= mask - 1) work(static_cast<unsigned>(std::countr_zero(mask)));
}

struct Exchange {
  std::uint64_t bits, result;
  unsigned source;  // lane
};

void exchange(unsigned mask, void* const* operands) {
  for_lanes(mask, [&](unsigned lane) {
    Exchange& own = of<Exchange>(operands, lane);
    own.result = of<Exchange>(operands, own.source).bits;
  });
}

constexpr Collective kShuffles[] = {
    {"__shfl_sync", exchange},
    {"__shfl_up_sync", exchange},
    {"__shfl_down_sync", exchange},
    {"__shfl_xor_sync", exchange},
};

// The lanes come in segments of `width`. What would come from beyond a lane's segment is its own value, except that an
// xor may read from segments before it.
unsigned source_lane(Shuffle kind, unsigned lane, unsigned operand, unsigned width) {
  const unsigned first = lane & ~(width - 1), last = first | (width - 1);
  switch (kind) {
    case Shuffle::kIndex:
      return first | (operand & (width - 1));
    case Shuffle::kUp:
      return operand > lane - first ? lane : lane - operand;
    case Shuffle::kDown:
      return operand > last - lane ? lane : lane + operand;
    case Shuffle::kXor:
      break;
  }
  return (lane ^ operand) > last ? lane : lane ^ operand;
}

struct Vote {
  unsigned value;
  unsigned result;
};

void vote(unsigned mask, void* const* operands) {
  unsigned ballot = 0;
  for_lanes(mask, [&](unsigned lane) { ballot |= of<Vote>(operands, lane).value << lane; });
  for_lanes(mask, [&](unsigned lane) { of<Vote>(operands, lane).result = ballot; });
}

void add(unsigned mask, void* const* operands) {
  unsigned sum = 0;
  for_lanes(mask, [&](unsigned lane) { sum += of<Vote>(operands, lane).value; });
  for_lanes(mask, [&](unsigned lane) { of<Vote>(operands, lane).result = sum; });
}

constexpr Collective kBallot{"__ballot_sync", vote};
constexpr Collective kAny{"__any_sync", vote};
constexpr Collective kAll{"__all_sync", vote};
constexpr Collective kAdd{"__reduce_add_sync", add};
constexpr Collective kSynchronise{"__syncwarp", [](unsigned, void* const*) {}};

unsigned meet(const Collective& collective, unsigned mask, unsigned value, const Place& place) {
  Vote vote{value, 0};
  Block::current().meet(collective, mask, &vote, place);
  return vote.result;
}

}  // namespace

std::uint64_t shuffle(Shuffle kind, unsigned mask, std::uint64_t bits, unsigned operand, int width,
                      const Place& place) {
  Block& block = Block::current();
  if (width < 1 || width > static_cast<int>(kLanes) || !std::has_single_bit(static_cast<unsigned>(width))) {
    block.fail("shuffles with a width of " + std::to_string(width));
  }
  const unsigned source = source_lane(kind, block.lane(), operand, static_cast<unsigned>(width));
  if ((mask >> source & 1) == 0) {
    block.fail("shuffles from lane " + std::to_string(source) + ", which does not take part");
  }
  Exchange operands{bits, 0, source};
  block.meet(kShuffles[static_cast<int>(kind)], mask, &operands, place);
  return operands.result;
}

unsigned __ballot_sync(unsigned mask, int predicate, const Place& place) {
  return meet(kBallot, mask, predicate != 0, place);
}

int __any_sync(unsigned mask, int predicate, const Place& place) {
  return meet(kAny, mask, predicate != 0, place) != 0;
}

int __all_sync(unsigned mask, int predicate, const Place& place) {
  return meet(kAll, mask, predicate != 0, place) == mask;
}

unsigned __reduce_add_sync(unsigned mask, unsigned value, const Place& place) { return meet(kAdd, mask, value, place); }

int __reduce_add_sync(unsigned mask, int value, const Place& place) {
  return static_cast<int>(meet(kAdd, mask, static_cast<unsigned>(value), place));
}

void __syncwarp(unsigned mask, const Place& place) { meet(kSynchronise, mask, 0, place); }

}  // namespace treenet::cuda::emulation

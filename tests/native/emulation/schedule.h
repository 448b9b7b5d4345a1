// Whose turn it is.
#pragma once

#include <bit>
#include <cstdint>
#include <utility>

namespace treenet::cuda::emulation {

// Everything in order with seed 0, otherwise in a pseudo-random one that the seed decides.
class Schedule {
 public:
  explicit Schedule(std::uint64_t seed) : random_(seed != 0), state_(seed) {}

  // The number of one of the bits that are set.
  unsigned pick(unsigned bits) {
    if (random_) {
      for (std::uint32_t skip = below(static_cast<std::uint32_t>(std::popcount(bits))); skip != 0; --skip) {
        bits &= bits - 1;
      }
    }
    return static_cast<unsigned>(std::countr_zero(bits));
  }

  template <class Items>
  void arrange(Items& items) {
    if (!random_) return;
    for (auto i = static_cast<std::uint32_t>(items.size()); i > 1; --i) std::swap(items[i - 1], items[below(i)]);
  }

 private:
  std::uint32_t below(std::uint32_t limit) {
    state_ += 0x9E3779B97F4A7C15u;  // SplitMix64
    std::uint64_t bits = state_;
    bits = (bits ^ bits >> 30) * 0xBF58476D1CE4E5B9u;
    bits = (bits ^ bits >> 27) * 0x94D049BB133111EBu;
    return static_cast<std::uint32_t>((bits >> 32) * limit >> 32);
  }

  const bool random_;
  std::uint64_t state_;
};

}  // namespace treenet::cuda::emulation

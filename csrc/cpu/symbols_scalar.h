// Channels' symbols (SPEC §5) in plain C++. What symbols_*.h has for an instruction set does the same.
#pragma once

#include <algorithm>
#include <bit>

#include "cpu/kernels.h"

namespace treenet::cpu::TREENET_ISA {

// kCount channels from element `at` of a row on, here all of a position. In lists they may write and read kBeyond, of
// which those that count() says are theirs.
struct CodedChannels {
  static constexpr int kCount = kChannels;
  const LatentRow& row;
  std::ptrdiff_t at;
  std::uint32_t coded = coded_of(row.index + at, row.skip);  // those that carry a symbol, as bits

  int count() const { return std::popcount(coded); }
  // The symbols' tables.
  void list_tables(std::uint8_t* tables) const {
    for_each([&](int c) { *tables++ = row.index[at + c]; });
  }
  // The symbols of these latents, and the decoded values.
  void quantise(const std::int16_t* latents, std::int16_t* symbols) const {
    const std::int16_t* mean = row.mean + at;
    decode([&](int c) {
      const std::int32_t symbol = (latents[c] - mean[c] + kLatentStep / 2) >> kLatentBits;
      *symbols++ = static_cast<std::int16_t>(symbol);
      return symbol;
    });
  }
  // The decoded values.
  void dequantise(const std::int16_t* symbols) const {
    decode([&](int) -> std::int32_t { return *symbols++; });
  }

 private:
  static std::uint32_t coded_of(const std::uint8_t* index, std::int32_t skip) {
    constexpr std::uint64_t kOnes = 0x0101010101010101;
    std::uint32_t result = 0;
    for (int c = 0; c < kChannels; c += 8) {
      std::uint64_t eight = 0;
      for (int i = 0; i < 8; ++i) eight |= std::uint64_t{index[c + i]} << (8 * i);
      // A byte's highest bit, then all eight of these together. An index is 0..63, and `skip` 0..64.
      const std::uint64_t coded = (eight + (128 - skip) * kOnes) >> 7 & kOnes;
      result |= static_cast<std::uint32_t>(coded * 0x0102040810204080 >> 56) << c;
    }
    return result;
  }
  // Calls visit(c) for those that carry a symbol, in order. Most positions have few.
  template <class Visit>
  void for_each(Visit visit) const {
    for (std::uint32_t rest = coded; rest != 0; rest &= rest - 1) visit(std::countr_zero(rest));
  }
  // The decoded values of the symbols symbol_of(c), asked for in order.
  template <class SymbolOf>
  void decode(SymbolOf symbol_of) const {
    const std::int16_t* mean = row.mean + at;
    std::int16_t* to = row.decoded + at;
    std::copy_n(mean, kChannels, to);
    for_each([&](int c) {
      to[c] = static_cast<std::int16_t>(std::clamp(symbol_of(c) * kLatentStep + mean[c], -32768, 32767));
    });
  }
};

}  // namespace treenet::cpu::TREENET_ISA

// A position's symbols (SPEC §5) in plain C++. What symbols_*.h has for an instruction set does the same:
//   list_tables_of_position   the tables of the symbols at element `at`
//   quantise_position         the symbols of latents, and the decoded values
//   dequantise_position       the decoded values from symbols
// Each returns how many symbols the position has, and may write and read kBeyond in all of a list.
#pragma once

#include <algorithm>
#include <bit>

#include "cpu/kernels.h"

namespace treenet::cpu::TREENET_ISA {

// The channels of a position that carry a symbol, as bits.
inline std::uint32_t coded_channels(const LatentRow& row, std::ptrdiff_t at) {
  constexpr std::uint64_t kOnes = 0x0101010101010101;
  const std::uint8_t* index = row.index + at;
  std::uint32_t result = 0;
  for (int c = 0; c < kChannels; c += 8) {
    std::uint64_t eight = 0;
    for (int i = 0; i < 8; ++i) eight |= std::uint64_t{index[c + i]} << (8 * i);
    // A byte's highest bit, then all eight of these together. An index is 0..63, and `skip` 0..64.
    const std::uint64_t coded = (eight + (128 - row.skip) * kOnes) >> 7 & kOnes;
    result |= static_cast<std::uint32_t>(coded * 0x0102040810204080 >> 56) << c;
  }
  return result;
}

// Calls visit(c) for each of them, in order, and returns how many there are. Most positions have few.
template <class Visit>
inline std::ptrdiff_t for_each_channel(std::uint32_t coded, Visit visit) {
  for (std::uint32_t rest = coded; rest != 0; rest &= rest - 1) visit(std::countr_zero(rest));
  return std::popcount(coded);
}

inline std::int16_t decoded_value(std::int32_t symbol, std::int32_t mean) {
  return static_cast<std::int16_t>(std::clamp(symbol * kLatentStep + mean, -32768, 32767));
}

inline std::ptrdiff_t list_tables_of_position(const LatentRow& row, std::ptrdiff_t at, std::uint8_t* tables) {
  return for_each_channel(coded_channels(row, at), [&](int c) { *tables++ = row.index[at + c]; });
}

inline std::ptrdiff_t quantise_position(const LatentRow& row, std::ptrdiff_t at, const std::int16_t* latents,
                                        std::int16_t* symbols) {
  const std::int16_t* mean = row.mean + at;
  std::copy_n(mean, kChannels, row.decoded + at);
  return for_each_channel(coded_channels(row, at), [&](int c) {
    const std::int32_t symbol = (latents[at + c] - mean[c] + kLatentStep / 2) >> kLatentBits;
    *symbols++ = static_cast<std::int16_t>(symbol);
    row.decoded[at + c] = decoded_value(symbol, mean[c]);
  });
}

inline std::ptrdiff_t dequantise_position(const LatentRow& row, std::ptrdiff_t at, const std::int16_t* symbols) {
  const std::int16_t* mean = row.mean + at;
  std::copy_n(mean, kChannels, row.decoded + at);
  return for_each_channel(coded_channels(row, at),
                          [&](int c) { row.decoded[at + c] = decoded_value(*symbols++, mean[c]); });
}

}  // namespace treenet::cpu::TREENET_ISA

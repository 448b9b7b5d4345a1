// Rows of a stage's latents to symbols and back (SPEC §5), by as many channels of a position as CodedChannels
// (symbols_*.h) has.
#pragma once

#include "cpu/kernels.h"

namespace treenet::cpu::TREENET_ISA {

// Calls task(channels, symbols so far) for all of a row in coding order, and returns how many symbols there are.
template <class Task>
inline std::ptrdiff_t for_each_channels(const LatentRow& row, Task task) {
  std::ptrdiff_t symbols = 0;
  for (std::int32_t p = 0; p < row.positions; ++p) {
    const std::ptrdiff_t first = static_cast<std::ptrdiff_t>(2 * p) * kChannels;
#pragma GCC unroll 4
    for (int c = 0; c < kChannels; c += CodedChannels::kCount) {
      const CodedChannels channels{row, first + c};
      task(channels, symbols);
      symbols += channels.count();
    }
  }
  return symbols;
}

inline std::ptrdiff_t list_tables(const LatentRow& row, std::uint8_t* tables) {
  return for_each_channels(
      row, [&](const CodedChannels& channels, std::ptrdiff_t before) { channels.list_tables(tables + before); });
}

inline std::ptrdiff_t quantise_row(const LatentRow& row, const std::int16_t* latents, std::int16_t* symbols) {
  return for_each_channels(row, [&](const CodedChannels& channels, std::ptrdiff_t before) {
    channels.quantise(latents + channels.at, symbols + before);
  });
}

inline std::ptrdiff_t dequantise_row(const LatentRow& row, const std::int16_t* symbols) {
  return for_each_channels(
      row, [&](const CodedChannels& channels, std::ptrdiff_t before) { channels.dequantise(symbols + before); });
}

}  // namespace treenet::cpu::TREENET_ISA

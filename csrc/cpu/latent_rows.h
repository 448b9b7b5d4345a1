// Rows of a stage's latents to symbols and back (SPEC §5), position by position.
#pragma once

#include "cpu/kernels.h"

namespace treenet::cpu::TREENET_ISA {

// Calls position(element of its first channel, symbols so far), which returns how many it has, and returns their sum.
template <class Position>
inline std::ptrdiff_t for_each_position(const LatentRow& row, Position position) {
  std::ptrdiff_t symbols = 0;
  for (std::int32_t p = 0; p < row.positions; ++p) {
    symbols += position(static_cast<std::ptrdiff_t>(2 * p) * kChannels, symbols);
  }
  return symbols;
}

inline std::ptrdiff_t list_tables(const LatentRow& row, std::uint8_t* tables) {
  return for_each_position(
      row, [&](std::ptrdiff_t at, std::ptrdiff_t before) { return list_tables_of_position(row, at, tables + before); });
}

inline std::ptrdiff_t quantise_row(const LatentRow& row, const std::int16_t* latents, std::int16_t* symbols) {
  return for_each_position(row, [&](std::ptrdiff_t at, std::ptrdiff_t before) {
    return quantise_position(row, at, latents, symbols + before);
  });
}

inline std::ptrdiff_t dequantise_row(const LatentRow& row, const std::int16_t* symbols) {
  return for_each_position(
      row, [&](std::ptrdiff_t at, std::ptrdiff_t before) { return dequantise_position(row, at, symbols + before); });
}

}  // namespace treenet::cpu::TREENET_ISA

// Spans of blocks of a convolution on instruction sets without matrix registers (conv_tiles.h).
#pragma once

#include "cpu/lines.h"

namespace treenet::cpu::TREENET_ISA {

inline constexpr bool kMatrixTiles = false;
struct MatrixTiles {};
template <int kSlots>
class SplitLines;
class SplitS16;

template <class Element, int kOutputs, int kStride>
inline void conv_span(const std::uint8_t* const* taps, const PackedConv& conv, std::int32_t block,
                      std::ptrdiff_t stride, std::int32_t count, std::int32_t* accumulators) {
  span_of_blocks<Element, kOutputs, kStride>(taps, conv, block, stride, count, accumulators);
}

// The norms of `count` blocks of squares (SPEC §2.4).
using Norms = std::int32_t*;
inline void gamma_span(const std::int16_t* squares, const PackedConv& gamma, std::int32_t count, Norms norms) {
  const std::uint8_t* tap = bytes(squares);
  conv_span<std::int16_t, kChannels, kChannels * sizeof(std::int16_t)>(&tap, gamma, 0, 0, count, norms);
}

}  // namespace treenet::cpu::TREENET_ISA

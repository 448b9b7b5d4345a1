// A span of blocks of a convolution, block by block.
#pragma once

#include "cpu/lines.h"

namespace treenet::cpu::TREENET_ISA {

template <class Element, int kOutputs, int kStride>
inline void span_of_blocks(const std::uint8_t* const* taps, const PackedConv& conv, std::int32_t block,
                           std::ptrdiff_t stride, std::int32_t count, std::int32_t* accumulators) {
  const std::ptrdiff_t step = (kBlock / kOutputs) * (kStride != 0 ? kStride : stride);
  const std::uint8_t* own[kMaximumTaps];
  for (std::int32_t k = 0; k < count; ++k) {
    for (int t = 0; t < conv.taps; ++t) own[t] = taps[t] + k * step;
    conv_block<Element, kOutputs, kStride>(own, conv, block, stride, accumulators + k * kBlock);
  }
}

}  // namespace treenet::cpu::TREENET_ISA

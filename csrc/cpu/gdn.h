// GDN and inverse GDN of a block (SPEC §2.4), up to the roots.
#pragma once

#include "cpu/lines.h"

namespace treenet::cpu::TREENET_ISA {

// The norms n of the accumulators of 12 pixels x 32 channels; `squares` is scratch for as many.
inline void gdn_norms(const PackedGdn& gdn, const std::int32_t* accumulators, std::int16_t* squares,
                      std::int32_t* norms) {
  gdn_squares_block(accumulators, gdn.magnitude, squares);
  const std::uint8_t* tap = bytes(squares);
  conv_block<std::int16_t, 32, kChannels * sizeof(std::int16_t)>(&tap, gdn.gamma, 0, 0, norms);
}

}  // namespace treenet::cpu::TREENET_ISA

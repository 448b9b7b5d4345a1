// GDN and inverse GDN of a block (SPEC §2.4), up to the roots.
#pragma once

#include "cpu/lines.h"

namespace treenet::cpu::TREENET_ISA {

// The norms n of the accumulators of `blocks` blocks of 12 pixels x 32 channels; `squares` is scratch for as many.
template <class Sums>
inline void gdn_norms(const PackedGdn& gdn, const Sums& accumulators, std::int32_t blocks, std::int16_t* squares,
                      const Norms& norms) {
  for (std::int32_t k = 0; k < blocks; ++k) {
    gdn_squares_block(accumulators + k * kBlock, gdn.magnitude, squares + k * kBlock);
  }
  gamma_span(squares, gdn.gamma, blocks, norms);
}

}  // namespace treenet::cpu::TREENET_ISA

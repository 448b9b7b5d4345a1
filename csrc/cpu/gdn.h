// GDN and inverse GDN of a block (SPEC §2.4), up to the roots.
#pragma once

#include "cpu/lines.h"

namespace treenet::cpu::TREENET_ISA {

// The squares of the accumulators of `blocks` blocks.
template <class Sums>
inline void gdn_squares(const PackedGdn& gdn, const Sums& accumulators, std::int32_t blocks, std::int16_t* squares) {
  for (std::int32_t k = 0; k < blocks; ++k) {
    gdn_squares_block(accumulators + k * kBlock, gdn.magnitude, squares + k * kBlock);
  }
}

// Their norms n; `squares` is scratch for as many blocks.
template <class Sums>
inline void gdn_norms(const PackedGdn& gdn, const Sums& accumulators, std::int32_t blocks, std::int16_t* squares,
                      const Norms& norms) {
  gdn_squares(gdn, accumulators, blocks, squares);
  gamma_span(squares, gdn.gamma, blocks, norms);
}

}  // namespace treenet::cpu::TREENET_ISA

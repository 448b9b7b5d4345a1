// GDN and inverse GDN of a block (SPEC §2.4).
#pragma once

#include "cpu/lines.h"

namespace treenet::cpu::TREENET_ISA {

struct GdnBlock {
  float* values;        // u, then g
  std::int32_t* norms;  // n

  static GdnBlock make(Arena& arena) { return {arena.take<float>(kBlock), arena.take<std::int32_t>(kBlock)}; }

  // u and n of the accumulators of 12 pixels x 32 channels; `squares` is scratch for as many.
  void prepare(const PackedGdn& gdn, const std::int32_t* accumulators, std::int16_t* squares) const {
    gdn_prepare_block(accumulators, gdn.numerator, gdn.magnitude, values, squares);
    const std::uint8_t* tap = bytes(squares);
    conv_block<std::int16_t, 32, kChannels * sizeof(std::int16_t)>(&tap, gdn.gamma, 0, 0, norms);
  }
  // g from u and n.
  template <bool kInverse>
  void finish() const {
    gdn_finish_block<kInverse>(norms, values);
  }
};

}  // namespace treenet::cpu::TREENET_ISA

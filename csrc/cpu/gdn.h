// GDN and inverse GDN of a block (SPEC §2.4).
#pragma once

#include "cpu/lines.h"

namespace treenet::cpu::TREENET_ISA {

struct GdnScratch {
  float* values;          // u, then g
  std::int16_t* squares;  // k * k
  std::int32_t* norms;    // n

  static GdnScratch make(Arena& arena) {
    return {arena.take<float>(kBlock), arena.take<std::int16_t>(kBlock), arena.take<std::int32_t>(kBlock)};
  }
};

// g for the accumulators of 12 pixels x 32 channels; lives in `scratch` until its next use.
template <bool kInverse>
const float* gdn_block(const PackedGdn& gdn, const std::int32_t* accumulators, const GdnScratch& scratch) {
  gdn_prepare_block(accumulators, gdn.numerator, gdn.magnitude, scratch.values, scratch.squares);
  const std::uint8_t* squares = bytes(scratch.squares);
  conv_block<std::int16_t, 32, kChannels * sizeof(std::int16_t)>(&squares, gdn.gamma, 0, 0, scratch.norms);
  gdn_finish_block<kInverse>(scratch.norms, scratch.values);
  return scratch.values;
}

}  // namespace treenet::cpu::TREENET_ISA

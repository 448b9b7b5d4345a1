// The entropy coder's loops for AVX2.
#pragma once

#include "cpu/crc32_x86.h"
#include "cpu/rans_x86.h"

namespace treenet::cpu::TREENET_ISA {

constexpr CoderLoops coder_loops() {
  CoderLoops loops = kScalarLoops;  // fewer lanes than a vector has
  loops.encode[3] = encode_eights<1>;
  loops.encode[4] = encode_eights<2>;
  loops.encode[5] = encode_eights<4>;
  loops.fold_crc = fold_crc;
  return loops;
}

}  // namespace treenet::cpu::TREENET_ISA

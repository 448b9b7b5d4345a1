// Square roots as cpu/isa_avx512vnni.h makes them. They run where that instruction set does.
#pragma once

#include <cstdint>

namespace treenet::cpu {

// Whether a root of `number` differs from `root` for any estimate of its inverse in [first, last], as bits.
bool any_root_differs(float number, std::uint32_t first, std::uint32_t last, float root);
float root_by_products_of(float number);
float inverse_root_estimate(float number);

}  // namespace treenet::cpu

// What a core can multiply, measured: the limit that the kernels are held against.
#pragma once

#include <optional>
#include <string>

namespace treenet::benchmarks {

// Products a second of an instruction set's multiply-accumulate on this core, from one short burst of nothing else:
// u8 x s8 by vpdpbusd, s16 x s16 by vpmaddwd and vpaddd where there is no VNNI. None for "scalar", whose
// multiplications are the compiler's choice. Throws Error(kBackend) if `isa` is not usable here.
std::optional<double> peak(const std::string& isa);

}  // namespace treenet::benchmarks

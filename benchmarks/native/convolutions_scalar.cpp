#define TREENET_ISA convolutions_scalar

#include "cpu/isa_scalar.h"
// The primitives come before the schedules that use them.
#include "cpu/conv_span.h"
#include "cpu/no_matrix_tiles.h"
// And these before the runs.
#include "convolution_runs.h"

namespace treenet::benchmarks {

constinit const Convolutions* const convolutions_scalar = &cpu::convolutions_scalar::kConvolutions;

}  // namespace treenet::benchmarks

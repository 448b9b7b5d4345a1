#define TREENET_ISA convolutions_avx2

#if defined(TREENET_HAVE_AVX2)
#include "cpu/isa_avx2.h"
// The primitives come before the schedules that use them.
#include "cpu/no_matrix_tiles.h"
// And these before the runs.
#include "convolution_runs.h"

namespace treenet::benchmarks {

constinit const Convolutions* const convolutions_avx2 = &cpu::convolutions_avx2::kConvolutions;

}  // namespace treenet::benchmarks
#else
#include "convolutions.h"

namespace treenet::benchmarks {

constinit const Convolutions* const convolutions_avx2 = nullptr;

}  // namespace treenet::benchmarks
#endif

#define TREENET_ISA convolutions_avx512vnni

#if defined(TREENET_HAVE_AVX512VNNI)
#include "cpu/conv_image_avx512vnni.h"
// The primitives come before the schedules that use them.
#include "cpu/conv_span.h"
#include "cpu/no_matrix_tiles.h"
// And these before the runs.
#include "convolution_runs.h"

namespace treenet::benchmarks {

constinit const Convolutions* const convolutions_avx512vnni = &cpu::convolutions_avx512vnni::kConvolutions;

}  // namespace treenet::benchmarks
#else
#include "convolutions.h"

namespace treenet::benchmarks {

constinit const Convolutions* const convolutions_avx512vnni = nullptr;

}  // namespace treenet::benchmarks
#endif

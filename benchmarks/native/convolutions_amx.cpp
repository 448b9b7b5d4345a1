#define TREENET_ISA convolutions_amx
#define TREENET_MATRIX_TILES

#if defined(TREENET_HAVE_AMX)
#include "cpu/conv_image_avx512vnni.h"
// The primitives come before the schedules that use them.
#include "cpu/conv_tiles.h"
// And these before the runs.
#include "convolution_runs.h"

namespace treenet::benchmarks {

constinit const Convolutions* const convolutions_amx = &cpu::convolutions_amx::kConvolutions;

}  // namespace treenet::benchmarks
#else
#include "convolutions.h"

namespace treenet::benchmarks {

constinit const Convolutions* const convolutions_amx = nullptr;

}  // namespace treenet::benchmarks
#endif

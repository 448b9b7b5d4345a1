// Compiled with AVX-512 VNNI flags where TREENET_HAVE_AVX512VNNI is defined (see CMakeLists.txt).
#define TREENET_ISA avx512vnni

#if defined(TREENET_HAVE_AVX512VNNI)
#include "cpu/conv_image_avx512vnni.h"
#include "cpu/fusion_avx512vnni.h"
#include "cpu/output_avx512vnni.h"
#include "cpu/rans_avx512vnni.h"
#include "cpu/symbols_avx512vnni.h"
// The primitives come before the schedules that use them.
#include "cpu/conv_span.h"
#include "cpu/no_matrix_tiles.h"
#include "cpu/table.h"

namespace treenet::cpu {

namespace {
constexpr KernelTable kTable = avx512vnni::make_table("avx512vnni", avx512vnni::coder_loops());
}
constinit const KernelTable* const kernels_avx512vnni = &kTable;

}  // namespace treenet::cpu
#else
#include "cpu/kernels.h"

namespace treenet::cpu {

constinit const KernelTable* const kernels_avx512vnni = nullptr;

}  // namespace treenet::cpu
#endif

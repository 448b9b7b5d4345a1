// Compiled with AVX2 flags where TREENET_HAVE_AVX2 is defined (see CMakeLists.txt).
#define TREENET_ISA avx2

#if defined(TREENET_HAVE_AVX2)
#include "cpu/isa_avx2.h"
#include "cpu/rans_avx2.h"
#include "cpu/symbols_avx2.h"
// The primitives come before the schedules that use them.
#include "cpu/no_matrix_tiles.h"
#include "cpu/table.h"

namespace treenet::cpu {

namespace {
constexpr KernelTable kTable = avx2::make_table("avx2", avx2::coder_loops());
}
constinit const KernelTable* const kernels_avx2 = &kTable;

}  // namespace treenet::cpu
#else
#include "cpu/kernels.h"

namespace treenet::cpu {

constinit const KernelTable* const kernels_avx2 = nullptr;

}  // namespace treenet::cpu
#endif

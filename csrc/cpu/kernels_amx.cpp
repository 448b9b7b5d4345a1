// Compiled with AVX-512 VNNI and AMX flags where TREENET_HAVE_AMX is defined (see CMakeLists.txt).
#define TREENET_ISA amx
#define TREENET_MATRIX_TILES

#if defined(TREENET_HAVE_AMX)
#include "cpu/conv_image_avx512vnni.h"
#include "cpu/fusion_avx512vnni.h"
#include "cpu/output_avx512vnni.h"
#include "cpu/rans_avx512vnni.h"
#include "cpu/symbols_avx512vnni.h"
// The primitives come before the schedules that use them.
#include "cpu/conv_tiles.h"
#include "cpu/table.h"

namespace treenet::cpu {

namespace {
constexpr KernelTable kTable = amx::make_table("amx", amx::coder_loops());
}
constinit const KernelTable* const kernels_amx = &kTable;

}  // namespace treenet::cpu
#else
#include "cpu/kernels.h"

namespace treenet::cpu {

constinit const KernelTable* const kernels_amx = nullptr;

}  // namespace treenet::cpu
#endif

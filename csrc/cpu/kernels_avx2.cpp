// Compiled with AVX2 flags where TREENET_HAVE_AVX2 is defined (see CMakeLists.txt).
#define TREENET_ISA avx2

#if defined(TREENET_HAVE_AVX2)
#include "cpu/isa_avx2.h"
#include "cpu/rans_avx2.h"
// The primitives come before the schedules that use them.
#include "cpu/table.h"

namespace treenet::cpu {

const KernelTable* kernels_avx2() {
  static const KernelTable table = avx2::make_table("avx2", avx2::coder_loops());
  return &table;
}

}  // namespace treenet::cpu
#else
#include "cpu/kernels.h"

namespace treenet::cpu {

const KernelTable* kernels_avx2() { return nullptr; }

}  // namespace treenet::cpu
#endif

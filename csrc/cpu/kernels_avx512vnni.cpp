// Compiled with AVX-512 VNNI flags where TREENET_HAVE_AVX512VNNI is defined (see CMakeLists.txt).
#define TREENET_ISA avx512vnni

#if defined(TREENET_HAVE_AVX512VNNI)
#include "cpu/isa_avx512vnni.h"
#include "cpu/rans_avx512vnni.h"
// The primitives come before the schedules that use them.
#include "cpu/table.h"

namespace treenet::cpu {

const KernelTable* kernels_avx512vnni() {
  static const KernelTable table = avx512vnni::make_table("avx512vnni", avx512vnni::coder_loops());
  return &table;
}

}  // namespace treenet::cpu
#else
#include "cpu/kernels.h"

namespace treenet::cpu {

const KernelTable* kernels_avx512vnni() { return nullptr; }

}  // namespace treenet::cpu
#endif

#define TREENET_ISA scalar

#include "cpu/isa_scalar.h"
// The primitives come before the schedules that use them.
#include "cpu/table.h"

namespace treenet::cpu {

const KernelTable* kernels_scalar() {
  static const KernelTable table = scalar::make_table("scalar", kScalarLoops);
  return &table;
}

}  // namespace treenet::cpu

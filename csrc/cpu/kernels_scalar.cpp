#define TREENET_ISA scalar

#include "cpu/isa_scalar.h"
#include "cpu/symbols_scalar.h"
// The primitives come before the schedules that use them.
#include "cpu/conv_span.h"
#include "cpu/no_matrix_tiles.h"
#include "cpu/table.h"

namespace treenet::cpu {

namespace {
constexpr KernelTable kTable = scalar::make_table("scalar", kScalarLoops);
}
constinit const KernelTable* const kernels_scalar = &kTable;

}  // namespace treenet::cpu

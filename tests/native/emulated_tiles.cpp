// The kernels for matrix tiles with the plain primitives and tiles of plain memory, so that they are tested where the
// processor has none.
#define TREENET_ISA emulated_tiles
#define TREENET_MATRIX_TILES
#define TREENET_EMULATED_TILES

#include "cpu/isa_scalar.h"
#include "cpu/symbols_scalar.h"
// The primitives come before the schedules that use them.
#include "cpu/conv_tiles.h"
#include "cpu/table.h"
#include "kernel_tables.h"

namespace treenet::cpu {

const KernelTable kernels_emulated_tiles = emulated_tiles::make_table("emulated tiles", kScalarLoops);

}  // namespace treenet::cpu

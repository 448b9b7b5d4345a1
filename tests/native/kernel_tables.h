// The kernel tables that are held against the plain one: those of this machine's instruction sets, and emulated ones.
#pragma once

#include <string>
#include <vector>

#include "cpu/dispatch.h"

namespace treenet::cpu {

extern const KernelTable kernels_emulated_tiles;  // emulated_tiles.cpp

inline std::vector<const KernelTable*> tables_beside_scalar() {
  std::vector<const KernelTable*> tables = {&kernels_emulated_tiles};
  for (const std::string& isa : usable_isas()) {
    if (isa == "scalar") continue;
    prepare(isa);
    tables.push_back(&kernels_for(isa));
  }
  return tables;
}

}  // namespace treenet::cpu

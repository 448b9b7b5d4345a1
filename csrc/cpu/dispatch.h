// Which instruction sets this build has and this machine runs.
#pragma once

#include <string>
#include <vector>

#include "cpu/kernels.h"

namespace treenet::cpu {

// Names of the usable paths, slowest first. "scalar" is always there.
std::vector<std::string> usable_isas();

// Asks the system for what a path needs of it, before its kernels run. Throws Error(kBackend) where it refuses.
void prepare(const std::string& isa);

// The fastest path that the system lets this process use, prepared.
std::string fastest_isa();

// The table of a path by its name. Throws Error(kBackend) if it is unknown or not usable here.
const KernelTable& kernels_for(const std::string& isa);

}  // namespace treenet::cpu

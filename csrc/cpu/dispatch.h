// Which instruction sets this build has and this machine runs.
#pragma once

#include <string>
#include <vector>

#include "cpu/kernels.h"

namespace treenet::cpu {

// Names of the usable paths, slowest first. "scalar" is always there.
std::vector<std::string> usable_isas();

// The table of a path by its name. Throws Error(kBackend) if it is unknown or not usable here.
const KernelTable& kernels_for(const std::string& isa);

}  // namespace treenet::cpu

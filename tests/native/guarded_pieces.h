// Spaces made while it lasts have an allocation for each of their pieces, so that the address sanitizer sees what goes
// beyond one.
#pragma once

#include <cstdlib>

namespace treenet::testing {

class GuardedPieces {
 public:
  GuardedPieces() { setenv("TREENET_FAST_CUDA_GUARDS", "1", 1); }
  ~GuardedPieces() { unsetenv("TREENET_FAST_CUDA_GUARDS"); }
  GuardedPieces(const GuardedPieces&) = delete;
  GuardedPieces& operator=(const GuardedPieces&) = delete;
};

}  // namespace treenet::testing

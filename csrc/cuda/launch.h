// Launching a kernel: one structure of parameters, passed by value.
#pragma once

#include "cuda/platform.h"
#include "cuda/runtime.h"

namespace treenet::cuda {

struct Grid {
  int x = 1, y = 1, z = 1;       // blocks
  int threads = 128;             // a block
  std::size_t shared_bytes = 0;  // dynamic shared memory of a block
};

#if defined(__CUDACC__)

void check_launch(const void* kernel, std::size_t shared_bytes);  // raises the kernel's limit of shared memory
void check_launched();                                            // Error(kBackend) if the launch failed

template <class Parameters>
void launch(void (*kernel)(Parameters), const Grid& grid, StreamHandle stream, const Parameters& parameters) {
  check_launch(reinterpret_cast<const void*>(kernel), grid.shared_bytes);
  kernel<<<dim3(grid.x, grid.y, grid.z), grid.threads, grid.shared_bytes, static_cast<cudaStream_t>(stream)>>>(
      parameters);
  check_launched();
}

#else

template <class Parameters>
void launch(void (*kernel)(Parameters), const Grid& grid, StreamHandle stream, const Parameters& parameters) {
  emulation::launch([kernel, parameters] { kernel(parameters); }, grid.x, grid.y, grid.z, grid.threads,
                    grid.shared_bytes, stream);
}

#endif

}  // namespace treenet::cuda

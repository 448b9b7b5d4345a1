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

// The most shared memory that every device of compute capability 8.0 or more gives a block: that of 8.6, 8.9 and 12.0.
inline constexpr std::size_t kMostSharedBytes = 99 * 1024;

// Lets a kernel have as much shared memory as that. Error(kBackend) if the device has less.
void prepare_kernel(const void* kernel, std::size_t shared_bytes);
// Error(kBackend) if the last launch failed.
void check_launch();

#if defined(__CUDACC__)

template <class Parameters>
void launch(void (*kernel)(Parameters), const Grid& grid, StreamHandle stream, const Parameters& parameters) {
  prepare_kernel(reinterpret_cast<const void*>(kernel), grid.shared_bytes);
  kernel<<<dim3(grid.x, grid.y, grid.z), grid.threads, grid.shared_bytes, static_cast<cudaStream_t>(stream)>>>(
      parameters);
  check_launch();
}

#elif defined(TREENET_EMULATED)

template <class Parameters>
void launch(void (*kernel)(Parameters), const Grid& grid, StreamHandle stream, const Parameters& parameters) {
  emulation::launch([kernel, parameters] { kernel(parameters); }, grid.x, grid.y, grid.z, grid.threads,
                    grid.shared_bytes, stream);
}

#endif

}  // namespace treenet::cuda

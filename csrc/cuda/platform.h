// The part of CUDA C++ that the kernels use. nvcc has it; for the tests, which need no GPU, a host compiler takes the
// same names from an emulation (tests/native/emulation): threads are fibers, and what a warp does together is a
// function of it.
#pragma once

#include <cstdint>

#if defined(TREENET_EMULATED)
#include "emulation/device.h"
#else
#include <cuda_runtime.h>
#endif

#if defined(__USE_FAST_MATH__)
#error "the codec's arithmetic (SPEC §1) is not to be compiled with --use_fast_math"
#endif

namespace treenet::cuda {

inline constexpr int kWarp = 32;
inline constexpr unsigned kAllLanes = 0xFFFFFFFFu;

#if defined(__CUDACC__)
// The block's dynamic shared memory, aligned to 128 bytes.
__device__ __forceinline__ std::uint8_t* shared_memory() {
  extern __shared__ __align__(128) std::uint8_t treenet_shared[];
  return treenet_shared;
}
#elif defined(TREENET_EMULATED)
using emulation::shared_memory;
#endif

}  // namespace treenet::cuda

// CUDA C++ as far as the kernels use it, for a host compiler. What is missing here, static __shared__ arrays for one,
// the kernels do without.
#pragma once

#include "emulation/emulation.h"
#include "emulation/intrinsics.h"
#include "emulation/vector_types.h"
#include "emulation/warp.h"

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(...)
#define __grid_constant__
#define __align__(bytes) __attribute__((aligned(bytes)))

// Of the thread that runs; a copy for every host thread that launches.
inline constinit thread_local uint3 threadIdx{};
inline constinit thread_local uint3 blockIdx{};
inline constinit thread_local dim3 blockDim{};
inline constinit thread_local dim3 gridDim{};

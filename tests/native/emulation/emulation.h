// CUDA blocks on the host. A block's threads are fibers of one host thread, so that they run one at a time and change
// only where they wait for each other: at barriers and at what a warp does together. Blocks run one after another.
//
// An Error(kBackend), thrown by `launch`, names the thread that: takes part in something that not all threads of its
// mask or block take part in; reads a lane that is not there, or shared memory at a bad address; or asks for more than
// a GPU has. What the kernel itself throws comes out of `launch` as it is.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>

namespace treenet::cuda::emulation {

inline constexpr int kMaxThreads = 1024;
inline constexpr std::size_t kMaxSharedBytes = 227 * 1024;

// What memory holds before anything was written to it.
inline constexpr std::uint8_t kPoison = 0xA5;

// The running block's dynamic shared memory: an allocation of exactly the size asked for, new for every block.
std::uint8_t* shared_memory();

// Runs `thread` for all threads of x * y * z blocks, or has the stream record that it should be.
void launch(std::function<void()> thread, int x, int y, int z, int threads, std::size_t shared_bytes, void* stream);

// The order in which blocks, warps and lanes take their turns, from the next launch on: 0 is in order, and everything
// else seeds a pseudo-random one. Results that change with it come from a missing barrier.
void set_schedule(std::uint64_t seed);

// Whether events are ahead, once they are recorded, until they are waited for.
void set_busy(bool busy);

// How much memory the device has; 1 GiB unless it is set. What does not fit into it is an Error(kDeviceMemory).
void set_memory(std::size_t bytes);
std::size_t memory_in_use();

// How many multiprocessors the device is said to have; 4 unless it is set.
void set_multiprocessors(int count);

}  // namespace treenet::cuda::emulation

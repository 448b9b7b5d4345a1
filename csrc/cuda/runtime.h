// The part of the CUDA runtime that the backend uses: devices, memory, streams, graphs. Failures are Error(kBackend),
// or kDeviceMemory, that say what was asked for. csrc/cuda/runtime_cuda.cpp has it on a GPU, tests/native/emulation on
// the host.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <new>
#include <string>

namespace treenet::cuda {

// A cudaStream_t; null is the default stream.
using StreamHandle = void*;

// For messages.
inline constexpr const char* kForkHelp =
    "a process that is forked after CUDA was used cannot use it: start processes by 'spawn' instead";

struct DeviceProperties {
  std::string name;
  int major, minor;  // compute capability
  int multiprocessors;
  std::size_t memory_bytes;
};

// The number of usable devices; 0 with the reason in `why` where there is none, no driver, one too old, or a process
// that was forked.
int device_count(std::string& why);
DeviceProperties device_properties(int device);

// Makes a device current in this thread until it goes. Then the context that was current before is so again, or none,
// where there was none: the runtime calls that device 0, and to choose it would make a context there, which takes
// hundreds of MB of its memory.
class DeviceGuard {
 public:
  explicit DeviceGuard(int device);
  // For destructors: what fails to choose the device fails to free its memory, too.
  DeviceGuard(int device, std::nothrow_t) noexcept;
  ~DeviceGuard();
  DeviceGuard(const DeviceGuard&) = delete;
  DeviceGuard& operator=(const DeviceGuard&) = delete;

 private:
  void* previous_ = nullptr;  // a CUcontext
};

// Memory of the current device.
class DeviceBuffer {
 public:
  DeviceBuffer() = default;
  explicit DeviceBuffer(std::size_t bytes);
  std::size_t size() const { return size_; }
  template <class T>
  T* as() const {
    return static_cast<T*>(data_.get());
  }

 private:
  std::shared_ptr<void> data_;
  std::size_t size_ = 0;
};

// Page-locked memory of the host that devices read and write at the same address.
class PinnedBuffer {
 public:
  PinnedBuffer() = default;
  explicit PinnedBuffer(std::size_t bytes);
  std::size_t size() const { return size_; }
  template <class T>
  T* as() const {
    return static_cast<T*>(data_.get());
  }

 private:
  std::shared_ptr<void> data_;
  std::size_t size_ = 0;
};

// Work in order, before what waits in streams of usual priority. Owns its handle.
class Stream {
 public:
  Stream();
  ~Stream();
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
  StreamHandle handle() const { return handle_; }

 private:
  StreamHandle handle_;
};

// All of these are in the stream's order and return at once, but for `wait`.
void copy_to_device(void* to, const void* from, std::size_t bytes, StreamHandle stream);
void copy_to_host(void* to, const void* from, std::size_t bytes, StreamHandle stream);
void fill_zero(void* to, std::size_t bytes, StreamHandle stream);
void wait(StreamHandle stream);  // until its work is done; reports errors of kernels

// A point in a stream's order.
class Event {
 public:
  Event();  // in the past
  ~Event();
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;
  void record(StreamHandle stream);
  bool passed() const;
  void wait() const;             // on the host; reports errors of kernels
  void settle() const noexcept;  // the same, for destructors

 private:
  void* handle_;
};

// Work recorded once and launched many times.
class Graph {
 public:
  // Records what `work` puts into the stream that it is given.
  explicit Graph(const std::function<void(StreamHandle)>& work);
  ~Graph();
  Graph(const Graph&) = delete;
  Graph& operator=(const Graph&) = delete;
  void launch(StreamHandle stream) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace treenet::cuda

// A dense tensor [height, width, channels] in a leased buffer.
#pragma once

#include <array>
#include <cstddef>
#include <string>

#include "codec/buffer_pool.h"
#include "codec/model.h"
#include "codec/trace.h"
#include "cpu/kernels.h"

namespace treenet::cpu {

class Tensor {
 public:
  Tensor() = default;
  Tensor(BufferPool& pool, DType dtype, int height, int width, int channels)
      : dtype(dtype),
        height(height),
        width(width),
        channels(channels),
        lease_(pool.take(elements() * size_of(dtype))) {}

  std::size_t positions() const { return static_cast<std::size_t>(height) * static_cast<std::size_t>(width); }
  std::size_t elements() const { return positions() * static_cast<std::size_t>(channels); }
  template <class T>
  T* as() const {
    return lease_.as<T>();
  }
  // Gives the memory of the rows above `end` back to the system; what is in them is lost.
  void release_rows(int end) {
    if (end > 0) lease_.release(static_cast<std::size_t>(end) * width * channels * size_of(dtype));
  }

  DType dtype = DType::kU8;
  int height = 0, width = 0, channels = 0;

 private:
  BufferPool::Lease lease_;
};

using Latents = std::array<Tensor, kBottlenecks>;

inline Plane plane(const Tensor& tensor) { return {tensor.as<void>(), tensor.height, tensor.width, tensor.channels}; }

inline void record(Trace& trace, const std::string& name, const Tensor& tensor) {
  trace.add(name, tensor.dtype, tensor.height, tensor.width, tensor.channels, tensor.as<void>());
}
inline void record(Trace& trace, const std::string& name, const Latents& latents) {
  for (int b = 0; b < kBottlenecks; ++b) record(trace, name + "." + std::to_string(b), latents[b]);
}

}  // namespace treenet::cpu

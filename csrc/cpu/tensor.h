// A dense tensor [height, width, channels] in a leased buffer, or a window of its rows.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>

#include "codec/buffer_pool.h"
#include "codec/model.h"
#include "codec/trace.h"
#include "cpu/kernels.h"

namespace treenet::cpu {

class Tensor {
 public:
  // Whether pages are put under all of it when it is made, or under rows as they are written (supply_rows).
  enum class Supply { kWhole, kByRows };

  Tensor() = default;
  Tensor(BufferPool& pool, DType dtype, int height, int width, int channels, Supply supply = Supply::kWhole)
      : Tensor(pool, dtype, height, width, channels, height, supply) {}
  // Has memory for `rows` of its rows, at first those from row 0 on.
  static Tensor window(BufferPool& pool, DType dtype, int height, int width, int channels, int rows) {
    return Tensor(pool, dtype, height, width, channels, rows, Supply::kWhole);
  }

  std::size_t positions() const { return static_cast<std::size_t>(height) * static_cast<std::size_t>(width); }
  std::size_t elements() const { return positions() * static_cast<std::size_t>(channels); }
  template <class T>
  T* as() const {
    return lease_.as<T>();
  }
  std::size_t bytes() const { return elements() * size_of(dtype); }
  // Where row 0 is, or would be: before a window's memory, which as() gives, once that has moved down.
  std::uint8_t* row_0() const {
    return reinterpret_cast<std::uint8_t*>(reinterpret_cast<std::uintptr_t>(as<void>()) - bytes_above(first_));
  }
  // Moves a window down to begin with row `first`, of what it has keeping rows [first, end).
  void move_down(int first, int end) {
    std::memmove(as<void>(), as<std::uint8_t>() + bytes_above(first - first_), bytes_above(end - first));
    first_ = first;
  }
  // Has the pool put pages that it has under the rows above `end`, which are written next.
  void supply_rows(int end) { lease_.supply(bytes_above(end)); }
  // Gives the pages under the rows above `end` to the pool; what is in them is lost.
  void give_rows(int end) { lease_.give(bytes_above(end)); }

  DType dtype = DType::kU8;
  int height = 0, width = 0, channels = 0;

 private:
  Tensor(BufferPool& pool, DType dtype, int height, int width, int channels, int rows, Supply supply)
      : dtype(dtype), height(height), width(width), channels(channels), lease_(pool.take(bytes_above(rows))) {
    if (supply == Supply::kWhole) supply_rows(rows);
  }

  std::size_t bytes_above(int end) const {
    return static_cast<std::size_t>(std::max(0, end)) * static_cast<std::size_t>(width) *
           static_cast<std::size_t>(channels) * size_of(dtype);
  }

  int first_ = 0;  // row of a window
  BufferPool::Lease lease_;
};

using Latents = std::array<Tensor, kBottlenecks>;

inline Plane plane(const Tensor& tensor) { return {tensor.row_0(), tensor.height, tensor.width, tensor.channels}; }

inline void record(Trace& trace, const std::string& name, const Tensor& tensor) {
  trace.add(name, tensor.dtype, tensor.height, tensor.width, tensor.channels, tensor.as<void>());
}
inline void record(Trace& trace, const std::string& name, const Latents& latents) {
  for (int b = 0; b < kBottlenecks; ++b) record(trace, name + "." + std::to_string(b), latents[b]);
}

}  // namespace treenet::cpu

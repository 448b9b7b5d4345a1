// Between a caller's pixels, in any order, and the dense RGB that the kernels work on (SPEC §3).
#pragma once

#include "codec/backend.h"
#include "cpu/tensor.h"

namespace treenet::cpu {

// An image extended to whole blocks: the caller's own pixels where they are that already, else a copy.
class WholeBlocks {
 public:
  WholeBlocks(const ImageView& image, const Geometry& geometry, BufferPool& buffers, ThreadPool& threads);

  const Plane& plane() const { return plane_; }

 private:
  Tensor copy_;
  Plane plane_;  // kernels only read their input
};

// Room for dense RGB: the caller's own memory where that is what is wanted, else a tensor.
class RgbRoom {
 public:
  RgbRoom(const PixelsOut& out, BufferPool& buffers);

  const Plane& plane() const { return plane_; }
  // Once the plane is written: brings the pixels to where, and as what, they are wanted.
  void deliver(ThreadPool& threads) const;

 private:
  const PixelsOut out_;
  Tensor copy_;
  Plane plane_;
};

}  // namespace treenet::cpu

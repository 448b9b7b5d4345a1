// The CUDA backend: a batch's symbols, and the pixels of symbols, by fused kernels on one device. Pixels are in the
// device's memory.
#pragma once

#include <memory>
#include <span>

#include "codec/backend.h"
#include "codec/process.h"
#include "cuda/networks.h"
#include "cuda/space_pool.h"

namespace treenet::cuda {

class CudaBackend final : public Backend {
 public:
  // The model has to outlive the backend. Throws Error(kBackend) if there is no such device or its architecture is too
  // old.
  CudaBackend(const Model& model, int device, int threads);
  ~CudaBackend() override;

  const char* name() const override { return "cuda"; }
  ThreadPool& threads() override { return threads_; }
  const CoderLoops& coder_loops() const override;
  int max_batch(const Geometry& geometry) const override;
  std::unique_ptr<Encoding> encode(const Geometry& geometry, std::span<const ImageView> images, int quality,
                                   const Call& call) override;
  std::unique_ptr<Decoding> decode(const Geometry& geometry, std::span<const int> qualities, const Call& call) override;

  void release() override;

 private:
  void check_process() const;

  const Origin origin_;
  const Model& model_;
  const int device_;
  const DeviceProperties properties_;
  std::unique_ptr<const Networks> networks_;
  const std::shared_ptr<SpacePool> spaces_;
  ThreadPool threads_;
};

}  // namespace treenet::cuda

// The CPU backend: an image's symbols, and the pixels of symbols, by the networks on the kernels of one instruction
// set.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>

#include "codec/backend.h"
#include "cpu/networks.h"

namespace treenet::cpu {

class CpuBackend final : public Backend {
 public:
  // The model has to outlive the backend. Throws Error(kBackend) if `isa` is not usable here.
  CpuBackend(const Model& model, const std::string& isa, int threads, std::size_t kept_bytes = Networks::kKeptBytes)
      : networks_(model, isa, threads, kept_bytes) {}

  const char* name() const override { return networks_.kernels().name; }
  ThreadPool& threads() override { return networks_.threads(); }
  const CoderLoops& coder_loops() const override { return networks_.kernels().coder_loops; }

  // An image is work enough for the threads, and more at once would take more memory.
  int max_batch(const Geometry&) const override { return 1; }

  std::unique_ptr<Encoding> encode(const Geometry& geometry, std::span<const ImageView> images, int quality,
                                   const Call& call) override;
  std::unique_ptr<Decoding> decode(const Geometry& geometry, std::span<const int> qualities, const Call& call) override;

  // Memory for an image that goes to the caller (PixelsOut::lease), whose pages are the pool's again when it goes.
  BufferPool::Lease take_result(std::size_t bytes) {
    return networks_.buffers().take(bytes, BufferPool::Purpose::kResult);
  }
  void release() override { networks_.buffers().release(); }

 private:
  Networks networks_;
};

}  // namespace treenet::cpu

// The CPU backend: the graph of fused steps on the kernels of one instruction set.
#pragma once

#include <array>
#include <memory>
#include <string>
#include <vector>

#include "codec/backend.h"
#include "cpu/packed_model.h"

namespace treenet::cpu {

class CpuBackend final : public Backend {
 public:
  // The model has to outlive the backend. Throws Error(kBackend) if `isa` is not usable here.
  CpuBackend(const Model& model, const std::string& isa, int threads);

  const char* name() const override { return kernels_.name; }
  BufferPool& buffers() override { return *buffers_; }
  ThreadPool& threads() override { return threads_; }

  Latents analyse(const ImageView& image, int quality, Trace* trace) override;
  Latents hyper_analyse(const Latents& latents) override;
  Latents hyper_synthesise(const Latents& hyper_latents) override;
  void parameters(const Latents& psi, const Latents& decoded, Parity parity, Latents& mean, Latents& index) override;
  void synthesise(const Latents& decoded, int quality, int height, int width, std::uint8_t* pixels,
                  Trace* trace) override;

 private:
  // A piece of a level's work: one node's tile.
  struct Piece {
    int node;
    Tile tile;
  };
  // Tiles of all nodes of a level, as many as keep the threads busy and no more.
  std::vector<Piece> pieces(int nodes, int height, int width, int tile_columns) const;

  BufferPool::Lease scratch() { return buffers_->take(scratch_bytes_); }

  // Fuses pairs[i] = (x, y) by fusions[i], SPEC §2.7.
  struct Pair {
    const PackedFusion* fusion;
    const Tensor* x;
    const Tensor* y;
  };
  std::vector<Tensor> fuse(const std::vector<Pair>& pairs);
  template <class T>
  std::vector<Tensor> fuse_as(const std::vector<Pair>& pairs);

  Tensor apply_gain(const Tensor& in, const float* gain);
  Latents hyper_layer(const std::array<const PackedConv*, kBottlenecks>& convs, const Latents& in, int stride,
                      bool leaky, bool shuffle);

  const KernelTable& kernels_;
  const PackedModel packed_;
  const std::size_t scratch_bytes_;
  std::shared_ptr<BufferPool> buffers_;
  ThreadPool threads_;
};

}  // namespace treenet::cpu

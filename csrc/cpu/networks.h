// The networks on the CPU (SPEC §4 to §6): the graph of fused steps on the kernels of one instruction set.
#pragma once

#include <array>
#include <memory>
#include <string>
#include <vector>

#include "codec/geometry.h"
#include "codec/thread_pool.h"
#include "cpu/packed_model.h"
#include "cpu/tensor.h"

namespace treenet::cpu {

// One image at a time goes through; any number of them may do so at once.
class Networks {
 public:
  // The model has to outlive them. Throws Error(kBackend) if `isa` is not usable here.
  Networks(const Model& model, const std::string& isa, int threads);

  const char* isa() const { return kernels_.name; }
  const CoderLoops& coder_loops() const { return kernels_.coder_loops; }
  const Model& model() const { return packed_.model; }
  BufferPool& buffers() { return *buffers_; }
  ThreadPool& threads() { return threads_; }

  // Analysis and gain: the latents Y (s16 x 32) of an RGB image whose sides are multiples of 16.
  Latents analyse(const Plane& image, int quality, Trace* trace);
  // The hyper-latents Z (s16 x 32).
  Latents hyper_analyse(const Latents& latents);
  // psi (s16 x 64), not cropped.
  Latents hyper_synthesise(const Latents& hyper_latents);
  // Means (s16 x 32) and scale indices (u8 x 32) at the positions of one stage, from psi and the decoded anchors.
  void parameters(const Latents& psi, const Latents& decoded, Stage stage, Latents& mean, Latents& index);
  // Gain and synthesis: writes the top left RGB pixels, as many as there are in `pixels`, of the decoded latents.
  void synthesise(const Latents& decoded, int quality, const Plane& pixels, Trace* trace);

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

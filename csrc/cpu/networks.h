// The networks on the CPU (SPEC §4 to §6): the graph of fused steps on the kernels of one instruction set.
#pragma once

#include <array>
#include <memory>
#include <string>
#include <vector>

#include "codec/geometry.h"
#include "codec/thread_pool.h"
#include "cpu/analysis_bands.h"
#include "cpu/packed_model.h"
#include "cpu/tensor.h"

namespace treenet::cpu {

// Of each channel over the positions of a tensor.
using Sums = std::array<std::int64_t, kChannels>;

inline void add(Sums& to, const Sums& sums) {
  for (int c = 0; c < kChannels; ++c) to[c] += sums[c];
}

// One image at a time goes through; any number of them may do so at once.
class Networks {
 public:
  // What is kept for the next call in any case, which is all that 12 megapixels need. So that the features of large
  // images fit, they go by bands of rows: through all levels of the analysis (AnalysisBands), and through a level of
  // the synthesis if what it reads and writes is more than is kept, as it is from 22 megapixels on.
  static constexpr std::size_t kKeptBytes = std::size_t{512} << 20;

  // The model has to outlive them. Throws Error(kBackend) if `isa` is not usable here.
  Networks(const Model& model, const std::string& isa, int threads, std::size_t kept_bytes = kKeptBytes);
  ~Networks() { buffers_->retire(); }

  const KernelTable& kernels() const { return kernels_; }
  const Model& model() const { return packed_.model; }
  BufferPool& buffers() { return *buffers_; }
  ThreadPool& threads() { return threads_; }

  // Analysis and gain: the latents Y (s16 x 32).
  Latents analyse(const InputPixels& image, int quality, Trace* trace);
  // Of bottleneck b. They depend on no other bottleneck, and any of them may be computed at once (for_each_bottleneck):
  // the hyper-latents Z (s16 x 32);
  Tensor hyper_analyse(int b, const Tensor& latents);
  // psi (s16 x 64), not cropped;
  Tensor hyper_synthesise(int b, const Tensor& hyper_latents);
  // means (s16 x 32) and scale indices (u8 x 32) at the positions of one stage, from psi and the decoded anchors.
  void parameters(int b, const Tensor& psi, const Tensor& decoded, Stage stage, Tensor& mean, Tensor& index);

  // Runs task(b) on the threads, so that a bottleneck's small steps follow each other without waiting for all threads.
  // Those that have no bottleneck of their own help inside (ThreadPool::run).
  template <class Task>
  void for_each_bottleneck(Task task) {
    threads_.run(kBottlenecks, [&](std::int64_t b) { task(static_cast<int>(b)); });
  }

  // Gain and synthesis of the decoded latents, whose memory is given back on the way, up to the input of the last level
  // (u8 x 32).
  Tensor synthesise(Latents decoded, int quality, Trace* trace);
  // The last level: writes its top left pixels, as many as there are in `pixels`.
  void synthesise_pixels(Tensor features, const OutputPixels& pixels, Trace* trace);

 private:
  // Runs task(group, tile, worker) on all threads until rows [begin, end) of all groups of a level's nodes are done.
  // Tiles have at most `tile_columns` columns.
  template <class Task>
  void share_rows(int groups, int begin, int end, int width, int tile_columns, Task task);

  BufferPool::Lease scratch() { return buffers_->take(scratch_bytes_); }

  // The output of a node, and its sums over the positions, zero points not removed.
  struct Features {
    Tensor tensor;
    Sums sums{};
  };
  // A level of residual blocks on its way: rows [0, done) of its nodes' outputs are there, and of their sums.
  struct Level {
    std::vector<Features> outputs;
    std::vector<Sums> partial;  // of the workers, each of all nodes
    int done = 0;
  };
  // Each of the nodes' outputs is what `make` makes.
  template <class Make>
  Level begin_level(int nodes, Make make);
  // task(node, outs, tile, sums, scratch) writes a tile of the outputs of a group of so many nodes, from `node` on, and
  // adds to their sums.
  template <class Task>
  void run_rows(Level& level, int end, int group, int tile_columns, Task task);
  static std::vector<Features> end_level(Level level);
  bool go_by_bands(std::size_t input_bytes, std::size_t output_bytes) const {
    return input_bytes + output_bytes > kept_bytes_;
  }

  // The outputs of the analysis' leaves.
  std::vector<Features> analysis_levels(const InputPixels& image, Trace* trace);
  // After a band with these ends: the upper levels' windows to what later ones need.
  void move_down(std::array<Level, kLevels>& levels, const AnalysisBands::Ends& ends);
  // The outputs of a level's residual blocks. Of large images, gives the memory of its inputs back on the way.
  std::vector<Features> synthesis_level(int level, std::vector<Features> inputs, Trace* trace);

  // Fuses x and y (SPEC §2.7) of all pairs. The result takes the place of x, which may be y of the pair before.
  struct Pair {
    const PackedFusion* fusion;
    const Features* x;
    const Features* y;
  };
  void fuse(const std::vector<Pair>& pairs);
  template <class T>
  void fuse_as(const std::vector<Pair>& pairs);

  Tensor apply_gain(const Tensor& in, const float* gain);
  Tensor hyper_layer(const Packed3x3& conv, const Tensor& in, int stride, bool leaky, bool shuffle);

  const KernelTable& kernels_;
  const PackedModel packed_;
  const std::size_t scratch_bytes_, kept_bytes_;
  std::shared_ptr<BufferPool> buffers_;
  ThreadPool threads_;
};

}  // namespace treenet::cpu

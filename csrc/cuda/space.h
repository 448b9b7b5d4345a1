// The memory of one batch on its way through the networks, kept for the next batch of the same size: device memory,
// what host and device share, and the recorded launches.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "codec/geometry.h"
#include "cuda/kernels.h"
#include "cuda/runtime.h"

namespace treenet::cuda {

enum class Direction { kEncode, kDecode };

// The coded symbols of one parity of the latents, and their tables, image after image; and where the runs of an image
// begin (kernels.h). In the host's memory.
struct CodedStage {
  std::int32_t* row_begin;  // [image][4 height + 1]
  std::uint8_t* tables;     // [image][capacity]
  std::int16_t* symbols;    // [image][capacity]
};

// What host and device share, in the host's memory.
struct SharedMemory {
  PixelPlane* pixels;               // [image]
  float* gain;                      // [image][4][32], right behind
  std::int16_t* hyper_symbols;      // [image][4 hyper_height hyper_width 32], in the order of coding
  std::array<CodedStage, 2> coded;  // by parity
};

// On the device alone; [node or bottleneck][image][height][width][channels].
struct DeviceMemory {
  PixelPlane* pixels;  // copies of what the host shares
  float* gain;
  void* level[2];          // outputs of a level or of its fusions, in turn
  std::int16_t* hyper[2];  // layers of the hyper transforms, in turn
  std::int16_t* hyper_latents;
  std::int16_t* psi;
  std::int16_t* latents;  // of the encoder, as are the symbols
  std::int16_t* symbols;
  std::int16_t* mean;
  std::int16_t* decoded;
  std::uint8_t* index;
  std::int32_t* row_begin;  // as in CodedStage, of one parity after the other
  std::uint8_t* coded_tables;
  std::int16_t* coded_symbols;
  unsigned long long* level_sums;   // [node][image][32]
  unsigned long long* middle_sums;  // [pair][image][32], right behind
};

class Space {
 public:
  Space(const Geometry& geometry, int images, Direction direction);
  ~Space() { done.settle(); }  // the device may still work on it
  Space(const Space&) = delete;
  Space& operator=(const Space&) = delete;

  // What a space of this size takes of the device's memory.
  static std::size_t device_bytes(const Geometry& geometry, int images, Direction direction);

  const Geometry geometry;
  const int images;
  const Direction direction;

  std::int64_t positions() const { return std::int64_t{geometry.latent_height} * geometry.latent_width; }
  std::int64_t hyper_positions() const { return std::int64_t{geometry.hyper_height} * geometry.hyper_width; }
  std::int64_t capacity() const;  // of a coded stage of an image
  // Of a whole segment.
  int segment_rows() const { return geometry.segments[0].y_end; }
  int hyper_segment_rows() const { return geometry.segments[0].z_end; }
  std::size_t bytes_of_sums() const;  // of both levels and middles
  std::size_t bytes_of_call() const;  // of pixels and gain

  DeviceMemory device;
  SharedMemory shared;

  // Puts `work`, which is the same for a number, into the stream. It is recorded when it is run for the second time:
  // the first loads what the driver loads when it is first used, which cannot be done while recording; and sizes that
  // are seen once need no recording. Profilers time kernels more surely where each is launched by itself:
  // TREENET_FAST_CUDA_GRAPHS=0 has them so.
  void run(int number, StreamHandle stream, const std::function<void(StreamHandle)>& work);

  Stream stream;  // for what needs nothing of the caller's
  Event done;     // of the last call

 private:
  const bool graphs_wanted_;
  std::vector<DeviceBuffer> device_memory_;  // one, unless guarded
  std::vector<PinnedBuffer> shared_memory_;
  struct Launches {
    bool loaded = false;
    std::unique_ptr<Graph> graph;
  };
  std::array<Launches, 3> launches_;
};

}  // namespace treenet::cuda

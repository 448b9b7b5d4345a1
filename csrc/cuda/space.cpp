#include "cuda/space.h"

#include <algorithm>
#include <cstdlib>
#include <string>

#include "codec/error.h"
#include "codec/model.h"

namespace treenet::cuda {
namespace {

constexpr std::size_t kAlignment = 256;
constexpr int kMostNodes = 8, kMostPairs = 4;

// A switch of the environment, 0 or 1.
bool switched_on(const char* name, bool otherwise) {
  const char* const value = std::getenv(name);
  const std::string text = value == nullptr ? "" : value;
  if (text.empty()) return otherwise;
  if (text == "0" || text == "1") return text == "1";
  throw Error(ErrorCode::kBackend, std::string(name) + " is '" + text + "'; it can be 0 or 1");
}

// Hands out pieces of one allocation, or counts them. Where TREENET_FAST_CUDA_GUARDS is 1, each is an allocation of
// its own: then compute-sanitizer, and in the tests the address sanitizer, see what a kernel does beyond one.
template <class Buffer>
class Pieces {
 public:
  Pieces() = default;  // counts
  Pieces(std::size_t bytes, std::vector<Buffer>& memory)
      : memory_(&memory), guarded_(switched_on("TREENET_FAST_CUDA_GUARDS", false)) {
    if (!guarded_) memory.emplace_back(bytes);
  }

  template <class T>
  void take_bytes(T*& piece, std::size_t bytes) {
    piece = memory_ == nullptr || bytes == 0 ? nullptr : reinterpret_cast<T*>(address(bytes));
    used_ += (bytes + kAlignment - 1) / kAlignment * kAlignment;
  }
  template <class T>
  void take(T*& piece, std::int64_t count) {
    take_bytes(piece, static_cast<std::size_t>(count) * sizeof(T));
  }
  std::size_t used() const { return used_; }

 private:
  std::uint8_t* address(std::size_t bytes) {
    if (guarded_) return memory_->emplace_back(bytes).template as<std::uint8_t>();
    return memory_->back().template as<std::uint8_t>() + used_;
  }

  std::vector<Buffer>* memory_ = nullptr;
  bool guarded_ = false;
  std::size_t used_ = 0;
};

struct Sizes {
  Sizes(const Geometry& g, int images)
      : images(images),
        latent(std::int64_t{images} * kBottlenecks * g.latent_height * g.latent_width),
        hyper(std::int64_t{images} * kBottlenecks * g.hyper_height * g.hyper_width),
        runs(std::int64_t{images} * (kBottlenecks * g.latent_height + 1)),
        coded(images * capacity(g)) {}

  // Symbols of one parity of an image; a multiple of 32, so that all images' begin alike.
  static std::int64_t capacity(const Geometry& g) {
    return std::int64_t{kBottlenecks} * kTransformChannels * g.latent_height * ((g.latent_width + 1) / 2);
  }

  int images;
  std::int64_t latent, hyper;  // positions of all bottlenecks and images
  std::int64_t runs, coded;
};

// Bytes of the outputs of the levels and fusions, a latent's position: node by node 32 channels at 4^k positions of
// level k. In turn they are in the first and in the second memory.
std::array<std::int64_t, 2> level_bytes(Direction direction) {
  constexpr std::int64_t u8 = kTransformChannels, s16 = 2 * kTransformChannels;
  if (direction == Direction::kEncode) {
    return {std::max(1 * 64, 4 * 4) * s16, std::max(2 * 16, 8 * 1) * s16};  // levels 0, 2 and 1, 3
  }
  return {std::max({4 * 4 * s16, 3 * 16 * s16, 2 * 64 * u8}),   // levels 0 to 2
          std::max({3 * 4 * s16, 2 * 16 * s16, 1 * 64 * u8})};  // their fusions
}

static_assert(sizeof(PixelPlane) % alignof(float) == 0);            // gains lie right behind pixels
constexpr std::int64_t kGains = kBottlenecks * kTransformChannels;  // of an image

std::size_t call_bytes(int images) { return (sizeof(PixelPlane) + sizeof(float) * kGains) * images; }
std::size_t sums_bytes(int images) {
  return sizeof(unsigned long long) * kTransformChannels * (kMostNodes + kMostPairs) * images;
}

void place(Pieces<DeviceBuffer>& pieces, const Geometry& g, const Sizes& n, Direction direction, DeviceMemory& to) {
  pieces.take_bytes(to.pixels, call_bytes(n.images));
  const std::int64_t positions = std::int64_t{n.images} * g.latent_height * g.latent_width;
  for (int i = 0; i < 2; ++i) pieces.take_bytes(to.level[i], level_bytes(direction)[i] * positions);
  // The widest layer but the last of the hyper synthesis has 48 channels at 16 times the hyper-latents' positions,
  // which are at least the latents'.
  for (std::int16_t*& layer : to.hyper) pieces.take(layer, 16 * 48 * n.hyper);
  pieces.take(to.hyper_latents, kTransformChannels * n.hyper);
  pieces.take(to.psi, 16 * 2 * kTransformChannels * n.hyper);
  const std::int64_t elements = kTransformChannels * n.latent;
  pieces.take(to.latents, direction == Direction::kEncode ? elements : 0);
  pieces.take(to.symbols, direction == Direction::kEncode ? elements : 0);
  pieces.take(to.mean, elements);
  pieces.take(to.decoded, elements);
  pieces.take(to.index, elements);
  pieces.take(to.row_begin, n.runs);
  pieces.take(to.coded_tables, n.coded);
  pieces.take(to.coded_symbols, n.coded);
  pieces.take_bytes(to.level_sums, sums_bytes(n.images));
}

void place(Pieces<PinnedBuffer>& pieces, const Sizes& n, SharedMemory& to) {
  pieces.take_bytes(to.pixels, call_bytes(n.images));
  pieces.take(to.hyper_symbols, kTransformChannels * n.hyper);
  for (CodedStage& stage : to.coded) {
    pieces.take(stage.row_begin, n.runs);
    pieces.take(stage.tables, n.coded);
    pieces.take(stage.symbols, n.coded);
  }
}

}  // namespace

std::size_t Space::device_bytes(const Geometry& geometry, int images, Direction direction) {
  Pieces<DeviceBuffer> count;
  DeviceMemory memory;
  place(count, geometry, Sizes(geometry, images), direction, memory);
  return count.used();
}

std::int64_t Space::capacity() const { return Sizes::capacity(geometry); }
std::size_t Space::bytes_of_sums() const { return sums_bytes(images); }
std::size_t Space::bytes_of_call() const { return call_bytes(images); }

Space::Space(const Geometry& g, int images, Direction direction)
    : geometry(g), images(images), direction(direction), graphs_wanted_(switched_on("TREENET_FAST_CUDA_GRAPHS", true)) {
  const Sizes sizes(geometry, images);
  Pieces<DeviceBuffer> pieces(device_bytes(geometry, images, direction), device_memory_);
  place(pieces, geometry, sizes, direction, device);
  Pieces<PinnedBuffer> count;
  place(count, sizes, shared);
  Pieces<PinnedBuffer> shared_pieces(count.used(), shared_memory_);
  place(shared_pieces, sizes, shared);
  device.gain = reinterpret_cast<float*>(device.pixels + images);
  shared.gain = reinterpret_cast<float*>(shared.pixels + images);
  device.middle_sums = device.level_sums + std::int64_t{kTransformChannels} * kMostNodes * images;
}

void Space::run(int number, StreamHandle stream, const std::function<void(StreamHandle)>& work) {
  if (!graphs_wanted_) return work(stream);
  Launches& launches = launches_[number];
  if (!launches.loaded) {
    work(stream);
    launches.loaded = true;
    return;
  }
  if (!launches.graph) launches.graph = std::make_unique<Graph>(work);
  launches.graph->launch(stream);
}

}  // namespace treenet::cuda

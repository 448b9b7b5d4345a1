#include "cuda/space.h"

#include <algorithm>

#include "codec/model.h"

namespace treenet::cuda {
namespace {

constexpr std::size_t kAlignment = 256;
constexpr int kMostNodes = 8, kMostPairs = 4;

// Hands out pieces of one allocation, or, without one, counts them.
class Pieces {
 public:
  explicit Pieces(std::uint8_t* base) : base_(base) {}

  template <class T>
  void take(T*& piece, std::int64_t count) {
    piece = reinterpret_cast<T*>(base_ + used_);
    used_ += (static_cast<std::size_t>(count) * sizeof(T) + kAlignment - 1) / kAlignment * kAlignment;
  }
  void take_bytes(void*& piece, std::int64_t bytes) {
    std::uint8_t* at = nullptr;
    take(at, bytes);
    piece = at;
  }
  std::size_t used() const { return used_; }

 private:
  std::uint8_t* base_;
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

void place_call(Pieces& pieces, const Sizes& n, PixelPlane*& pixels, float*& gain) {
  pieces.take(pixels, n.images);
  pieces.take(gain, std::int64_t{n.images} * kBottlenecks * kTransformChannels);
}

void place(Pieces& pieces, const Geometry& g, const Sizes& n, Direction direction, DeviceMemory& to) {
  place_call(pieces, n, to.pixels, to.gain);
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
  pieces.take(to.level_sums, std::int64_t{kTransformChannels} * kMostNodes * n.images);
  pieces.take(to.middle_sums, std::int64_t{kTransformChannels} * kMostPairs * n.images);
}

void place(Pieces& pieces, const Sizes& n, SharedMemory& to) {
  place_call(pieces, n, to.pixels, to.gain);
  pieces.take(to.hyper_symbols, kTransformChannels * n.hyper);
  for (CodedStage& stage : to.coded) {
    pieces.take(stage.row_begin, n.runs);
    pieces.take(stage.tables, n.coded);
    pieces.take(stage.symbols, n.coded);
  }
}

}  // namespace

std::size_t Space::device_bytes(const Geometry& geometry, int images, Direction direction) {
  Pieces count(nullptr);
  DeviceMemory memory;
  place(count, geometry, Sizes(geometry, images), direction, memory);
  return count.used();
}

std::int64_t Space::capacity() const { return Sizes::capacity(geometry); }

std::size_t Space::bytes_of_sums() const {
  return static_cast<std::size_t>(reinterpret_cast<std::uint8_t*>(device.middle_sums) -
                                  reinterpret_cast<std::uint8_t*>(device.level_sums)) +
         sizeof(*device.middle_sums) * kTransformChannels * kMostPairs * static_cast<std::size_t>(images);
}

std::size_t Space::bytes_of_call() const {
  return static_cast<std::size_t>(reinterpret_cast<std::uint8_t*>(device.gain) -
                                  reinterpret_cast<std::uint8_t*>(device.pixels)) +
         sizeof(float) * kBottlenecks * kTransformChannels * static_cast<std::size_t>(images);
}

Space::Space(const Geometry& g, int images, Direction direction)
    : geometry(g), images(images), direction(direction), device_memory_(device_bytes(g, images, direction)) {
  const Sizes sizes(geometry, images);
  Pieces device_pieces(device_memory_.as<std::uint8_t>());
  place(device_pieces, geometry, sizes, direction, device);
  Pieces count(nullptr);
  place(count, sizes, shared);
  shared_memory_ = PinnedBuffer(count.used());
  Pieces host(shared_memory_.as<std::uint8_t>()), same(shared_memory_.device_as<std::uint8_t>());
  place(host, sizes, shared);
  place(same, sizes, shared_device);
}

void Space::run(int number, StreamHandle stream, const std::function<void(StreamHandle)>& work) {
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

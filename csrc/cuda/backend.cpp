#include "cuda/backend.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "codec/error.h"
#include "cpu/dispatch.h"

namespace treenet::cuda {
namespace {

constexpr int kOldestMajor = 8;  // products of u8 and s8 with depth 32
constexpr int kLargestBatch = 32;
// Shares of the device's memory: of one batch, and of the spaces kept for later.
constexpr std::size_t kBatchShare = 16, kKeptShare = 4;

DeviceProperties checked_device(int device) {
  std::string why;
  const int count = device_count(why);
  if (count == 0) throw Error(ErrorCode::kBackend, "no CUDA device can be used: " + why);
  if (device < 0 || device >= count) {
    throw Error(ErrorCode::kBackend, "there is no CUDA device " + std::to_string(device) + "; devices are 0 to " +
                                         std::to_string(count - 1));
  }
  DeviceProperties properties = device_properties(device);
  if (properties.major < kOldestMajor) {
    throw Error(ErrorCode::kBackend, properties.name + " has compute capability " + std::to_string(properties.major) +
                                         "." + std::to_string(properties.minor) +
                                         "; the kernels need 8.0 (Ampere) or later");
  }
  return properties;
}

std::unique_ptr<const Networks> networks_on(int device, const Model& model) {
  const DeviceGuard here(device);
  return std::make_unique<const Networks>(model);
}

// Puts pixels and gains where the device reads them. What the device still does with a space's last call is done.
void set_gain(const Space& space, int image, const std::vector<float>& gains, int quality) {
  constexpr int kCount = kBottlenecks * kTransformChannels;
  std::copy_n(gains.begin() + std::ptrdiff_t{quality - 1} * kCount, kCount, space.shared.gain + image * kCount);
}

void launch(Space& space, int number, const Call& call, const std::function<void(const Space&, const Run&)>& work) {
  if (call.trace != nullptr) {
    work(space, {call.stream, call.trace});
  } else {
    space.run(number, call.stream, [&](StreamHandle stream) { work(space, {stream}); });
  }
}

// A stage of a segment in the memory that host and device share.
struct Piece {
  std::ptrdiff_t begin, end;  // among the image's symbols of the stage
};
Piece piece_of(const Space& space, int image, const Segment& segment, Stage stage) {
  if (stage == kHyperLatents) {
    const std::ptrdiff_t row = std::ptrdiff_t{kBottlenecks} * space.geometry.hyper_width * kTransformChannels;
    return {segment.z_begin * row, segment.z_end * row};
  }
  const std::int32_t* runs = space.shared.coded[parity_of(stage)].row_begin +
                             std::ptrdiff_t{image} * (kBottlenecks * space.geometry.latent_height + 1);
  return {runs[kBottlenecks * segment.y_begin], runs[kBottlenecks * segment.y_end]};
}

// Symbols and tables of one batch. Tables of hyper-latents depend on the segment alone.
class Symbols {
 public:
  explicit Symbols(std::shared_ptr<Space> space) : space_(std::move(space)) {
    for (const Segment& segment : space_->geometry.segments) {
      hyper_tables_.push_back(hyper_tables(space_->geometry, segment));
    }
  }

  Space& space() const { return *space_; }

  StageRoom room(int image, int segment, Stage stage) const {
    const Piece piece = piece_of(*space_, image, space_->geometry.segments[segment], stage);
    const auto count = static_cast<std::size_t>(piece.end - piece.begin);
    if (stage == kHyperLatents) {
      const std::ptrdiff_t all = std::ptrdiff_t{kBottlenecks} * space_->hyper_positions() * kTransformChannels;
      return {hyper_tables_[segment], {space_->shared.hyper_symbols + image * all + piece.begin, count}};
    }
    const CodedStage& coded = space_->shared.coded[parity_of(stage)];
    const std::ptrdiff_t at = image * space_->capacity() + piece.begin;
    return {{coded.tables + at, count}, {coded.symbols + at, count}};
  }

 private:
  const std::shared_ptr<Space> space_;
  std::vector<std::vector<std::uint8_t>> hyper_tables_;
};

class CudaEncoding final : public Encoding {
 public:
  explicit CudaEncoding(Symbols symbols) : symbols_(std::move(symbols)) {}

  StageSymbols stage(int image, int segment, Stage stage) const override {
    const StageRoom room = symbols_.room(image, segment, stage);
    return {room.symbols, room.tables};
  }

 private:
  const Symbols symbols_;
};

class CudaDecoding final : public Decoding {
 public:
  CudaDecoding(const Networks& networks, int device, Symbols symbols, const Call& call)
      : networks_(networks), device_(device), symbols_(std::move(symbols)), call_(call) {}

  void prepare(Stage stage) override {
    stage_ = stage;
    if (stage == kHyperLatents) return;  // their tables are known
    const DeviceGuard here(device_);
    launch(symbols_.space(), stage - kAnchors, call_, [&](const Space& space, const Run& run) {
      if (stage == kAnchors) {
        networks_.decode_hyper_latents(space, run);
      } else {
        networks_.decode_anchors(space, run);
      }
    });
    wait(call_.stream);
  }

  StageRoom open(int image, int segment) override { return symbols_.room(image, segment, stage_); }
  void close(int, int) override {}

  void finish(std::span<const PixelsOut> pixels) override {
    const DeviceGuard here(device_);
    Space& space = symbols_.space();
    for (std::size_t i = 0; i < pixels.size(); ++i) {
      const PixelsOut& out = pixels[i];
      space.shared.pixels[i] = {out.data,  out.strides.row, out.strides.column, out.strides.channel, out.height,
                                out.width, out.grey};
    }
    launch(space, 2, call_, [&](const Space& s, const Run& run) { networks_.decode_others(s, run); });
    space.done.record(call_.stream);
  }

 private:
  const Networks& networks_;
  const int device_;
  const Symbols symbols_;
  const Call call_;
  Stage stage_ = kHyperLatents;
};

}  // namespace

CudaBackend::CudaBackend(const Model& model, int device, int threads)
    : model_(model),
      device_(device),
      properties_(checked_device(device)),
      networks_(networks_on(device, model)),
      spaces_(std::make_shared<SpacePool>(properties_.memory_bytes / kKeptShare)),
      threads_(threads) {}

void CudaBackend::check_process() const {
  if (origin_.is_forked_child()) {
    throw Error(ErrorCode::kBackend, "CUDA cannot be used in a forked process; start processes by 'spawn'");
  }
}

int CudaBackend::max_batch(const Geometry& geometry) const {
  const std::size_t each = Space::device_bytes(geometry, 1, Direction::kDecode);
  return static_cast<int>(std::clamp<std::size_t>(properties_.memory_bytes / kBatchShare / each, 1, kLargestBatch));
}

std::unique_ptr<Encoding> CudaBackend::encode(const Geometry& geometry, std::span<const ImageView> images, int quality,
                                              const Call& call) {
  check_process();
  const DeviceGuard here(device_);
  Symbols symbols(spaces_->take(geometry, static_cast<int>(images.size()), Direction::kEncode));
  Space& space = symbols.space();
  for (std::size_t i = 0; i < images.size(); ++i) {
    const ImageView& image = images[i];
    // The kernels only read an image's pixels.
    space.shared.pixels[i] = {const_cast<std::uint8_t*>(image.data),
                              image.strides.row,
                              image.strides.column,
                              image.strides.channel,
                              image.height,
                              image.width,
                              false};
    set_gain(space, static_cast<int>(i), model_.gain_encode, quality);
  }
  launch(space, 0, call, [&](const Space& s, const Run& run) { networks_->encode(s, run); });
  wait(call.stream);
  return std::make_unique<CudaEncoding>(std::move(symbols));
}

std::unique_ptr<Decoding> CudaBackend::decode(const Geometry& geometry, std::span<const int> qualities,
                                              const Call& call) {
  check_process();
  const DeviceGuard here(device_);
  Symbols symbols(spaces_->take(geometry, static_cast<int>(qualities.size()), Direction::kDecode));
  for (std::size_t i = 0; i < qualities.size(); ++i) {
    set_gain(symbols.space(), static_cast<int>(i), model_.gain_decode, qualities[i]);
  }
  return std::make_unique<CudaDecoding>(*networks_, device_, std::move(symbols), call);
}

const CoderLoops& CudaBackend::coder_loops() const { return cpu::kernels_for(cpu::usable_isas().back()).coder_loops; }

}  // namespace treenet::cuda

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
// What goes through at once keeps the device busy, and is little enough that most batches are several: the host codes
// the symbols of one while the device works on another. So many pixels, within these numbers of images.
constexpr std::int64_t kBatchPixels = std::int64_t{1} << 22;
constexpr std::int64_t kLeastImages = 8, kMostImages = 32;
constexpr std::size_t kBatchShare = 64;  // of the device's memory: two each way can be kept (SpacePool)

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

std::unique_ptr<const Networks> networks_on(int device, const Model& model, int multiprocessors) {
  const DeviceGuard here(device);
  return std::make_unique<const Networks>(model, multiprocessors);
}

// Puts pixels and gains where the device reads them. What the device still does with a space's last call is done.
void set_gain(const Space& space, int image, const std::vector<float>& gains, int quality) {
  constexpr int kCount = kBottlenecks * kTransformChannels;
  std::copy_n(gains.begin() + std::ptrdiff_t{quality - 1} * kCount, kCount, space.shared.gain + image * kCount);
}

void launch(Space& space, int number, const Run& run, const std::function<void(const Space&, const Run&)>& work) {
  if (run.trace != nullptr) {
    work(space, run);
  } else {
    space.run(number, run.stream, [&](StreamHandle stream) { work(space, {stream}); });
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
  CudaEncoding(int device, Symbols symbols) : device_(device), symbols_(std::move(symbols)) {}

  void wait() override {
    const DeviceGuard here(device_);
    symbols_.space().done.wait();
  }

  StageSymbols stage(int image, int segment, Stage stage) const override {
    const StageRoom room = symbols_.room(image, segment, stage);
    return {room.symbols, room.tables};
  }

 private:
  const int device_;
  const Symbols symbols_;
};

// What leads to tables needs nothing of the caller's: it runs in a stream of its own, beside the pixels of the call
// before, which the caller's stream is busy with.
class CudaDecoding final : public Decoding {
 public:
  CudaDecoding(const Networks& networks, int device, Symbols symbols, const Call& call)
      : networks_(networks), device_(device), symbols_(std::move(symbols)), call_(call) {}

  void prepare(Stage stage) override {
    stage_ = stage;
    if (stage == kHyperLatents) return;  // their tables are known
    const DeviceGuard here(device_);
    const StreamHandle stream = symbols_.space().stream.handle();
    launch(symbols_.space(), stage - kAnchors, {stream, call_.trace}, [&](const Space& space, const Run& run) {
      if (stage == kAnchors) {
        networks_.decode_hyper_latents(space, run);
      } else {
        networks_.decode_anchors(space, run);
      }
    });
    wait(stream);
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
    launch(space, 2, {call_.stream, call_.trace},
           [&](const Space& s, const Run& run) { networks_.decode_others(s, run); });
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
      networks_(networks_on(device, model, properties_.multiprocessors)),
      spaces_(SpacePool::of(device)),
      threads_(threads) {}

CudaBackend::~CudaBackend() {
  if (origin_.is_forked_child()) {  // CUDA cannot be called to free them
    static_cast<void>(networks_.release());
    return;
  }
  spaces_->release(networks_.get());
  const DeviceGuard here(device_, std::nothrow);
  networks_.reset();
}

void CudaBackend::release() {
  check_process();
  spaces_->release(networks_.get());
}

void CudaBackend::check_process() const {
  if (origin_.is_forked_child()) {
    throw Error(ErrorCode::kBackend, std::string("the codec was made before this process was forked; ") + kForkHelp);
  }
}

int CudaBackend::max_batch(const Geometry& geometry) const {
  const std::int64_t pixels = std::int64_t{geometry.height} * geometry.width;
  const auto wanted = static_cast<std::size_t>(std::clamp(kBatchPixels / pixels, kLeastImages, kMostImages));
  const std::size_t each = Space::device_bytes(geometry, 1, Direction::kDecode);
  return static_cast<int>(std::clamp<std::size_t>(properties_.memory_bytes / kBatchShare / each, 1, wanted));
}

std::unique_ptr<Encoding> CudaBackend::encode(const Geometry& geometry, std::span<const ImageView> images, int quality,
                                              const Call& call) {
  check_process();
  const DeviceGuard here(device_);
  Symbols symbols(spaces_->take(networks_.get(), geometry, static_cast<int>(images.size()), Direction::kEncode));
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
  launch(space, 0, {call.stream, call.trace}, [&](const Space& s, const Run& run) { networks_->encode(s, run); });
  space.done.record(call.stream);
  return std::make_unique<CudaEncoding>(device_, std::move(symbols));
}

std::unique_ptr<Decoding> CudaBackend::decode(const Geometry& geometry, std::span<const int> qualities,
                                              const Call& call) {
  check_process();
  const DeviceGuard here(device_);
  Symbols symbols(spaces_->take(networks_.get(), geometry, static_cast<int>(qualities.size()), Direction::kDecode));
  for (std::size_t i = 0; i < qualities.size(); ++i) {
    set_gain(symbols.space(), static_cast<int>(i), model_.gain_decode, qualities[i]);
  }
  return std::make_unique<CudaDecoding>(*networks_, device_, std::move(symbols), call);
}

const CoderLoops& CudaBackend::coder_loops() const { return cpu::kernels_for(cpu::usable_isas().back()).coder_loops; }

}  // namespace treenet::cuda

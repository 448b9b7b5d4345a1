#include "codec/codec.h"

#include <algorithm>
#include <array>
#include <string>

#include "codec/error.h"
#include "codec/process.h"
#include "codec/rans.h"

namespace treenet {
namespace {

constexpr Stage kCodingOrder[kStages] = {kHyperLatents, kAnchors, kOthers};

[[noreturn]] void fail_argument(const std::string& problem) { throw Error(ErrorCode::kInvalidArgument, problem); }

void check_batch(const Call& call, std::size_t count) {
  if (call.trace != nullptr && count != 1) fail_argument("a trace is of one image; give one, or no trace");
}

template <class A, class B>
bool same_size(const A& a, const B& b) {
  return a.height == b.height && a.width == b.width;
}

// Of a segment whose stages are all decoded.
void check_symbols(const SegmentDecoder& decoder) {
  // The stream's own checksum held, so its bytes are those that the encoder wrote.
  if (!decoder.finish()) {
    throw Error(ErrorCode::kCorrupt,
                "the decoded symbols do not match their checksum although the stream's bytes are intact: "
                "its encoder and this decoder disagree; please report it with the file");
  }
}

void check_size(int height, int width) {
  if (height < 1 || width < 1 || height > kMaximumSide || width > kMaximumSide) {
    throw Error(ErrorCode::kTooLarge, "the image is " + std::to_string(width) + " x " + std::to_string(height) +
                                          "; the format has sides of 1 to 65535");
  }
}

// The parts of a batch, of like size, that the backend takes at once.
struct Part {
  std::size_t first, count;
};
std::vector<Part> parts_of(std::size_t count, int at_once) {
  const auto most = static_cast<std::size_t>(at_once);
  const std::size_t parts = (count + most - 1) / most;
  std::vector<Part> result;
  for (std::size_t i = 0; i < parts; ++i) {
    const std::size_t first = count * i / parts;
    result.push_back({first, count * (i + 1) / parts - first});
  }
  return result;
}

// Calls task(image, segment) for all segments of a batch, in one loop of the pool: an image's alone can be too few.
template <class Task>
void for_each_segment(ThreadPool& threads, std::size_t images, const Geometry& geometry, Task task) {
  const std::size_t segments = geometry.segments.size();
  threads.run(static_cast<std::int64_t>(images * segments), [&](std::int64_t i) {
    const auto part = static_cast<std::size_t>(i);
    task(part / segments, part % segments);
  });
}

}  // namespace

Codec::Codec(std::shared_ptr<const Model> model, std::unique_ptr<Backend> backend)
    : model_(std::move(model)), backend_(std::move(backend)) {}

std::vector<std::vector<std::uint8_t>> Codec::encode(std::span<const ImageView> images, int quality, bool grey,
                                                     const Call& call) const {
  const NearestRounding rounding;
  if (quality < 1 || quality > kQualities) {
    fail_argument("quality is " + std::to_string(quality) + "; it must be 1 to 100");
  }
  check_batch(call, images.size());
  for (const ImageView& image : images) {
    check_size(image.height, image.width);
    if (!same_size(image, images[0])) fail_argument("the images of a batch must have one size");
  }
  std::vector<std::vector<std::uint8_t>> streams(images.size());
  if (images.empty()) return streams;
  const Geometry geometry(images[0].height, images[0].width);
  StreamInfo info{.quality = quality, .grey = grey, .width = geometry.width, .height = geometry.height};
  std::copy_n(model_->hash.begin(), info.model_id.size(), info.model_id.begin());

  const std::vector<Part> parts = parts_of(images.size(), backend_->max_batch(geometry));
  const auto begin = [&](const Part& part) {
    return backend_->encode(geometry, images.subspan(part.first, part.count), quality, call);
  };
  std::unique_ptr<Encoding> next;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const std::unique_ptr<Encoding> encoding = next ? std::move(next) : begin(parts[i]);
    next = nullptr;
    try {
      if (i + 1 < parts.size()) next = begin(parts[i + 1]);  // a device works on it while these are coded
    } catch (const Error& error) {
      // Without the memory for two, the next one begins when this one is done.
      if (error.code != ErrorCode::kDeviceMemory) throw;
    }
    encoding->wait();
    write_batch(geometry, *encoding, info, std::span(streams).subspan(parts[i].first, parts[i].count));
  }
  return streams;
}

void Codec::write_batch(const Geometry& geometry, const Encoding& encoding, const StreamInfo& info,
                        std::span<std::vector<std::uint8_t>> streams) const {
  ThreadPool& threads = backend_->threads();
  const std::size_t segments = geometry.segments.size();
  std::vector<std::vector<std::vector<std::uint8_t>>> payloads(streams.size());
  for (auto& payload : payloads) payload.resize(segments);
  for_each_segment(threads, streams.size(), geometry, [&](std::size_t image, std::size_t segment) {
    std::array<StageSymbols, kStages> stages;
    for (const Stage stage : kCodingOrder) stages[stage] = encoding.stage(image, segment, stage);
    encode_segment(*model_->tables, backend_->coder_loops(), stages, payloads[image][segment]);
  });
  threads.run(static_cast<std::int64_t>(streams.size()),
              [&](std::int64_t image) { streams[image] = write_stream(info, payloads[image]); });
}

void Codec::decode(std::span<const ParsedStream> streams, std::span<const PixelsOut> pixels, const Call& call) const {
  const NearestRounding rounding;
  check_batch(call, streams.size());
  if (streams.size() != pixels.size()) fail_argument("there must be as many streams as images to write");
  for (std::size_t i = 0; i < streams.size(); ++i) {
    if (!same_size(streams[i].header, streams[0].header)) fail_argument("the streams of a batch must have one size");
    if (!same_size(streams[i].header, pixels[i])) fail_argument("the pixels must have the size that the header says");
  }
  for (const ParsedStream& stream : streams) check_model(stream.header, model_->hash);
  if (streams.empty()) return;
  const Geometry geometry(streams[0].header.height, streams[0].header.width);
  for (const Part& part : parts_of(streams.size(), backend_->max_batch(geometry))) {
    decode_batch(geometry, streams.subspan(part.first, part.count), pixels.subspan(part.first, part.count), call);
  }
}

void Codec::decode_batch(const Geometry& geometry, std::span<const ParsedStream> streams,
                         std::span<const PixelsOut> pixels, const Call& call) const {
  ThreadPool& threads = backend_->threads();
  const std::size_t segments = geometry.segments.size();
  std::vector<SegmentDecoder> decoders;  // image after image
  std::vector<int> qualities;
  decoders.reserve(streams.size() * segments);
  for (const ParsedStream& stream : streams) {
    for (const auto& bytes : split_payload(stream.bytes.subspan(stream.header.header_size), segments)) {
      decoders.emplace_back(*model_->tables, backend_->coder_loops(), bytes);
    }
    qualities.push_back(stream.header.quality);
  }

  const std::unique_ptr<Decoding> decoding = backend_->decode(geometry, qualities, call);
  for (const Stage stage : kCodingOrder) {
    decoding->prepare(stage);
    for_each_segment(threads, streams.size(), geometry, [&](std::size_t image, std::size_t segment) {
      const StageRoom room = decoding->open(image, segment);
      decoders[image * segments + segment].decode_stage(room.tables, room.symbols);
      decoding->close(image, segment);
    });
  }
  for (const SegmentDecoder& decoder : decoders) check_symbols(decoder);
  decoding->finish(pixels);
}

}  // namespace treenet

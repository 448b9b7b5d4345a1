// Batches give the bytes and pixels of their images one by one; pixels may be anywhere and in any order.
#include <algorithm>
#include <list>
#include <memory>
#include <string>
#include <vector>

#include "batching_backend.h"
#include "check.h"
#include "codec_fixtures.h"
#include "cpu/dispatch.h"

namespace treenet {
namespace {

using namespace testing;

std::string fastest() { return cpu::fastest_isa(); }

std::unique_ptr<BatchingBackend> batching(int max_batch, int threads) {
  return std::make_unique<BatchingBackend>(std::make_unique<cpu::CpuBackend>(*model(), fastest(), threads), max_batch);
}

// Codecs that take 1, 2, .. images at once, with and without threads.
std::list<Codec> codecs() {
  std::list<Codec> result;
  for (const int threads : {1, 3}) {
    result.emplace_back(model(), std::make_unique<cpu::CpuBackend>(*model(), fastest(), threads));
  }
  for (const int max_batch : {2, 3, 8}) result.emplace_back(model(), batching(max_batch, 3));
  return result;
}

// Different images of one size.
std::vector<Bytes> images(std::size_t count, int height, int width) {
  std::vector<Bytes> result;
  for (unsigned seed = 0; seed < count; ++seed) result.push_back(image(height, width, seed));
  return result;
}

std::vector<Bytes> encode_batch(const Codec& codec, const std::vector<Bytes>& batch, int height, int width) {
  std::vector<ImageView> views;
  for (const Bytes& pixels : batch) views.push_back(ImageView::dense(pixels.data(), height, width));
  return codec.encode(views, 50, false);
}

// The size of the pixels is the first stream's.
std::vector<Bytes> decode_batch(const Codec& codec, const std::vector<Bytes>& streams) {
  std::vector<ParsedStream> parsed;
  for (const Bytes& stream : streams) parsed.push_back(parse(stream));
  const int height = parsed[0].header.height, width = parsed[0].header.width;
  std::vector<Bytes> batch(streams.size(), Bytes(static_cast<std::size_t>(height) * width * 3));
  std::vector<PixelsOut> outs;
  for (Bytes& pixels : batch) outs.push_back(PixelsOut::dense(pixels.data(), height, width, false));
  codec.decode(parsed, outs);
  return batch;
}

TEST("a batch has the streams of its images") {
  constexpr int kHeight = 37, kWidth = 70;
  const std::vector<Bytes> batch = images(5, kHeight, kWidth);
  std::vector<Bytes> streams;
  for (const Bytes& pixels : batch) streams.push_back(encode(codec("scalar", 1), pixels, kHeight, kWidth, 50));
  for (const Codec& c : codecs()) CHECK(encode_batch(c, batch, kHeight, kWidth) == streams);
}

TEST("where there is no memory for two parts of a batch, they go one after the other") {
  constexpr int kHeight = 20, kWidth = 30;
  const std::vector<Bytes> batch = images(4, kHeight, kWidth);
  std::vector<Bytes> streams;
  for (const Bytes& pixels : batch) streams.push_back(encode(codec("scalar", 1), pixels, kHeight, kWidth, 50));
  auto backend = batching(2, 3);
  backend->memory_for = 1;
  std::vector<std::string>& log = backend->log;
  const Codec one_part(model(), std::move(backend));
  CHECK(encode_batch(one_part, batch, kHeight, kWidth) == streams);
  CHECK(log == (std::vector<std::string>{"encode 2", "wait", "encode 2", "wait"}));

  auto none = batching(2, 3);
  none->memory_for = 0;
  const Codec nothing(model(), std::move(none));
  CHECK_ERROR(encode_batch(nothing, batch, kHeight, kWidth), ErrorCode::kDeviceMemory, "no room");
}

TEST("a batch has the pixels of its streams, whatever their qualities") {
  constexpr int kHeight = 37, kWidth = 70;
  std::vector<Bytes> streams, expected;
  const Codec one = codec("scalar", 1);
  for (const Bytes& pixels : images(5, kHeight, kWidth)) {
    streams.push_back(encode(one, pixels, kHeight, kWidth, 10 + 20 * static_cast<int>(streams.size())));
    expected.push_back(decode(one, streams.back()));
  }
  for (const Codec& c : codecs()) CHECK(decode_batch(c, streams) == expected);
}

TEST("large batches go through in parts of like size, the next one on its way while one is coded") {
  using Log = std::vector<std::string>;
  auto backend = batching(3, 1);
  Log& log = backend->log;
  const Codec c(model(), std::move(backend));
  const std::vector<Bytes> streams = encode_batch(c, images(7, 16, 16), 16, 16);
  CHECK_EQUAL(log, (Log{"encode 2", "encode 2", "wait", "encode 3", "wait", "wait"}));
  log.clear();
  decode_batch(c, streams);
  CHECK_EQUAL(log, (Log{"decode 2", "decode 2", "decode 3"}));
  log.clear();
  encode_batch(c, images(3, 16, 16), 16, 16);
  CHECK_EQUAL(log, (Log{"encode 3", "wait"}));
}

TEST("several segments an image") {
  constexpr int kHeight = 128 * 64 + 1, kWidth = 1;  // one column of hyper-latents: 128 rows a segment, of 129
  const std::vector<Bytes> batch = images(2, kHeight, kWidth);
  const Codec one = codec(fastest(), 1), both(model(), batching(2, 3));
  const std::vector<Bytes> streams = encode_batch(both, batch, kHeight, kWidth);
  CHECK(streams == encode_batch(one, batch, kHeight, kWidth));
  CHECK(decode_batch(both, streams) == decode_batch(one, streams));
}

TEST("a batch of nothing") {
  for (const Codec& c : codecs()) {
    CHECK(c.encode({}, 50, false).empty());
    c.decode({}, {});
  }
}

TEST("an image may be in any order") {
  // Whole blocks, which need no copy where they are dense, and others.
  for (const int width : {32, 45}) {
    const int height = width - 16;
    const Bytes rgb = image(height, width);
    const std::ptrdiff_t plane = static_cast<std::ptrdiff_t>(height) * width, row = width * 3;
    Bytes planar(rgb.size()), flipped(rgb.size()), padded(rgb.size() * 2);
    for (std::ptrdiff_t i = 0; i < plane; ++i) {
      for (int c = 0; c < 3; ++c) planar[c * plane + i] = rgb[3 * i + c];
    }
    for (int y = 0; y < height; ++y) {
      std::copy_n(&rgb[y * row], row, &flipped[(height - 1 - y) * row]);
      std::copy_n(&rgb[y * row], row, &padded[y * row * 2]);
    }
    const ImageView views[] = {{planar.data(), height, width, {width, 1, plane}},
                               {&flipped[(height - 1) * row], height, width, {-row, 3, 1}},
                               {padded.data(), height, width, {2 * row, 3, 1}}};
    for (const int threads : {1, 3}) {
      const Codec c = codec(fastest(), threads);
      const Bytes stream = encode(c, rgb, height, width, 50);
      for (const Bytes& other : c.encode(views, 50, false)) CHECK(other == stream);
    }
  }
}

TEST("a plane without a distance between channels is a grey image") {
  Bytes grey(20 * 30), rgb;
  for (std::size_t i = 0; i < grey.size(); ++i) {
    grey[i] = static_cast<std::uint8_t>(i * i / 7);
    rgb.insert(rgb.end(), 3, grey[i]);
  }
  const Codec c = codec(fastest(), 1);
  const ImageView view{grey.data(), 20, 30, {30, 1, 0}};
  const Bytes stream = c.encode({&view, 1}, 50, true)[0];
  CHECK(parse(stream).header.grey);
  CHECK(decode(c, stream) == decode(c, encode(c, rgb, 20, 30, 50)));
}

TEST("pixels may go anywhere, and nowhere else") {
  constexpr int kHeight = 21, kWidth = 34;
  constexpr std::ptrdiff_t kRow = 40, kPlane = kRow * (kHeight + 1);  // room between rows and planes
  constexpr std::uint8_t kUntouched = 77;
  for (const int threads : {1, 3}) {
    const Codec c = codec(fastest(), threads);
    const Bytes stream = encode(c, image(kHeight, kWidth), kHeight, kWidth, 50);
    const Bytes rgb = decode(c, stream);
    Bytes expected(3 * kPlane, kUntouched), grey;
    for (int y = 0; y < kHeight; ++y) {
      for (int x = 0; x < kWidth; ++x) {
        const std::uint8_t* from = &rgb[(y * kWidth + x) * 3];
        for (int k = 0; k < 3; ++k) expected[k * kPlane + y * kRow + x] = from[k];
        grey.push_back(static_cast<std::uint8_t>((2 * (from[0] + from[1] + from[2]) + 3) / 6));
      }
    }
    Bytes planar(expected.size(), kUntouched);
    const ParsedStream parsed = parse(stream);
    const PixelsOut out{planar.data(), kHeight, kWidth, false, {kRow, 1, kPlane}};
    c.decode({&parsed, 1}, {&out, 1});
    CHECK(planar == expected);
    CHECK(decode(c, stream, true) == grey);
  }
}

TEST("one damaged stream fails its batch") {
  std::vector<Bytes> streams = encode_batch(codec(fastest(), 1), images(3, 48, 48), 48, 48);
  Bytes& damaged = streams[1];
  damaged.back() ^= 1;
  seal(damaged);
  for (const Codec& c : codecs()) CHECK_ERROR(decode_batch(c, streams), ErrorCode::kCorrupt, "");
}

TEST("what is no batch is refused") {
  const Bytes pixels = image(16, 16);
  const ImageView sizes[] = {ImageView::dense(pixels.data(), 16, 16), ImageView::dense(pixels.data(), 16, 8)};
  Trace trace;
  for (const Codec& c : codecs()) {
    CHECK_ERROR(c.encode(sizes, 50, false), ErrorCode::kInvalidArgument, "one size");
    const ImageView equal[] = {sizes[0], sizes[0]};
    CHECK_ERROR(c.encode(equal, 50, false, {.trace = &trace}), ErrorCode::kInvalidArgument, "trace");
    const Bytes wide = encode(c, pixels, 8, 16, 50), high = encode(c, pixels, 16, 8, 50);
    CHECK_ERROR(decode_batch(c, {wide, high}), ErrorCode::kInvalidArgument, "one size");
    const ParsedStream parsed = parse(wide);
    Bytes room(16 * 16 * 3);
    const PixelsOut out = PixelsOut::dense(room.data(), 16, 16, false);
    CHECK_ERROR(c.decode({&parsed, 1}, {&out, 1}), ErrorCode::kInvalidArgument, "the header");
    CHECK_ERROR(c.decode({&parsed, 1}, {}), ErrorCode::kInvalidArgument, "as many");
  }
}

}  // namespace
}  // namespace treenet

// The CUDA backend, its kernels run by the emulation: the bytes, pixels and intermediate tensors of the scalar kernels,
// for all sizes, batches, layouts of pixels, and orders in which threads run.
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "check.h"
#include "codec/codec.h"
#include "codec_fixtures.h"
#include "cuda/backend.h"
#include "emulation/emulation.h"
#include "guarded_pieces.h"

namespace treenet {
namespace {

using testing::Bytes;
using testing::image;
using testing::model;

Codec device_codec(const std::shared_ptr<const Model>& model = testing::model()) {
  return Codec(model, std::make_unique<cuda::CudaBackend>(*model, 0, 2));
}
Codec scalar_codec(const std::shared_ptr<const Model>& model = testing::model()) {
  return testing::codec(model, "scalar", 2);
}

// Every tensor that the device's trace has is that of the scalar kernels.
void check_traces(const Trace& device, const Trace& scalar, const std::vector<std::string>& wanted) {
  for (const auto& [name, entry] : device.entries) {
    const auto other = scalar.entries.find(name);
    CHECK(other != scalar.entries.end());
    if (entry.shape != other->second.shape || entry.data != other->second.data) {
      const auto at = std::mismatch(entry.data.begin(), entry.data.end(), other->second.data.begin()).first;
      throw testing::Failure(__FILE__, __LINE__,
                             name + " differs from byte " + std::to_string(at - entry.data.begin()) + " on");
    }
  }
  for (const std::string& name : wanted) CHECK(device.entries.contains(name));
}

// An image both ways: the same stream, tensors and pixels.
void check_all(const Codec& device, const Codec& scalar, int height, int width) {
  const Bytes pixels = image(height, width);
  const ImageView view = ImageView::dense(pixels.data(), height, width);
  Trace ours, theirs;
  const auto stream = device.encode({&view, 1}, 70, false, {.trace = &ours});
  CHECK(stream == scalar.encode({&view, 1}, 70, false, {.trace = &theirs}));
  check_traces(ours, theirs,
               {"analysis.level0.0", "analysis.level1.1", "analysis.level2.3", "analysis.level3.7", "Y.3", "Z.0",
                "psi.2", "mean.1", "index.0", "S.3", "Yhat.2"});

  Trace our_decoder, their_decoder;
  const ParsedStream parsed = testing::parse(stream[0]);
  Bytes our_pixels(pixels.size()), their_pixels(pixels.size());
  const PixelsOut to = PixelsOut::dense(our_pixels.data(), height, width, false);
  const PixelsOut expected = PixelsOut::dense(their_pixels.data(), height, width, false);
  device.decode({&parsed, 1}, {&to, 1}, {.trace = &our_decoder});
  scalar.decode({&parsed, 1}, {&expected, 1}, {.trace = &their_decoder});
  check_traces(our_decoder, their_decoder,
               {"Z.1", "psi.0", "mean.3", "index.2", "Yhat.0", "synthesis.level0.3", "synthesis.fusion0.2",
                "synthesis.level1.2", "synthesis.fusion1.1", "synthesis.level2.1", "synthesis.fusion2.0"});
  CHECK(our_pixels == their_pixels);
}

// The last one is so wide that rows of symbols take several rounds, and all hyper layers several blocks.
TEST("all tensors of the encoder and of the decoder are those of the scalar kernels") {
  const Codec device = device_codec(), scalar = scalar_codec();
  for (const auto& [height, width] : {std::pair{16, 16}, {37, 50}, {1, 1}, {250, 33}, {16, 530}}) {
    check_all(device, scalar, height, width);
  }
}

TEST("all tensors where factors are of all sizes, so that products leave 32 bits and vanish") {
  for (const int zero_point : {0, 255}) {
    const std::shared_ptr<const Model> model = testing::model_of_extremes(zero_point);
    check_all(device_codec(model), scalar_codec(model), 20, 45);
  }
}

// On a device of one multiprocessor a block of a hyper layer computes all outputs, of twice as many positions, on a
// large one a group of them.
TEST("small devices and large ones give the same bytes") {
  for (const auto& [height, width] : {std::pair{16, 530}, {380, 150}}) {
    const Bytes pixels = image(height, width);
    const Bytes stream = testing::encode(scalar_codec(), pixels, height, width, 60);
    for (const int multiprocessors : {1, 132}) {
      cuda::emulation::set_multiprocessors(multiprocessors);
      CHECK(testing::encode(device_codec(), pixels, height, width, 60) == stream);
    }
  }
  cuda::emulation::set_multiprocessors(4);
}

TEST("recorded launches serve all calls of a size") {
  const Codec device = device_codec(), scalar = scalar_codec();
  for (const unsigned seed : {1u, 2u}) {
    for (const int quality : {1, 50, 100}) {
      const Bytes pixels = image(40, 50, seed);
      const Bytes stream = testing::encode(scalar, pixels, 40, 50, quality);
      CHECK(testing::encode(device, pixels, 40, 50, quality) == stream);
      CHECK(testing::decode(device, stream) == testing::decode(scalar, stream));
    }
  }
}

TEST("the environment has every kernel launched by itself") {
  const Codec scalar = scalar_codec();
  const Bytes pixels = image(40, 50);
  const Bytes stream = testing::encode(scalar, pixels, 40, 50, 60);
  setenv("TREENET_FAST_CUDA_GRAPHS", "0", 1);
  const Codec device = device_codec();
  for (int call = 0; call < 2; ++call) {
    CHECK(testing::encode(device, pixels, 40, 50, 60) == stream);
    CHECK(testing::decode(device, stream) == testing::decode(scalar, stream));
  }
  setenv("TREENET_FAST_CUDA_GRAPHS", "off", 1);
  CHECK_ERROR(testing::encode(device_codec(), pixels, 40, 50, 60), ErrorCode::kBackend,
              "TREENET_FAST_CUDA_GRAPHS is 'off'; it can be 0 or 1");
  unsetenv("TREENET_FAST_CUDA_GRAPHS");
}

TEST("no order of threads changes a byte") {
  const Codec device = device_codec(), scalar = scalar_codec();
  const Bytes pixels = image(33, 70);
  const Bytes stream = testing::encode(scalar, pixels, 33, 70, 60);
  const Bytes decoded = testing::decode(scalar, stream);
  for (const unsigned seed : {0u, 1u, 2u, 3u}) {
    cuda::emulation::set_schedule(seed);
    CHECK(testing::encode(device, pixels, 33, 70, 60) == stream);
    CHECK(testing::decode(device, stream) == decoded);
  }
  cuda::emulation::set_schedule(0);
}

TEST("batches, of several qualities and of grey images, planar and upside down") {
  const Codec device = device_codec(), scalar = scalar_codec();
  constexpr int kHeight = 20, kWidth = 45, kImages = 3;
  constexpr std::ptrdiff_t kPlane = kHeight * kWidth;
  std::vector<Bytes> planar(kImages), streams;
  std::vector<ImageView> views;
  for (int i = 0; i < kImages; ++i) {
    const Bytes pixels = image(kHeight, kWidth, static_cast<unsigned>(i));
    streams.push_back(testing::encode(scalar, pixels, kHeight, kWidth, 50));
    planar[i].resize(pixels.size());
    for (std::ptrdiff_t at = 0; at < kPlane; ++at) {
      const std::ptrdiff_t row = kHeight - 1 - at / kWidth, column = at % kWidth;
      for (std::ptrdiff_t c = 0; c < 3; ++c) planar[i][c * kPlane + row * kWidth + column] = pixels[3 * at + c];
    }
    views.push_back({planar[i].data() + kPlane - kWidth, kHeight, kWidth, {-kWidth, 1, kPlane}});
  }
  CHECK(device.encode(views, 50, false) == streams);

  streams[1] = testing::encode(scalar, image(kHeight, kWidth, 1), kHeight, kWidth, 3);
  std::vector<ParsedStream> parsed;
  std::vector<PixelsOut> outs;
  std::vector<Bytes> results(kImages);
  for (int i = 0; i < kImages; ++i) {
    parsed.push_back(testing::parse(streams[i]));
    const bool grey = i == 2;
    results[i].resize(kPlane * (grey ? 1 : 3));
    outs.push_back(PixelsOut::dense(results[i].data(), kHeight, kWidth, grey));
  }
  device.decode(parsed, outs);
  for (int i = 0; i < kImages; ++i) CHECK(results[i] == testing::decode(scalar, streams[i], i == 2));
}

TEST("batches beyond what fits go through in parts, beside each other") {
  constexpr int kHeight = 20, kWidth = 45;
  const Geometry geometry(kHeight, kWidth);
  cuda::emulation::set_memory(3 * 64 * cuda::Space::device_bytes(geometry, 1, cuda::Direction::kDecode));
  auto backend = std::make_unique<cuda::CudaBackend>(*model(), 0, 2);
  CHECK_EQUAL(backend->max_batch(geometry), 3);
  const Codec device(model(), std::move(backend)), scalar = scalar_codec();
  std::vector<Bytes> images;
  std::vector<ImageView> views;
  for (unsigned seed = 0; seed < 5; ++seed) images.push_back(image(kHeight, kWidth, seed));
  for (const Bytes& pixels : images) views.push_back(ImageView::dense(pixels.data(), kHeight, kWidth));
  cuda::emulation::set_busy(true);
  const std::vector<Bytes> streams = device.encode(views, 50, false);
  std::vector<ParsedStream> parsed;
  std::vector<PixelsOut> outs;
  std::vector<Bytes> results(images.size(), Bytes(images[0].size()));
  for (std::size_t i = 0; i < streams.size(); ++i) {
    parsed.push_back(testing::parse(streams[i]));
    outs.push_back(PixelsOut::dense(results[i].data(), kHeight, kWidth, false));
  }
  device.decode(parsed, outs);
  cuda::emulation::set_busy(false);
  cuda::emulation::set_memory(std::size_t{1} << 30);
  CHECK(streams == scalar.encode(views, 50, false));
  for (std::size_t i = 0; i < streams.size(); ++i) CHECK(results[i] == testing::decode(scalar, streams[i]));
}

TEST("how many images go through at once") {
  const cuda::CudaBackend backend(*model(), 0, 1);
  CHECK_EQUAL(backend.max_batch(Geometry(16, 16)), 32);
  CHECK_EQUAL(backend.max_batch(Geometry(512, 768)), 1);  // of 1 GiB
  cuda::emulation::set_memory(std::size_t{80} << 30);
  const cuda::CudaBackend larger(*model(), 0, 1);
  cuda::emulation::set_memory(std::size_t{1} << 30);
  CHECK_EQUAL(larger.max_batch(Geometry(512, 768)), 10);
  CHECK_EQUAL(larger.max_batch(Geometry(1080, 1920)), 8);
  CHECK_EQUAL(larger.max_batch(Geometry(8000, 12000)), 1);
}

TEST("nothing goes beyond a piece of a batch's memory") {
  const testing::GuardedPieces guards;
  const Codec device = device_codec(), scalar = scalar_codec();
  for (const auto& [height, width] : {std::pair{1, 1}, {16, 290}, {65, 33}}) {
    const std::vector<Bytes> images{image(height, width, 1), image(height, width, 2)};
    const ImageView views[] = {ImageView::dense(images[0].data(), height, width),
                               ImageView::dense(images[1].data(), height, width)};
    const std::vector<Bytes> streams = device.encode(views, 100, false);
    CHECK(streams == scalar.encode(views, 100, false));
    for (const Bytes& stream : streams) CHECK(testing::decode(device, stream) == testing::decode(scalar, stream));
  }
}

TEST("a forked child is told so, and leaves the device's memory alone") {
  auto device = std::make_unique<Codec>(model(), std::make_unique<cuda::CudaBackend>(*model(), 0, 1));
  const Bytes pixels = image(16, 16);
  const Bytes stream = testing::encode(*device, pixels, 16, 16, 50);
  const pid_t child = fork();
  if (child == 0) {
    CHECK_ERROR(testing::encode(*device, pixels, 16, 16, 50), ErrorCode::kBackend, "before this process was forked");
    CHECK_ERROR(testing::decode(*device, stream), ErrorCode::kBackend, "'spawn'");
    CHECK_ERROR(device->release(), ErrorCode::kBackend, "'spawn'");
    device.reset();
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  CHECK(WIFEXITED(status));
  CHECK_EQUAL(WEXITSTATUS(status), 0);
  CHECK(testing::encode(*device, pixels, 16, 16, 50) == stream);
}

TEST("a device that is not there") {
  CHECK_ERROR(cuda::CudaBackend(*model(), 7, 1), ErrorCode::kBackend, "no CUDA device 7");
  CHECK_ERROR(cuda::CudaBackend(*model(), -1, 1), ErrorCode::kBackend, "no CUDA device -1");
}

}  // namespace
}  // namespace treenet

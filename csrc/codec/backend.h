// What a backend does for the codec: all between pixels and symbols (SPEC §3 to §6). The codec owns the order of the
// stages, the coding of symbols, and the bytes; a backend owns the networks, and where and how they run.
//
// Pixels are in the memory that the backend works on; symbols and their tables are in the host's. Images go through in
// batches of one size, as many at once as the backend takes. What runs on a device does so while the host codes the
// symbols of another batch: `encode` and `finish` need not wait for it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "codec/buffer_pool.h"
#include "codec/geometry.h"
#include "codec/rans.h"
#include "codec/thread_pool.h"
#include "codec/trace.h"

namespace treenet {

// How far the next row, column and channel are, in bytes.
struct Strides {
  std::ptrdiff_t row, column, channel;

  static constexpr Strides dense(int width, int channels) {
    return {static_cast<std::ptrdiff_t>(width) * channels, channels, 1};
  }
  bool operator==(const Strides&) const = default;
};

// 8-bit RGB in any order; strides may be negative, and zero, as that of channels is for a grey plane.
struct ImageView {
  const std::uint8_t* data;
  int height, width;
  Strides strides;

  static ImageView dense(const std::uint8_t* data, int height, int width) {
    return {data, height, width, Strides::dense(width, 3)};
  }
};

// Where the pixels of a stream go: RGB, or the one channel of its grey image (SPEC §3).
struct PixelsOut {
  std::uint8_t* data;
  int height, width;
  bool grey;
  Strides strides;
  // Of the backend's own pool, where the memory is from there (Purpose::kResult); it is supplied before it is written.
  BufferPool::Lease* lease = nullptr;

  static PixelsOut dense(std::uint8_t* data, int height, int width, bool grey) {
    return {data, height, width, grey, Strides::dense(width, grey ? 1 : 3)};
  }
  std::size_t values() const { return std::size_t{1} * height * width * (grey ? 1 : 3); }
};

// What one call of the codec brings with it.
struct Call {
  Trace* trace = nullptr;  // gets the intermediate tensors of a batch of one image
  // Of a device: images are read and pixels written in this stream's order (a cudaStream_t; null is the default one).
  void* stream = nullptr;
};

// A batch of images as symbols.
class Encoding {
 public:
  virtual ~Encoding() = default;

  // Returns when the symbols are there.
  virtual void wait() = 0;
  // Then: the symbols of one stage of a segment and their tables, in coding order. They are there as long as the
  // encoding. Any number of threads may ask.
  virtual StageSymbols stage(int image, int segment, Stage stage) const = 0;
};

// Symbols of a stage that are to be decoded, symbol i with table i.
struct StageRoom {
  std::span<const std::uint8_t> tables;
  std::span<std::int16_t> symbols;
};

// A batch of images that becomes pixels. For each stage in order: `prepare`; then for each segment of each image, in
// any order and on any threads, `open`, its symbols written, `close`. After the last stage `finish`, if the symbols are
// those that the streams have checksums for.
class Decoding {
 public:
  virtual ~Decoding() = default;

  // Runs what the tables of a stage depend on, and returns when they are there. The symbols of the stages before are.
  virtual void prepare(Stage stage) = 0;
  // A segment of that stage. The room is there as long as the decoding.
  virtual StageRoom open(int image, int segment) = 0;
  // Its symbols are written. What can be done with one segment's is best done here, in the codec's loop over them.
  virtual void close(int image, int segment) = 0;
  // Writes the pixels. On a device they may be there only for what follows in the call's stream.
  virtual void finish(std::span<const PixelsOut> pixels) = 0;
};

// Any number of threads may use a backend at once. Encodings and decodings go before their backend and geometry.
class Backend {
 public:
  virtual ~Backend() = default;

  virtual const char* name() const = 0;
  // For work on the host, the codec's too.
  virtual ThreadPool& threads() = 0;
  // For coding symbols on the host.
  virtual const CoderLoops& coder_loops() const = 0;

  // How many images of this size `encode` and `decode` take at once; 1 or more.
  virtual int max_batch(const Geometry& geometry) const = 0;

  // Begins to turn images of this size into symbols, all of them at one quality.
  virtual std::unique_ptr<Encoding> encode(const Geometry& geometry, std::span<const ImageView> images, int quality,
                                           const Call& call) = 0;
  // As many images as qualities.
  virtual std::unique_ptr<Decoding> decode(const Geometry& geometry, std::span<const int> qualities,
                                           const Call& call) = 0;

  // Frees memory that is kept for calls to come.
  virtual void release() = 0;
};

}  // namespace treenet

// The codec: images to streams and back (SPEC). It owns the order of stages, the coding of symbols, and the bytes; a
// backend runs the networks.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "codec/backend.h"
#include "codec/container.h"
#include "codec/model.h"

namespace treenet {

// A stream whose header was read with `parse_header`.
struct ParsedStream {
  Header header;
  std::span<const std::uint8_t> bytes;
};

// Immutable and safe for many threads, as its backend is. Images of a batch have one size; how many there are changes
// no byte and no pixel. An error in one of them ends the batch (the error of any, where several have one), and what
// pixels have been written then mean nothing.
class Codec {
 public:
  Codec(std::shared_ptr<const Model> model, std::unique_ptr<Backend> backend);

  Backend& backend() const { return *backend_; }
  int threads() const { return backend_->threads().threads(); }

  // A stream an image. Quality 1..100, sides 1..65535; `grey` flags all streams as those of grey images. Errors:
  // kInvalidArgument, kTooLarge.
  std::vector<std::vector<std::uint8_t>> encode(std::span<const ImageView> images, int quality, bool grey,
                                                const Call& call = {}) const;

  // Writes the pixels of streams[i] to pixels[i], which has the size that its header says. Errors: kInvalidArgument,
  // kWrongModel, kCorrupt.
  void decode(std::span<const ParsedStream> streams, std::span<const PixelsOut> pixels, const Call& call = {}) const;

  // Frees the memory that is kept for calls to come.
  void release() const { backend_->release(); }

 private:
  // Of as many images as the backend takes at once. Streams have the header that `info` begins.
  void write_batch(const Geometry& geometry, const Encoding& encoding, const StreamInfo& info,
                   std::span<std::vector<std::uint8_t>> streams) const;
  void decode_batch(const Geometry& geometry, std::span<const ParsedStream> streams, std::span<const PixelsOut> pixels,
                    const Call& call) const;

  const std::shared_ptr<const Model> model_;
  const std::unique_ptr<Backend> backend_;
};

}  // namespace treenet

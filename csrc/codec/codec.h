// The codec: an image to a stream and back (SPEC). It owns the order of steps; a backend runs the networks.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "codec/backend.h"
#include "codec/container.h"

namespace treenet {

// Immutable and safe for many threads, as its backend is.
class Codec {
 public:
  Codec(std::shared_ptr<const Model> model, std::unique_ptr<Backend> backend);

  const Backend& backend() const { return *backend_; }
  int threads() const { return backend_->threads().threads(); }

  // Quality 1..100, sides 1..65535. Errors: kInvalidArgument, kTooLarge. `trace`, where given, gets the intermediate
  // tensors.
  std::vector<std::uint8_t> encode(const ImageView& image, int quality, bool grey, Trace* trace = nullptr) const;

  // Pixels of a stream whose header was read with `parse_header`, written to `pixels`, [height, width, 3]. Errors:
  // kWrongModel, kCorrupt.
  void decode(const Header& header, std::span<const std::uint8_t> stream, std::uint8_t* pixels,
              Trace* trace = nullptr) const;

 private:
  ModelId model_id() const;

  const std::shared_ptr<const Model> model_;
  const std::unique_ptr<Backend> backend_;
};

// The grey image of a stream with the grey flag (SPEC §3): `count` pixels.
void grey_from_rgb(const std::uint8_t* rgb, std::size_t count, std::uint8_t* grey);

}  // namespace treenet

#include "codec/codec.h"

#include <algorithm>
#include <cstring>
#include <string>

#include "codec/crc32.h"
#include "codec/error.h"
#include "codec/geometry.h"
#include "codec/process.h"
#include "codec/rans.h"
#include "codec/symbols.h"

namespace treenet {
namespace {

constexpr int kPsiChannels = 64;

Latents make_latents(BufferPool& pool, DType dtype, int height, int width, int channels) {
  Latents latents;
  for (Tensor& tensor : latents) tensor = Tensor(pool, dtype, height, width, channels);
  return latents;
}

// The image extended to whole blocks by repeating its last row and column (SPEC §3).
Tensor extended(BufferPool& pool, const ImageView& image, const Geometry& geometry) {
  Tensor out(pool, DType::kU8, geometry.latent_height * kBlockSide, geometry.latent_width * kBlockSide, 3);
  for (int row = 0; row < out.height; ++row) {
    const std::size_t length = static_cast<std::size_t>(image.width) * 3;
    const std::uint8_t* from = image.data + static_cast<std::size_t>(std::min(row, image.height - 1)) * length;
    std::uint8_t* to = out.as<std::uint8_t>() + static_cast<std::size_t>(row) * out.width * 3;
    std::memcpy(to, from, length);
    for (int column = image.width; column < out.width; ++column) std::memcpy(to + column * 3, from + length - 3, 3);
  }
  return out;
}

// The tensors between psi and the symbols.
struct LatentState {
  LatentState(BufferPool& pool, const Geometry& g, bool traced)
      : mean(make_latents(pool, DType::kI16, g.latent_height, g.latent_width, kTransformChannels)),
        index(make_latents(pool, DType::kU8, g.latent_height, g.latent_width, kTransformChannels)),
        decoded(make_latents(pool, DType::kI16, g.latent_height, g.latent_width, kTransformChannels)) {
    if (traced) symbols = make_latents(pool, DType::kI16, g.latent_height, g.latent_width, kTransformChannels);
  }

  Latents* traced_symbols() { return symbols[0].height == 0 ? nullptr : &symbols; }
  void add_to(Trace& trace) const {
    trace.add("mean", mean);
    trace.add("index", index);
    trace.add("S", symbols);
    trace.add("Yhat", decoded);
  }

  Latents mean, index, decoded, symbols;
};

// psi without what lies beyond the latents (SPEC §5).
void trace_psi(Trace& trace, BufferPool& pool, const Latents& psi, const Geometry& g) {
  for (int b = 0; b < kBottlenecks; ++b) {
    const Tensor cropped(pool, DType::kI16, g.latent_height, g.latent_width, kPsiChannels);
    const std::size_t length = static_cast<std::size_t>(cropped.width) * kPsiChannels;
    for (int row = 0; row < cropped.height; ++row) {
      std::memcpy(cropped.as<std::int16_t>() + row * length,
                  psi[b].as<std::int16_t>() + static_cast<std::size_t>(row) * psi[b].width * kPsiChannels,
                  length * sizeof(std::int16_t));
    }
    trace.add("psi." + std::to_string(b), cropped);
  }
}

constexpr Parity kParities[2] = {Parity::kAnchors, Parity::kOthers};

}  // namespace

Codec::Codec(std::shared_ptr<const Model> model, std::unique_ptr<Backend> backend)
    : model_(std::move(model)), backend_(std::move(backend)) {}

ModelId Codec::model_id() const {
  ModelId id;
  std::copy_n(model_->hash.begin(), id.size(), id.begin());
  return id;
}

std::vector<std::uint8_t> Codec::encode(const ImageView& image, int quality, bool grey, Trace* trace) const {
  const NearestRounding rounding;
  if (quality < 1 || quality > kQualities) {
    throw Error(ErrorCode::kInvalidArgument, "quality is " + std::to_string(quality) + "; it must be 1 to 100");
  }
  if (image.height < 1 || image.width < 1 || image.height > kMaximumSide || image.width > kMaximumSide) {
    throw Error(ErrorCode::kTooLarge, "the image is " + std::to_string(image.width) + " x " +
                                          std::to_string(image.height) + "; the format has sides of 1 to 65535");
  }
  const Geometry geometry(image.height, image.width);
  BufferPool& pool = backend_->buffers();
  ThreadPool& threads = backend_->threads();

  Latents latents;
  if (image.height % kBlockSide == 0 && image.width % kBlockSide == 0) {
    latents = backend_->analyse(image, quality, trace);
  } else {
    const Tensor whole = extended(pool, image, geometry);
    latents = backend_->analyse({whole.as<std::uint8_t>(), whole.height, whole.width}, quality, trace);
  }
  const Latents hyper_latents = backend_->hyper_analyse(latents);
  const Latents psi = backend_->hyper_synthesise(hyper_latents);

  const auto count = static_cast<std::int64_t>(geometry.segments.size());
  std::vector<std::array<StageLists, kStages>> stages(count);
  threads.run(count, [&](std::int64_t i) {
    stages[i][0].tables = hyper_tables(geometry, geometry.segments[i]);
    gather_hyper(geometry.segments[i], hyper_latents, stages[i][0].symbols);
  });
  LatentState state(pool, geometry, trace != nullptr);
  for (const Parity parity : kParities) {
    backend_->parameters(psi, state.decoded, parity, state.mean, state.index);
    threads.run(count, [&](std::int64_t i) {
      const LatentStage stage{geometry.segments[i], parity, model_->entropy_skip, state.mean, state.index};
      quantise_latents(stage, latents, stages[i][1 + static_cast<int>(parity)], state.decoded, state.traced_symbols());
    });
  }

  std::vector<std::vector<std::uint8_t>> payload(count);
  threads.run(count, [&](std::int64_t i) {
    std::array<StageSymbols, kStages> views;
    for (int s = 0; s < kStages; ++s) views[s] = {stages[i][s].symbols, stages[i][s].tables};
    encode_segment(*model_->tables, views, payload[i]);
  });
  Crc32 crc;
  for (const auto& segment : stages) {
    for (const StageLists& stage : segment) crc.update(std::span<const std::int16_t>(stage.symbols));
  }
  if (trace != nullptr) {
    trace->add("Y", latents);
    trace->add("Z", hyper_latents);
    trace_psi(*trace, pool, psi, geometry);
    state.add_to(*trace);
  }
  return write_stream({.symbols_crc = crc.value(),
                       .model_id = model_id(),
                       .quality = quality,
                       .grey = grey,
                       .width = image.width,
                       .height = image.height},
                      payload);
}

void Codec::decode(const Header& header, std::span<const std::uint8_t> stream, std::uint8_t* pixels,
                   Trace* trace) const {
  const NearestRounding rounding;
  check_model(header, model_->hash);
  const Geometry geometry(header.height, header.width);
  BufferPool& pool = backend_->buffers();
  ThreadPool& threads = backend_->threads();
  const auto count = static_cast<std::int64_t>(geometry.segments.size());

  std::vector<SegmentDecoder> decoders;
  for (const auto& bytes : split_payload(stream.subspan(header.header_size), geometry.segments.size())) {
    decoders.emplace_back(*model_->tables, bytes);
  }
  // Symbols are kept in the order of coding for their checksum.
  std::vector<std::array<StageLists, kStages>> stages(count);
  Latents hyper_latents =
      make_latents(pool, DType::kI16, geometry.hyper_height, geometry.hyper_width, kTransformChannels);
  const auto decode_stage = [&](std::int64_t i, int stage) {
    StageLists& s = stages[i][stage];
    s.symbols.resize(s.tables.size());
    decoders[i].decode_stage(s.tables, s.symbols);
  };
  threads.run(count, [&](std::int64_t i) {
    stages[i][0].tables = hyper_tables(geometry, geometry.segments[i]);
    decode_stage(i, 0);
    scatter_hyper(geometry.segments[i], stages[i][0].symbols, hyper_latents);
  });
  const Latents psi = backend_->hyper_synthesise(hyper_latents);
  LatentState state(pool, geometry, trace != nullptr);
  for (const Parity parity : kParities) {
    backend_->parameters(psi, state.decoded, parity, state.mean, state.index);
    threads.run(count, [&](std::int64_t i) {
      const LatentStage stage{geometry.segments[i], parity, model_->entropy_skip, state.mean, state.index};
      const int number = 1 + static_cast<int>(parity);
      latent_tables(stage, stages[i][number].tables);
      decode_stage(i, number);
      dequantise_latents(stage, stages[i][number].symbols, state.decoded, state.traced_symbols());
    });
  }
  Crc32 crc;
  for (std::int64_t i = 0; i < count; ++i) {
    decoders[i].finish();
    for (const StageLists& stage : stages[i]) crc.update(std::span<const std::int16_t>(stage.symbols));
  }
  check_symbols(header, crc.value());
  if (trace != nullptr) {
    trace->add("Z", hyper_latents);
    trace_psi(*trace, pool, psi, geometry);
    state.add_to(*trace);
  }
  backend_->synthesise(state.decoded, header.quality, header.height, header.width, pixels, trace);
}

void grey_from_rgb(const std::uint8_t* rgb, std::size_t count, std::uint8_t* grey) {
  for (std::size_t i = 0; i < count; ++i) {
    grey[i] = static_cast<std::uint8_t>((2 * (rgb[3 * i] + rgb[3 * i + 1] + rgb[3 * i + 2]) + 3) / 6);
  }
}

}  // namespace treenet

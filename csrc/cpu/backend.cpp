#include "cpu/backend.h"

#include <array>
#include <cstring>
#include <vector>

#include "cpu/pixels.h"
#include "cpu/symbols.h"

namespace treenet::cpu {
namespace {

Latents make_latents(BufferPool& pool, DType dtype, int height, int width) {
  Latents latents;
  for (Tensor& tensor : latents) tensor = Tensor(pool, dtype, height, width, kChannels);
  return latents;
}

// The tensors between psi and the symbols.
struct LatentState {
  LatentState() = default;
  LatentState(BufferPool& pool, const Geometry& g, bool traced)
      : mean(make_latents(pool, DType::kI16, g.latent_height, g.latent_width)),
        index(make_latents(pool, DType::kU8, g.latent_height, g.latent_width)),
        decoded(make_latents(pool, DType::kI16, g.latent_height, g.latent_width)) {
    if (traced) symbols = make_latents(pool, DType::kI16, g.latent_height, g.latent_width);
  }

  Latents mean, index, decoded;
  Latents symbols;  // for who traces them
};

// What encoder and decoder have in common; psi without what lies beyond the latents (SPEC §5).
void record_bottlenecks(Trace& trace, BufferPool& pool, const Latents& hyper_latents, const Latents& psi,
                        const LatentState& state) {
  record(trace, "Z", hyper_latents);
  for (int b = 0; b < kBottlenecks; ++b) {
    const Tensor cropped(pool, DType::kI16, state.mean[b].height, state.mean[b].width, psi[b].channels);
    const std::ptrdiff_t from = static_cast<std::ptrdiff_t>(psi[b].width) * psi[b].channels;
    const std::ptrdiff_t to = static_cast<std::ptrdiff_t>(cropped.width) * cropped.channels;
    for (int row = 0; row < cropped.height; ++row) {
      std::memcpy(cropped.as<std::int16_t>() + row * to, psi[b].as<std::int16_t>() + row * from,
                  to * sizeof(std::int16_t));
    }
    record(trace, "psi." + std::to_string(b), cropped);
  }
  record(trace, "mean", state.mean);
  record(trace, "index", state.index);
  record(trace, "S", state.symbols);
  record(trace, "Yhat", state.decoded);
}

// All that is kept of an image: its symbols.
class CpuEncoding final : public Encoding {
 public:
  CpuEncoding(Networks& networks, const Geometry& geometry, const ImageView& image, int quality, Trace* trace)
      : coded_(geometry.segments.size()) {
    ThreadPool& threads = networks.threads();
    BufferPool& pool = networks.buffers();
    const Latents latents = networks.analyse(WholeBlocks(image, geometry, pool, threads).plane(), quality, trace);
    const Latents hyper_latents = networks.hyper_analyse(latents);
    const Latents psi = networks.hyper_synthesise(hyper_latents);

    const auto segments = static_cast<std::int64_t>(coded_.size());
    threads.run(segments, [&](std::int64_t i) {
      StageLists& lists = coded_[i][kHyperLatents];
      lists.tables = hyper_tables(geometry, geometry.segments[i]);
      lists.make_room();
      gather_hyper(geometry.segments[i], hyper_latents, lists.room.data());
    });
    LatentState state(pool, geometry, trace != nullptr);
    for (const Stage stage : {kAnchors, kOthers}) {
      networks.parameters(psi, state.decoded, stage, state.mean, state.index);
      threads.run(segments, [&](std::int64_t i) {
        const LatentPart part{geometry.segments[i], stage, networks.model().entropy_skip, state.mean, state.index};
        StageLists& lists = coded_[i][stage];
        list_tables(networks.kernels(), part, lists);
        quantise_latents(networks.kernels(), part, latents, lists, state.decoded);
        if (trace != nullptr) spread_symbols(part, lists, state.symbols);
      });
    }
    if (trace != nullptr) {
      record(*trace, "Y", latents);
      record_bottlenecks(*trace, pool, hyper_latents, psi, state);
    }
  }

  void wait() override {}
  StageSymbols stage(int, int segment, Stage stage) const override {
    const StageLists& lists = coded_[segment][stage];
    return {lists.symbols(), lists.tables};
  }

 private:
  std::vector<std::array<StageLists, kStages>> coded_;  // [segment][stage]
};

// Each segment's tables, and what its symbols decode to, are made in the codec's loop, while its lists are in the
// cache.
class CpuDecoding final : public Decoding {
 public:
  CpuDecoding(Networks& networks, const Geometry& geometry, int quality, Trace* trace)
      : networks_(networks),
        geometry_(geometry),
        quality_(quality),
        trace_(trace),
        hyper_latents_(make_latents(networks.buffers(), DType::kI16, geometry.hyper_height, geometry.hyper_width)),
        coded_(geometry.segments.size()) {}

  void prepare(Stage stage) override {
    stage_ = stage;
    if (stage == kHyperLatents) return;
    if (stage == kAnchors) {
      psi_ = networks_.hyper_synthesise(hyper_latents_);
      state_ = LatentState(networks_.buffers(), geometry_, trace_ != nullptr);
    }
    networks_.parameters(psi_, state_.decoded, stage, state_.mean, state_.index);
  }

  StageRoom open(int, int segment) override {
    StageLists& lists = coded_[segment][stage_];
    if (stage_ == kHyperLatents) {
      lists.tables = hyper_tables(geometry_, geometry_.segments[segment]);
      lists.make_room();
    } else {
      list_tables(networks_.kernels(), part(segment), lists);
    }
    return {lists.tables, lists.symbols()};
  }

  void close(int, int segment) override {
    const StageLists& lists = coded_[segment][stage_];
    if (stage_ == kHyperLatents) {
      scatter_hyper(geometry_.segments[segment], lists.room.data(), hyper_latents_);
    } else {
      dequantise_latents(networks_.kernels(), part(segment), lists, state_.decoded);
      if (trace_ != nullptr) spread_symbols(part(segment), lists, state_.symbols);
    }
  }

  void finish(std::span<const PixelsOut> pixels) override {
    if (trace_ != nullptr) record_bottlenecks(*trace_, networks_.buffers(), hyper_latents_, psi_, state_);
    // From here on only the decoded latents count; the synthesis of a large image takes all the memory there is.
    Latents decoded = std::move(state_.decoded);
    state_ = {};
    psi_ = {};
    hyper_latents_ = {};
    coded_ = {};
    Tensor features = networks_.synthesise(std::move(decoded), quality_, trace_);
    const RgbRoom room(pixels[0], networks_.buffers());  // which gets the pages that are no longer needed
    networks_.synthesise_pixels(std::move(features), room.plane(), trace_);
    room.deliver(networks_.threads());
  }

 private:
  LatentPart part(int segment) const {
    return {geometry_.segments[segment], stage_, networks_.model().entropy_skip, state_.mean, state_.index};
  }

  Networks& networks_;
  const Geometry& geometry_;
  const int quality_;
  Trace* const trace_;
  Stage stage_ = kHyperLatents;
  Latents hyper_latents_, psi_;
  LatentState state_;                                   // from the anchors on
  std::vector<std::array<StageLists, kStages>> coded_;  // [segment][stage]
};

}  // namespace

std::unique_ptr<Encoding> CpuBackend::encode(const Geometry& geometry, std::span<const ImageView> images, int quality,
                                             const Call& call) {
  return std::make_unique<CpuEncoding>(networks_, geometry, images[0], quality, call.trace);
}

std::unique_ptr<Decoding> CpuBackend::decode(const Geometry& geometry, std::span<const int> qualities,
                                             const Call& call) {
  return std::make_unique<CpuDecoding>(networks_, geometry, qualities[0], call.trace);
}

}  // namespace treenet::cpu

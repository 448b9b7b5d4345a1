#include "cpu/backend.h"

#include <array>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "cpu/symbols.h"

namespace treenet::cpu {
namespace {

// What lies between the hyper-latents and the symbols of one bottleneck.
struct BottleneckState {
  BottleneckState() = default;
  BottleneckState(BufferPool& pool, const Geometry& g, bool traced) {
    const auto tensor = [&](DType dtype) { return Tensor(pool, dtype, g.latent_height, g.latent_width, kChannels); };
    mean = tensor(DType::kI16);
    index = tensor(DType::kU8);
    decoded = tensor(DType::kI16);
    if (traced) symbols = tensor(DType::kI16);
  }
  LatentPart part(const Segment& segment, Stage stage, int skip) const { return {segment, stage, skip, mean, index}; }

  Tensor psi;  // not cropped
  Tensor mean, index, decoded;
  Tensor symbols;  // for who traces them
};
using BottleneckStates = std::array<BottleneckState, kBottlenecks>;

PixelStrides pixel_strides(const Strides& strides) { return {strides.row, strides.column, strides.channel}; }

InputPixels input_pixels(const ImageView& image, const Geometry& geometry) {
  return {image.data,
          image.height,
          image.width,
          geometry.latent_height * kBlockSide,
          geometry.latent_width * kBlockSide,
          pixel_strides(image.strides)};
}

OutputPixels output_pixels(const PixelsOut& out) {
  return {out.data, out.height, out.width, pixel_strides(out.strides), out.grey};
}

// What encoder and decoder have in common; psi without what lies beyond the latents (SPEC §5).
void record_bottlenecks(Trace& trace, BufferPool& pool, const Latents& hyper_latents, const BottleneckStates& states) {
  record(trace, "Z", hyper_latents);
  for (int b = 0; b < kBottlenecks; ++b) {
    const BottleneckState& state = states[b];
    const Tensor& psi = state.psi;
    const Tensor cropped(pool, DType::kI16, state.mean.height, state.mean.width, psi.channels);
    const std::ptrdiff_t from = static_cast<std::ptrdiff_t>(psi.width) * psi.channels;
    const std::ptrdiff_t to = static_cast<std::ptrdiff_t>(cropped.width) * cropped.channels;
    for (int row = 0; row < cropped.height; ++row) {
      std::memcpy(cropped.as<std::int16_t>() + row * to, psi.as<std::int16_t>() + row * from,
                  to * sizeof(std::int16_t));
    }
    const std::string number = std::to_string(b);
    record(trace, "psi." + number, cropped);
    record(trace, "mean." + number, state.mean);
    record(trace, "index." + number, state.index);
    record(trace, "S." + number, state.symbols);
    record(trace, "Yhat." + number, state.decoded);
  }
}

// All that is kept of an image: its symbols.
class CpuEncoding final : public Encoding {
 public:
  CpuEncoding(Networks& networks, const Geometry& geometry, const ImageView& image, int quality, Trace* trace)
      : coded_(geometry.segments.size()) {
    ThreadPool& threads = networks.threads();
    BufferPool& pool = networks.buffers();
    Latents latents = networks.analyse(input_pixels(image, geometry), quality, trace);
    if (trace != nullptr) record(*trace, "Y", latents);

    Latents hyper_latents;
    BottleneckStates states;
    std::vector<SegmentLists> lists(coded_.size());
    networks.for_each_bottleneck([&](int b) {
      hyper_latents[b] = networks.hyper_analyse(b, latents[b]);
      states[b] = BottleneckState(pool, geometry, trace != nullptr);
      states[b].psi = networks.hyper_synthesise(b, hyper_latents[b]);
      for (const Stage stage : {kAnchors, kOthers}) {
        list_symbols(networks, geometry, b, stage, latents[b], states[b], lists);
      }
      if (trace != nullptr) return;
      states[b] = {};
      latents[b] = {};
    });
    if (trace != nullptr) record_bottlenecks(*trace, pool, hyper_latents, states);

    threads.run(static_cast<std::int64_t>(coded_.size()), [&](std::int64_t i) {
      StageLists& hyper = coded_[i][kHyperLatents];
      hyper.tables = hyper_tables(geometry, geometry.segments[i]);
      hyper.make_room();
      gather_hyper(geometry.segments[i], hyper_latents, hyper.room.data());
      for (const Stage stage : {kAnchors, kOthers}) coded_[i][stage] = joined(std::move(lists[i][parity_of(stage)]));
    });
  }

  void wait() override {}
  StageSymbols stage(int, int segment, Stage stage) const override {
    const StageLists& lists = coded_[segment][stage];
    return {lists.symbols(), lists.tables};
  }

 private:
  using SegmentLists = std::array<std::array<StageLists, kBottlenecks>, 2>;  // [parity of the stage][b]

  // The symbols of a bottleneck's latents in a stage, and what they decode to.
  static void list_symbols(Networks& networks, const Geometry& geometry, int b, Stage stage, const Tensor& latents,
                           BottleneckState& state, std::vector<SegmentLists>& lists) {
    networks.parameters(b, state.psi, state.decoded, stage, state.mean, state.index);
    networks.threads().run(static_cast<std::int64_t>(lists.size()), [&](std::int64_t i) {
      const LatentPart part = state.part(geometry.segments[i], stage, networks.model().entropy_skip);
      StageLists& list = lists[i][parity_of(stage)][b];
      list_tables(networks.kernels(), part, list.tables);
      list.make_room();
      quantise_latents(networks.kernels(), part, latents, list.room.data(), state.decoded);
      if (state.symbols.elements() > 0) spread_symbols(part, list.room.data(), state.symbols);
    });
  }

  std::vector<std::array<StageLists, kStages>> coded_;  // [segment][stage]
};

// Each segment's tables, and what its symbols decode to, are made in the codec's loop, while its lists are in the
// cache.
class CpuDecoding final : public Decoding {
 public:
  CpuDecoding(Networks& networks, const Geometry& geometry, int quality, Trace* trace)
      : networks_(networks), geometry_(geometry), quality_(quality), trace_(trace), coded_(geometry.segments.size()) {
    for (Tensor& z : hyper_latents_) {
      z = Tensor(networks.buffers(), DType::kI16, geometry.hyper_height, geometry.hyper_width, kChannels);
    }
  }

  void prepare(Stage stage) override {
    stage_ = stage;
    if (stage == kHyperLatents) return;
    networks_.for_each_bottleneck([&](int b) {
      BottleneckState& state = states_[b];
      if (stage == kAnchors) {
        state = BottleneckState(networks_.buffers(), geometry_, trace_ != nullptr);
        state.psi = networks_.hyper_synthesise(b, hyper_latents_[b]);
      }
      networks_.parameters(b, state.psi, state.decoded, stage, state.mean, state.index);
    });
  }

  StageRoom open(int, int segment) override {
    StageLists& lists = coded_[segment][stage_];
    if (stage_ == kHyperLatents) {
      lists.tables = hyper_tables(geometry_, geometry_.segments[segment]);
    } else {
      for (const BottleneckState& state : states_) {
        list_tables(networks_.kernels(), part(state, segment), lists.tables);
      }
    }
    lists.make_room();
    return {lists.tables, lists.symbols()};
  }

  void close(int, int segment) override {
    const StageLists& lists = coded_[segment][stage_];
    const std::int16_t* symbols = lists.room.data();
    if (stage_ == kHyperLatents) {
      scatter_hyper(geometry_.segments[segment], symbols, hyper_latents_);
      return;
    }
    for (BottleneckState& state : states_) {
      if (trace_ != nullptr) spread_symbols(part(state, segment), symbols, state.symbols);
      symbols = dequantise_latents(networks_.kernels(), part(state, segment), symbols, state.decoded);
    }
  }

  void finish(std::span<const PixelsOut> pixels) override {
    if (trace_ != nullptr) record_bottlenecks(*trace_, networks_.buffers(), hyper_latents_, states_);
    // From here on only the decoded latents count; the synthesis of a large image takes all the memory there is.
    Latents decoded;
    for (int b = 0; b < kBottlenecks; ++b) {
      decoded[b] = std::move(states_[b].decoded);
      states_[b] = {};
    }
    hyper_latents_ = {};
    coded_ = {};
    Tensor features = networks_.synthesise(std::move(decoded), quality_, trace_);
    const PixelsOut& out = pixels[0];
    if (out.lease != nullptr) out.lease->supply(out.values());  // it gets the pages that are no longer needed
    networks_.synthesise_pixels(std::move(features), output_pixels(out), trace_);
  }

 private:
  LatentPart part(const BottleneckState& state, int segment) const {
    return state.part(geometry_.segments[segment], stage_, networks_.model().entropy_skip);
  }

  Networks& networks_;
  const Geometry& geometry_;
  const int quality_;
  Trace* const trace_;
  Stage stage_ = kHyperLatents;
  Latents hyper_latents_;
  BottleneckStates states_;                             // from the anchors on
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

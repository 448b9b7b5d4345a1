#include "cuda/networks.h"

#include <algorithm>
#include <utility>
#include <vector>

namespace treenet::cuda {
namespace {

// Copies a plane of a batch's only image into the trace, once it is computed; `rows` and `columns` of it.
template <class T>
void record(const Run& run, const std::string& name, const T* plane, int height, int width, int channels, int rows,
            int columns) {
  if (run.trace == nullptr) return;
  std::vector<T> all(static_cast<std::size_t>(height) * width * channels), cropped;
  copy_to_host(all.data(), plane, all.size() * sizeof(T), run.stream);
  wait(run.stream);
  for (int row = 0; row < rows; ++row) {
    const auto begin = all.begin() + static_cast<std::ptrdiff_t>(row) * width * channels;
    cropped.insert(cropped.end(), begin, begin + static_cast<std::ptrdiff_t>(columns) * channels);
  }
  run.trace->add(name, sizeof(T) == 1 ? DType::kU8 : DType::kI16, rows, columns, channels, cropped.data());
}

// All planes of a level or of the bottlenecks: `name`, then their number.
template <class T>
void record_all(const Run& run, const std::string& name, const T* planes, int count, int height, int width,
                int channels = kTransformChannels) {
  for (int i = 0; i < count; ++i) {
    const T* plane = planes + static_cast<std::ptrdiff_t>(i) * height * width * channels;
    record(run, name + "." + std::to_string(i), plane, height, width, channels, height, width);
  }
}
void record_level(const Run& run, const std::string& name, bool wide, const void* planes, int count, int height,
                  int width) {
  if (wide) {
    record_all(run, name, static_cast<const std::int16_t*>(planes), count, height, width);
  } else {
    record_all(run, name, static_cast<const std::uint8_t*>(planes), count, height, width);
  }
}

struct HyperLayer {
  int inputs, outputs;
  HyperShape shape;
};
constexpr HyperLayer kHyperAnalysis[5] = {{32, 32, {1, true, false}},
                                          {32, 32, {1, true, false}},
                                          {32, 32, {2, true, false}},
                                          {32, 32, {1, true, false}},
                                          {32, 32, {2, false, false}}};
constexpr HyperLayer kHyperSynthesis[5] = {{32, 32, {1, true, false}},
                                           {32, 128, {1, true, true}},
                                           {32, 48, {1, true, false}},
                                           {48, 192, {1, true, true}},
                                           {48, 64, {1, false, false}}};

// Five layers from the input of `p` to `output`, through the space's two memories in turn.
void hyper_transform(const HyperLayer (&layers)[5], const std::array<PackedModel::Layer, 5>& weights,
                     const Space& space, HyperParameters p, std::int16_t* output, StreamHandle stream) {
  for (int k = 0; k < 5; ++k) {
    const HyperLayer& layer = layers[k];
    std::copy(weights[k].begin(), weights[k].end(), p.conv);
    p.output = k == 4 ? output : space.device.hyper[k % 2];
    p.inputs = layer.inputs;
    p.outputs = layer.outputs;
    hyper_convolution(layer.shape, p, stream);
    p.input = p.output;
    const int scale = layer.shape.shuffle ? 2 : 1;
    p.height = (p.height + layer.shape.stride - 1) / layer.shape.stride * scale;
    p.width = (p.width + layer.shape.stride - 1) / layer.shape.stride * scale;
  }
}

// Fuses `count` pairs of the planes in `input`; the pair i is of nodes first(i) and first(i) + 1.
struct FusionCall {
  const std::vector<FusionWeights>& weights;
  bool wide;
  int stride;  // first(i) = stride * i
  const void* input;
  void* output;
  const float* gain;
  std::int64_t positions;
};
void fuse_level(const PackedModel& packed, const Space& space, const FusionCall& call, StreamHandle stream) {
  FusionParameters p{};
  const int count = static_cast<int>(call.weights.size());
  for (int i = 0; i < count; ++i) {
    p.pairs[i] = call.weights[i];
    p.first[i] = call.stride * i;
    p.second[i] = call.stride * i + 1;
  }
  p.sigmoid = packed.sigmoid;
  p.input = call.input;
  p.input_sums = space.device.level_sums;
  p.middle_sums = space.device.middle_sums;
  p.gain = call.gain;
  p.output = call.output;
  p.images = space.images;
  p.positions = call.positions;
  fuse(call.wide, count, p, stream);
}

}  // namespace

void Networks::analyse(const Space& space, const Run& run) const {
  const Geometry& g = space.geometry;
  for (int level = 0; level < kLevels; ++level) {
    const int nodes = 1 << level;
    const int height = g.latent_height << (kLevels - 1 - level), width = g.latent_width << (kLevels - 1 - level);
    ResidualDownParameters p{};
    std::copy(packed_.analysis[level].begin(), packed_.analysis[level].end(), p.nodes);
    p.pixels = space.device.pixels;
    p.input = level == 0 ? nullptr : static_cast<const std::int16_t*>(space.device.level[(level - 1) % 2]);
    p.output = static_cast<std::int16_t*>(space.device.level[level % 2]);
    p.sums = space.device.level_sums;
    p.images = space.images;
    p.height = height;
    p.width = width;
    const bool last = level == kLevels - 1;
    if (last) fill_zero(space.device.level_sums, space.bytes_of_sums(), run.stream);
    residual_down(level == 0 ? DownKind::kImage : last ? DownKind::kLeaf : DownKind::kInner, nodes, p, run.stream);
    record_all(run, "analysis.level" + std::to_string(level), p.output, nodes, height, width);
  }
  fuse_level(packed_, space,
             {.weights = packed_.analysis_fusion,
              .wide = true,
              .stride = 2,
              .input = space.device.level[(kLevels - 1) % 2],
              .output = space.device.latents,
              .gain = space.device.gain,
              .positions = space.positions()},
             run.stream);
  record_all(run, "Y", space.device.latents, kBottlenecks, g.latent_height, g.latent_width);
}

void Networks::hyper_analyse(const Space& space, const Run& run) const {
  const Geometry& g = space.geometry;
  hyper_transform(kHyperAnalysis, packed_.hyper_analysis, space,
                  {.input = space.device.latents,
                   .images = space.images,
                   .height = g.latent_height,
                   .width = g.latent_width,
                   .multiprocessors = multiprocessors_},
                  space.device.hyper_latents, run.stream);
}

void Networks::hyper_synthesise(const Space& space, const Run& run) const {
  const Geometry& g = space.geometry;
  record_all(run, "Z", space.device.hyper_latents, kBottlenecks, g.hyper_height, g.hyper_width);
  hyper_transform(kHyperSynthesis, packed_.hyper_synthesis, space,
                  {.input = space.device.hyper_latents,
                   .images = space.images,
                   .height = g.hyper_height,
                   .width = g.hyper_width,
                   .multiprocessors = multiprocessors_},
                  space.device.psi, run.stream);
  constexpr int kPsiChannels = 2 * kTransformChannels;
  const int height = 4 * g.hyper_height, width = 4 * g.hyper_width;
  for (int b = 0; b < kBottlenecks; ++b) {  // psi is what lies over the latents (SPEC §5)
    record(run, "psi." + std::to_string(b), space.device.psi + std::ptrdiff_t{b} * height * width * kPsiChannels,
           height, width, kPsiChannels, g.latent_height, g.latent_width);
  }
}

void Networks::parameters(const Space& space, int parity, const Run& run) const {
  const Geometry& g = space.geometry;
  LatentParameters p{};
  std::copy(packed_.context.begin(), packed_.context.end(), p.context);
  for (int b = 0; b < kBottlenecks; ++b) {
    for (int k = 0; k < 3; ++k) p.entropy_parameters[b][k] = packed_.entropy_parameters[k][b];
  }
  p.scale_index = packed_.scale_index;
  p.psi = space.device.psi;
  p.decoded = space.device.decoded;
  p.mean = space.device.mean;
  p.index = space.device.index;
  p.latents = space.direction == Direction::kEncode ? space.device.latents : nullptr;
  p.symbols = space.device.symbols;
  p.images = space.images;
  p.height = g.latent_height;
  p.width = g.latent_width;
  p.psi_height = 4 * g.hyper_height;
  p.psi_width = 4 * g.hyper_width;
  p.skip = packed_.entropy_skip;
  latent_parameters(parity, p, run.stream);
  gather_symbols(parity, symbols(space, parity), run.stream);
}

SymbolParameters Networks::symbols(const Space& space, int parity) const {
  const CodedStage& coded = space.shared.coded[parity];
  SymbolParameters p{};
  p.index = space.device.index;
  p.mean = space.device.mean;
  p.decoded = space.device.decoded;
  p.symbols = space.direction == Direction::kEncode ? space.device.symbols : nullptr;
  p.row_begin = space.device.row_begin;
  p.row_begin_host = coded.row_begin;
  p.coded_tables = space.device.coded_tables;
  p.coded_symbols = space.device.coded_symbols;
  p.coded_tables_host = coded.tables;
  p.coded_symbols_host = coded.symbols;
  p.capacity = space.capacity();
  p.images = space.images;
  p.height = space.geometry.latent_height;
  p.width = space.geometry.latent_width;
  p.segment_rows = space.segment_rows();
  p.skip = packed_.entropy_skip;
  return p;
}

namespace {

HyperSymbolParameters hyper_symbols(const Space& space) {
  return {.hyper_latents = space.device.hyper_latents,
          .coded = space.shared.hyper_symbols,
          .images = space.images,
          .height = space.geometry.hyper_height,
          .width = space.geometry.hyper_width,
          .segment_rows = space.hyper_segment_rows()};
}

void copy_call(const Space& space, const Run& run) {
  copy_to_device(space.device.pixels, space.shared.pixels, space.bytes_of_call(), run.stream);
}

void record_latents(const Space& space, const Run& run) {
  const int height = space.geometry.latent_height, width = space.geometry.latent_width;
  record_all(run, "mean", space.device.mean, kBottlenecks, height, width);
  record_all(run, "index", space.device.index, kBottlenecks, height, width);
  record_all(run, "Yhat", space.device.decoded, kBottlenecks, height, width);
}

}  // namespace

void Networks::encode(const Space& space, const Run& run) const {
  copy_call(space, run);
  analyse(space, run);
  hyper_analyse(space, run);
  gather_hyper_symbols(hyper_symbols(space), run.stream);
  hyper_synthesise(space, run);
  for (const int parity : {0, 1}) parameters(space, parity, run);
  record_latents(space, run);
  record_all(run, "S", space.device.symbols, kBottlenecks, space.geometry.latent_height, space.geometry.latent_width);
}

void Networks::decode_hyper_latents(const Space& space, const Run& run) const {
  scatter_hyper_symbols(hyper_symbols(space), run.stream);
  hyper_synthesise(space, run);
  parameters(space, 0, run);
}

void Networks::decode_anchors(const Space& space, const Run& run) const {
  scatter_symbols(0, symbols(space, 0), run.stream);
  parameters(space, 1, run);
}

void Networks::decode_others(const Space& space, const Run& run) const {
  copy_call(space, run);
  scatter_symbols(1, symbols(space, 1), run.stream);
  record_latents(space, run);
  synthesise(space, run);
}

void Networks::synthesise(const Space& space, const Run& run) const {
  const Geometry& g = space.geometry;
  const DeviceMemory& memory = space.device;
  for (int level = 0; level < kLevels; ++level) {
    const int nodes = kLevels - level;
    const int height = g.latent_height << level, width = g.latent_width << level;  // of the input
    const bool wide = synthesis_is_wide(level), last = level == kLevels - 1;
    ResidualUpParameters p{};
    std::copy(packed_.synthesis[level].begin(), packed_.synthesis[level].end(), p.nodes);
    p.input = level == 0 ? memory.decoded : memory.level[1];
    p.gain = space.device.gain;
    p.output = memory.level[0];
    p.sums = memory.level_sums;
    p.pixels = space.device.pixels;
    p.pixels_conv = packed_.pixels;
    p.images = space.images;
    p.height = height;
    p.width = width;
    if (!last) fill_zero(memory.level_sums, space.bytes_of_sums(), run.stream);
    residual_up(level == 0 ? UpKind::kFirst
                : last     ? UpKind::kPixels
                : wide     ? UpKind::kWide
                           : UpKind::kNarrow,
                nodes, p, run.stream);
    if (last) return;
    record_level(run, "synthesis.level" + std::to_string(level), wide, p.output, nodes, 2 * height, 2 * width);
    fuse_level(packed_, space,
               {.weights = packed_.synthesis_fusion[level],
                .wide = wide,
                .stride = 1,
                .input = memory.level[0],
                .output = memory.level[1],
                .gain = nullptr,
                .positions = 4 * std::int64_t{height} * width},
               run.stream);
    record_level(run, "synthesis.fusion" + std::to_string(level), wide, memory.level[1], nodes - 1, 2 * height,
                 2 * width);
  }
}

}  // namespace treenet::cuda

#include "cpu/networks.h"

#include <algorithm>

#include "cpu/dispatch.h"
#include "cpu/row_sharing.h"

namespace treenet::cpu {
namespace {

constexpr int kSynthesisBand = 512;  // rows of a level's output, of images that go by bands

}  // namespace

Networks::Networks(const Model& model, const std::string& isa, int threads, std::size_t kept_bytes)
    : kernels_(kernels_for(isa)),
      packed_(model, kernels_),
      scratch_bytes_(kernels_.scratch_bytes()),
      kept_bytes_(kept_bytes),
      buffers_(std::make_shared<BufferPool>(kept_bytes)),
      threads_(threads) {
  prepare(isa);
}

template <class Task>
void Networks::share_rows(int groups, int begin_row, int end_row, int width, int tile_columns, Task task) {
  const Tiling tiling(width, tile_columns, kernels_.block_pixels);
  const int tiles = groups * tiling.across, workers = threads_.threads();
  // Each worker is to have a tile of a band. With matrix tiles, whose products leave most of the time to the memory,
  // workers that went down the same rows side by side took 4 to 8 % longer; with others it does not show, and saves the
  // lines above a second band, 1 %.
  const int bands = kernels_.matrix_tiles ? workers : (workers + tiles - 1) / tiles;
  RowSharing sharing(tiles, begin_row, end_row, workers, bands);
  threads_.run(workers, [&](std::int64_t i) {
    const int worker = static_cast<int>(i);
    for (int index; sharing.begin(worker, index);) {
      task(index / tiling.across, tiling.tile(index % tiling.across, {&sharing, worker}), worker);
    }
  });
}

template <class Make>
Networks::Level Networks::begin_level(int nodes, Make make) {
  Level level;
  for (int node = 0; node < nodes; ++node) level.outputs.push_back({make()});
  level.partial.resize(static_cast<std::size_t>(threads_.threads() * nodes));
  return level;
}

template <class Task>
void Networks::run_rows(Level& level, int end, int group, int tile_columns, Task task) {
  static_assert(sizeof(Sums) == kChannels * sizeof(std::int64_t));  // kernels have a group's one after the other
  const int nodes = static_cast<int>(level.outputs.size());
  std::vector<Plane> planes;
  for (const Features& output : level.outputs) planes.push_back(plane(output.tensor));
  share_rows(nodes / group, level.done, end, planes[0].width, tile_columns,
             [&](int index, const Tile& tile, int worker) {
               const int node = index * group;
               task(node, &planes[node], tile, level.partial[worker * nodes + node].data(), scratch().as<void>());
             });
  level.done = end;
}

std::vector<Networks::Features> Networks::end_level(Level level) {
  for (std::size_t i = 0; i < level.partial.size(); ++i) {
    add(level.outputs[i % level.outputs.size()].sums, level.partial[i]);
  }
  return std::move(level.outputs);
}

Tensor Networks::apply_gain(const Tensor& in, const float* gain) {
  Tensor out(*buffers_, DType::kI16, in.height, in.width, kChannels);
  kernels_.gain_s16(in.as<std::int16_t>(), gain, out.as<std::int16_t>(), 0, static_cast<std::int64_t>(in.positions()));
  return out;
}

std::vector<Networks::Features> Networks::analysis_levels(const InputPixels& image, Trace* trace) {
  constexpr int kLeaves = kLevels - 1;
  const int leaf_height = image.whole_height >> kLevels, leaf_width = image.whole_width >> kLevels;
  const AnalysisBands bands = trace != nullptr ? AnalysisBands::whole(leaf_height, leaf_width)
                                               : AnalysisBands(leaf_height, leaf_width, kept_bytes_);
  std::array<Level, kLevels> levels;
  while (levels[kLeaves].done < leaf_height) {
    const AnalysisBands::Ends ends = bands.after(levels[kLeaves].done);
    for (int k = 0; k < kLevels; ++k) {
      if (levels[k].done == ends[k]) continue;  // the upper levels may be whole before the leaves
      if (levels[k].done == 0) {
        levels[k] = begin_level(1 << k, [&] {
          return Tensor::window(*buffers_, DType::kI16, bands.height(k), leaf_width << (kLeaves - k), kChannels,
                                bands.window(k));
        });
      }
      run_rows(levels[k], ends[k], k == 0 ? 1 : 2,
               k == 0 ? kernels_.down_image_tile_columns : kernels_.down_tile_columns,
               [&](int node, const Plane* outs, const Tile& tile, std::int64_t* sums, void* scratch) {
                 const PackedResidualDown* const blocks = &packed_.analysis[k][node];
                 if (k == 0) return kernels_.residual_down_image(blocks, image, outs, tile, sums, scratch);
                 const Plane in = plane(levels[k - 1].outputs[node / 2].tensor);
                 kernels_.residual_down_siblings(blocks, in, outs, tile, sums, scratch);
               });
      for (int node = 0; trace != nullptr && node < 1 << k; ++node) {
        const std::string name = "analysis.level" + std::to_string(k) + "." + std::to_string(node);
        record(*trace, name, levels[k].outputs[node].tensor);
      }
      if (k > 0 && ends[k] == bands.height(k)) levels[k - 1].outputs.clear();
    }
    move_down(levels, ends);
  }
  return end_level(std::move(levels[kLeaves]));
}

void Networks::move_down(std::array<Level, kLevels>& levels, const AnalysisBands::Ends& ends) {
  struct Move {
    Tensor* window;
    int first, end;
  };
  std::vector<Move> moves;
  for (int k = 0; k < kLevels - 1; ++k) {
    for (Features& output : levels[k].outputs) {
      moves.push_back({&output.tensor, AnalysisBands::first_needed(k, ends), ends[k]});
    }
  }
  threads_.run(static_cast<std::int64_t>(moves.size()),
               [&](std::int64_t i) { moves[i].window->move_down(moves[i].first, moves[i].end); });
}

Latents Networks::analyse(const InputPixels& image, int quality, Trace* trace) {
  std::vector<Features> inputs = analysis_levels(image, trace);
  const float* gain = packed_.model.gain_encode.data() + (quality - 1) * kBottlenecks * kChannels;
  Latents latents;
  for_each_bottleneck([&](int b) {
    Features& x = inputs[2 * b];
    fuse({Pair{&packed_.analysis_fusion[b], &x, &inputs[2 * b + 1]}});
    latents[b] = apply_gain(x.tensor, gain + b * kChannels);
  });
  for (int b = 0; trace != nullptr && b < kBottlenecks; ++b) {
    record(*trace, "analysis.fusion." + std::to_string(b), inputs[2 * b].tensor);
  }
  return latents;
}

Tensor Networks::synthesise(Latents decoded, int quality, Trace* trace) {
  const float* gain = packed_.model.gain_decode.data() + (quality - 1) * kBottlenecks * kChannels;
  std::vector<Features> inputs(kBottlenecks);
  for_each_bottleneck([&](int b) {
    inputs[b].tensor = apply_gain(decoded[b], gain + b * kChannels);
    decoded[b] = Tensor();
  });
  for (int b = 0; trace != nullptr && b < kBottlenecks; ++b) record(*trace, "X." + std::to_string(b), inputs[b].tensor);
  for (int level = 0; level < kLevels - 1; ++level) {
    inputs = synthesis_level(level, std::move(inputs), trace);
    const int pairs_of_level = static_cast<int>(inputs.size()) - 1;
    std::vector<Pair> pairs;
    for (int i = 0; i < pairs_of_level; ++i)
      pairs.push_back({&packed_.synthesis_fusion[level][i], &inputs[i], &inputs[i + 1]});
    fuse(pairs);
    inputs.pop_back();
    for (int i = 0; trace != nullptr && i < pairs_of_level; ++i) {
      record(*trace, "synthesis.fusion" + std::to_string(level) + "." + std::to_string(i), inputs[i].tensor);
    }
  }
  return std::move(inputs[0].tensor);
}

void Networks::synthesise_pixels(Tensor features, const OutputPixels& pixels, Trace* trace) {
  const Plane input = plane(features);
  share_rows(1, 0, pixels.height, 2 * input.width, kernels_.up_tile_columns, [&](int, const Tile& tile, int) {
    kernels_.residual_up_output(packed_.synthesis[kLevels - 1][0], packed_.output, input, pixels, tile,
                                scratch().as<void>());
  });
  // Otherwise the last node's features never exist as a whole.
  if (trace == nullptr) return;
  std::vector<Features> inputs;
  inputs.push_back({std::move(features)});
  synthesis_level(kLevels - 1, std::move(inputs), trace);
}

std::vector<Networks::Features> Networks::synthesis_level(int level, std::vector<Features> inputs, Trace* trace) {
  const int nodes = kLevels - level;
  const bool wide = synthesis_is_wide(level);
  const auto kernel = !wide                         ? kernels_.residual_up_s16_u8
                      : synthesis_reads_wide(level) ? kernels_.residual_up_s16_s16
                                                    : kernels_.residual_up_u8_s16;
  const int height = 2 * inputs[0].tensor.height, width = 2 * inputs[0].tensor.width;
  Level running = begin_level(nodes, [&] {
    return Tensor(*buffers_, wide ? DType::kI16 : DType::kU8, height, width, kChannels, Tensor::Supply::kByRows);
  });
  const auto bytes_of = [](const std::vector<Features>& all) { return all.size() * all[0].tensor.bytes(); };
  const bool by_bands = go_by_bands(bytes_of(inputs), bytes_of(running.outputs));
  while (running.done < height) {
    const int end = by_bands ? std::min(height, running.done + kSynthesisBand) : height;
    for (Features& output : running.outputs) output.tensor.supply_rows(end);
    run_rows(running, end, 1, kernels_.up_tile_columns,
             [&](int node, const Plane* out, const Tile& tile, std::int64_t* sums, void* scratch) {
               kernel(packed_.synthesis[level][node], plane(inputs[node].tensor), *out, tile, sums, scratch);
             });
    if (!by_bands) continue;
    // The next row needs at most five input rows above its own, where four are computed together (conv3x3.h).
    for (Features& input : inputs) input.tensor.give_rows(end / 2 - 5);
  }
  std::vector<Features> outputs = end_level(std::move(running));
  for (int node = 0; trace != nullptr && node < nodes; ++node) {
    record(*trace, "synthesis.level" + std::to_string(level) + "." + std::to_string(node), outputs[node].tensor);
  }
  return outputs;
}

// One layer of a hyper transform, by strips of rows.
Tensor Networks::hyper_layer(const Packed3x3& conv, const Tensor& in, int stride, bool leaky, bool shuffle) {
  const int height = (in.height + stride - 1) / stride, width = (in.width + stride - 1) / stride;
  const int scale = shuffle ? 2 : 1;
  Tensor out(*buffers_, DType::kI16, scale * height, scale * width, conv.direct.outputs / (scale * scale));
  constexpr int kRows = 16;
  threads_.run((height + kRows - 1) / kRows, [&](std::int64_t strip) {
    const int row = static_cast<int>(strip) * kRows;
    kernels_.conv3x3_s16(conv, plane(in), plane(out), stride, leaky, shuffle, row, std::min(height, row + kRows),
                         scratch().as<void>());
  });
  return out;
}

Tensor Networks::hyper_analyse(int b, const Tensor& latents) {
  constexpr int kStrides[5] = {1, 1, 2, 1, 2};
  Tensor result;
  for (int k = 0; k < 5; ++k) {
    result = hyper_layer(packed_.bottleneck[b].hyper_analysis[k], k == 0 ? latents : result, kStrides[k], k < 4, false);
  }
  return result;
}

Tensor Networks::hyper_synthesise(int b, const Tensor& hyper_latents) {
  Tensor result;
  for (int k = 0; k < 5; ++k) {
    result = hyper_layer(packed_.bottleneck[b].hyper_synthesis[k], k == 0 ? hyper_latents : result, 1, k < 4,
                         k == 1 || k == 3);
  }
  return result;
}

void Networks::parameters(int b, const Tensor& psi, const Tensor& decoded, Stage stage, Tensor& mean, Tensor& index) {
  constexpr int kRows = 8;
  threads_.run((mean.height + kRows - 1) / kRows, [&](std::int64_t strip) {
    const int row = static_cast<int>(strip) * kRows;
    kernels_.parameters_rows(packed_.bottleneck[b].parameters, plane(psi), plane(decoded), plane(mean), plane(index),
                             row, std::min(mean.height, row + kRows), parity_of(stage), scratch().as<void>());
  });
}

}  // namespace treenet::cpu

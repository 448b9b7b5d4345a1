#include "cpu/networks.h"

#include <algorithm>

#include "cpu/dispatch.h"
#include "cpu/row_sharing.h"

namespace treenet::cpu {
namespace {

constexpr std::size_t kKeptBytes = std::size_t{256} << 20;
constexpr int kBandRows = 1024;  // of a synthesis level's output, after which the input above is given back

}  // namespace

Networks::Networks(const Model& model, const std::string& isa, int threads)
    : kernels_(kernels_for(isa)),
      packed_(model, kernels_),
      scratch_bytes_(kernels_.scratch_bytes()),
      buffers_(std::make_shared<BufferPool>(kKeptBytes)),
      threads_(threads) {
  prepare(isa);
}

template <class Task>
void Networks::share_rows(int nodes, int begin_row, int end_row, int width, int tile_columns, Task task) {
  const Tiling tiling(width, tile_columns);
  RowSharing sharing(nodes * tiling.across, begin_row, end_row, threads_.threads());
  threads_.run(threads_.threads(), [&](std::int64_t i) {
    const int worker = static_cast<int>(i);
    for (int index; sharing.begin(worker, index);) {
      task(index / tiling.across, tiling.tile(index % tiling.across, {&sharing, worker}), worker);
    }
  });
}

template <class Task>
std::vector<Networks::Features> Networks::run_level(int nodes, DType dtype, int height, int width, int tile_columns,
                                                    int band_rows, Task task, std::function<void(int)> band_done) {
  std::vector<Features> outputs;
  for (int node = 0; node < nodes; ++node) outputs.push_back({Tensor(*buffers_, dtype, height, width, kChannels)});
  std::vector<Sums> partial(static_cast<std::size_t>(threads_.threads() * nodes));
  for (int row = 0; row < height; row += band_rows) {
    const int end = std::min(height, row + band_rows);
    share_rows(nodes, row, end, width, tile_columns, [&](int node, const Tile& tile, int worker) {
      task(node, plane(outputs[node].tensor), tile, partial[worker * nodes + node].data(), scratch().as<void>());
    });
    if (band_done && height > band_rows) band_done(end);
  }
  for (std::size_t i = 0; i < partial.size(); ++i) add(outputs[i % nodes].sums, partial[i]);
  return outputs;
}

Tensor Networks::apply_gain(const Tensor& in, const float* gain) {
  Tensor out(*buffers_, DType::kI16, in.height, in.width, kChannels);
  kernels_.gain_s16(in.as<std::int16_t>(), gain, out.as<std::int16_t>(), 0, static_cast<std::int64_t>(in.positions()));
  return out;
}

Latents Networks::analyse(const Plane& image, int quality, Trace* trace) {
  std::vector<Features> inputs;
  for (int level = 0; level < kLevels; ++level) {
    const int nodes = 1 << level;
    const int height = image.height >> (level + 1), width = image.width >> (level + 1);
    const auto kernel = level == 0 ? kernels_.residual_down_image : kernels_.residual_down_s16;
    std::vector<Features> outputs =
        run_level(nodes, DType::kI16, height, width, kernels_.down_tile_columns, height,
                  [&](int node, const Plane& out, const Tile& tile, std::int64_t* sums, void* scratch) {
                    const Plane in = level == 0 ? image : plane(inputs[node / 2].tensor);
                    kernel(packed_.analysis[level][node], in, out, tile, sums, scratch);
                  });
    if (trace != nullptr) {
      for (int node = 0; node < nodes; ++node) {
        record(*trace, "analysis.level" + std::to_string(level) + "." + std::to_string(node), outputs[node].tensor);
      }
    }
    inputs = std::move(outputs);
  }
  std::vector<Pair> pairs;
  for (int b = 0; b < kBottlenecks; ++b)
    pairs.push_back({&packed_.analysis_fusion[b], &inputs[2 * b], &inputs[2 * b + 1]});
  fuse(pairs);
  Latents latents;
  const float* gain = packed_.model.gain_encode.data() + (quality - 1) * kBottlenecks * kChannels;
  for (int b = 0; b < kBottlenecks; ++b) {
    const Tensor& fused = inputs[2 * b].tensor;
    if (trace != nullptr) record(*trace, "analysis.fusion." + std::to_string(b), fused);
    latents[b] = apply_gain(fused, gain + b * kChannels);
  }
  return latents;
}

void Networks::synthesise(Latents decoded, int quality, const Plane& pixels, Trace* trace) {
  const float* gain = packed_.model.gain_decode.data() + (quality - 1) * kBottlenecks * kChannels;
  std::vector<Features> inputs;
  for (int b = 0; b < kBottlenecks; ++b) {
    inputs.push_back({apply_gain(decoded[b], gain + b * kChannels)});
    decoded[b] = Tensor();
    if (trace != nullptr) record(*trace, "X." + std::to_string(b), inputs[b].tensor);
  }
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
  const Plane input = plane(inputs[0].tensor);
  share_rows(1, 0, pixels.height, 2 * input.width, kernels_.up_tile_columns, [&](int, const Tile& tile, int) {
    kernels_.residual_up_output(packed_.synthesis[kLevels - 1][0], packed_.output, input, pixels, tile,
                                scratch().as<void>());
  });
  // Otherwise the last node's features never exist as a whole.
  if (trace != nullptr) synthesis_level(kLevels - 1, std::move(inputs), trace);
}

std::vector<Networks::Features> Networks::synthesis_level(int level, std::vector<Features> inputs, Trace* trace) {
  const int nodes = kLevels - level;
  const bool wide = synthesis_is_wide(level);
  const auto kernel = !wide                         ? kernels_.residual_up_s16_u8
                      : synthesis_reads_wide(level) ? kernels_.residual_up_s16_s16
                                                    : kernels_.residual_up_u8_s16;
  std::vector<Features> outputs = run_level(
      nodes, wide ? DType::kI16 : DType::kU8, 2 * inputs[0].tensor.height, 2 * inputs[0].tensor.width,
      kernels_.up_tile_columns, kBandRows,
      [&](int node, const Plane& out, const Tile& tile, std::int64_t* sums, void* scratch) {
        kernel(packed_.synthesis[level][node], plane(inputs[node].tensor), out, tile, sums, scratch);
      },
      [&](int row) {
        // The next row needs at most five input rows above its own, where four are computed together (conv3x3.h).
        for (Features& input : inputs) input.tensor.release_rows(row / 2 - 5);
      });
  for (int node = 0; trace != nullptr && node < nodes; ++node) {
    record(*trace, "synthesis.level" + std::to_string(level) + "." + std::to_string(node), outputs[node].tensor);
  }
  return outputs;
}

// One layer of all four hyper transforms, by strips of rows.
Latents Networks::hyper_layer(const std::array<const PackedConv*, kBottlenecks>& convs, const Latents& in, int stride,
                              bool leaky, bool shuffle) {
  const int height = (in[0].height + stride - 1) / stride, width = (in[0].width + stride - 1) / stride;
  const int scale = shuffle ? 2 : 1;
  Latents out;
  for (int b = 0; b < kBottlenecks; ++b) {
    out[b] = Tensor(*buffers_, DType::kI16, scale * height, scale * width, convs[b]->outputs / (scale * scale));
  }
  constexpr int kRows = 16;
  const int strips = (height + kRows - 1) / kRows;
  threads_.run(static_cast<std::int64_t>(kBottlenecks) * strips, [&](std::int64_t i) {
    const int b = static_cast<int>(i / strips), strip = static_cast<int>(i % strips);
    kernels_.conv3x3_s16(*convs[b], plane(in[b]), plane(out[b]), stride, leaky, shuffle, strip * kRows,
                         std::min(height, (strip + 1) * kRows), scratch().as<void>());
  });
  return out;
}

Latents Networks::hyper_analyse(const Latents& latents) {
  constexpr int kStrides[5] = {1, 1, 2, 1, 2};
  Latents result;
  for (int k = 0; k < 5; ++k) {
    std::array<const PackedConv*, kBottlenecks> convs;
    for (int b = 0; b < kBottlenecks; ++b) convs[b] = &packed_.bottleneck[b].hyper_analysis[k];
    result = hyper_layer(convs, k == 0 ? latents : result, kStrides[k], k < 4, false);
  }
  return result;
}

Latents Networks::hyper_synthesise(const Latents& hyper_latents) {
  Latents result;
  for (int k = 0; k < 5; ++k) {
    std::array<const PackedConv*, kBottlenecks> convs;
    for (int b = 0; b < kBottlenecks; ++b) convs[b] = &packed_.bottleneck[b].hyper_synthesis[k];
    result = hyper_layer(convs, k == 0 ? hyper_latents : result, 1, k < 4, k == 1 || k == 3);
  }
  return result;
}

void Networks::parameters(const Latents& psi, const Latents& decoded, Stage stage, Latents& mean, Latents& index) {
  const int height = mean[0].height;
  constexpr int kRows = 8;
  const int strips = (height + kRows - 1) / kRows;
  threads_.run(static_cast<std::int64_t>(kBottlenecks) * strips, [&](std::int64_t i) {
    const int b = static_cast<int>(i / strips), strip = static_cast<int>(i % strips);
    const BufferPool::Lease memory = scratch();
    for (int row = strip * kRows; row < std::min(height, (strip + 1) * kRows); ++row) {
      kernels_.parameters_row(packed_.bottleneck[b].parameters, plane(psi[b]), plane(decoded[b]), plane(mean[b]),
                              plane(index[b]), row, parity_of(stage), memory.as<void>());
    }
  });
}

}  // namespace treenet::cpu

// The kernels of the bottlenecks on every kernel table against the plain one, on numbers of all 16 bits and planes of
// any size.
#include <cstdint>
#include <cstring>
#include <functional>
#include <random>
#include <set>
#include <vector>

#include "check.h"
#include "codec/aligned_buffer.h"
#include "kernel_tables.h"
#include "random_model.h"

namespace treenet::cpu {
namespace {

const PackedModel& packed_for(const KernelTable& kernels) {
  static PackedModels models(testing::RandomModel(3).make());
  return models[kernels];
}

template <class T>
struct Numbers {
  int height, width, channels;
  std::vector<T> values;

  Numbers(int height, int width, int channels)
      : height(height), width(width), channels(channels), values(static_cast<std::size_t>(height) * width * channels) {}
  Numbers(int height, int width, int channels, int size, std::mt19937& random) : Numbers(height, width, channels) {
    for (T& value : values) value = static_cast<T>(static_cast<int>(random() % (2 * size)) - size);
  }
  Plane plane() const { return {const_cast<T*>(values.data()), height, width, channels}; }
};
using Wide = Numbers<std::int16_t>;

// Whatever another kernel may have left.
AlignedBuffer random_scratch(const KernelTable& kernels) {
  AlignedBuffer scratch(kernels.scratch_bytes());
  std::mt19937 random(1);
  for (std::size_t i = 0; i < kernels.scratch_bytes() / 4; ++i) scratch.as<std::uint32_t>()[i] = random();
  return scratch;
}

struct Layer {
  std::function<const Packed3x3&(const PackedBottleneck&)> conv;
  int inputs, outputs, stride;
  bool leaky, shuffle;
};

Wide convolved(const KernelTable& kernels, const Layer& layer, const Wide& in) {
  const int scale = layer.shuffle ? 2 : 1;
  const int height = (in.height + layer.stride - 1) / layer.stride,
            width = (in.width + layer.stride - 1) / layer.stride;
  Wide out(scale * height, scale * width, layer.outputs);
  AlignedBuffer scratch = random_scratch(kernels);
  const Packed3x3& conv = layer.conv(packed_for(kernels).bottleneck[1]);
  // In two parts, as two threads do it.
  for (const auto& [begin, end] : {std::pair{0, height / 2}, {height / 2, height}}) {
    kernels.conv3x3_s16(conv, in.plane(), out.plane(), layer.stride, layer.leaky, layer.shuffle, begin, end,
                        scratch.as<void>());
  }
  return out;
}

TEST("hyper transforms: every layer, up to more columns than a tile has") {
  std::vector<Layer> layers;
  for (int k = 0; k < 5; ++k) {
    layers.push_back({[k](const PackedBottleneck& b) -> const Packed3x3& { return b.hyper_analysis[k]; }, 32, 32,
                      k == 2 || k == 4 ? 2 : 1, k < 4, false});
  }
  constexpr int kInputs[5] = {32, 32, 32, 48, 48}, kOutputs[5] = {32, 32, 48, 48, 64};
  for (int k = 0; k < 5; ++k) {
    layers.push_back({[k](const PackedBottleneck& b) -> const Packed3x3& { return b.hyper_synthesis[k]; }, kInputs[k],
                      kOutputs[k], 1, k < 4, k == 1 || k == 3});
  }
  std::mt19937 random(1);
  for (const Layer& layer : layers) {
    for (const auto& [height, width] :
         {std::pair{1, 1}, {2, 3}, {3, 12}, {2, 13}, {3, 16}, {2, 24}, {11, 37}, {5, 97}, {2, 200}}) {
      std::vector<Wide> inputs;
      for (const int size : {4000, 8192, 32768}) inputs.emplace_back(height, width, layer.inputs, size, random);
      // Up to 14 bits but for one number here and there, so that some rows have those that Winograd's algorithm does
      // not take and others have not.
      inputs.push_back(inputs[1]);
      for (int row = 0; row < height; row += 5) {
        const std::size_t row_length = static_cast<std::size_t>(width) * layer.inputs;
        inputs.back().values[row * row_length + random() % row_length] = row % 2 == 0 ? 8192 : -8193;
      }
      for (const Wide& in : inputs) {
        const Wide expected = convolved(*kernels_scalar, layer, in);
        for (const KernelTable* kernels : tables_beside_scalar()) {
          CHECK(convolved(*kernels, layer, in).values == expected.values);
        }
      }
    }
  }
}

struct Parameters {
  Wide mean;
  Numbers<std::uint8_t> index;
};

Parameters parameters(const KernelTable& kernels, const PackedModel& packed, const Wide& psi, const Wide& decoded,
                      int parity) {
  Parameters made{{decoded.height, decoded.width, kChannels}, {decoded.height, decoded.width, kChannels}};
  AlignedBuffer scratch = random_scratch(kernels);
  // In two parts, as two threads do it.
  for (const auto& [begin, end] : {std::pair{0, decoded.height / 2}, {decoded.height / 2, decoded.height}}) {
    kernels.parameters_rows(packed.bottleneck[2].parameters, psi.plane(), decoded.plane(), made.mean.plane(),
                            made.index.plane(), begin, end, parity, scratch.as<void>());
  }
  return made;
}

TEST("means and scale indices of both stages, up to more positions than are computed at a time") {
  std::mt19937 random(2);
  for (const auto& [height, width] :
       {std::pair{1, 1}, {1, 2}, {3, 5}, {2, 31}, {3, 33}, {2, 48}, {1, 192}, {2, 401}, {9, 27}, {230, 1}}) {
    for (const int size : {4000, 32768}) {
      const Wide psi((height + 3) / 4 * 4, (width + 3) / 4 * 4, 64, size, random);
      const Wide decoded(height, width, kChannels, size, random);
      for (const int parity : {0, 1}) {
        const Parameters expected = parameters(*kernels_scalar, packed_for(*kernels_scalar), psi, decoded, parity);
        for (const KernelTable* kernels : tables_beside_scalar()) {
          const Parameters made = parameters(*kernels, packed_for(*kernels), psi, decoded, parity);
          CHECK(made.mean.values == expected.mean.values);
          CHECK(made.index.values == expected.index.values);
        }
      }
    }
  }
}

TEST("scale indices: thresholds at both ends, close to each other, and the same") {
  testing::RandomModel random_model(3);
  std::int32_t* thresholds = random_model.data<std::int32_t>("entropy.threshold");
  for (int k = 0; k < 63; ++k) thresholds[k] = k < 7 ? 1 : k < 30 ? 40 * k : k < 40 ? 4000 : k < 56 ? 400 * k : 32767;
  float* multipliers = random_model.data<float>("bottleneck.2.entropy_parameters.2.multiplier");
  for (int o = kChannels; o < 2 * kChannels; ++o) multipliers[o] *= 32;  // of v, up to its bounds
  PackedModels models(random_model.make());
  std::mt19937 random(3);
  std::set<std::uint8_t> indices;
  for (const int size : {1, 300, 4000, 32768}) {
    const Wide psi(4, 48, 64, size, random), decoded(4, 48, kChannels, size, random);
    const Parameters expected = parameters(*kernels_scalar, models[*kernels_scalar], psi, decoded, 0);
    indices.insert(expected.index.values.begin(), expected.index.values.end());
    for (const KernelTable* kernels : tables_beside_scalar()) {
      CHECK(parameters(*kernels, models[*kernels], psi, decoded, 0).index.values == expected.index.values);
    }
  }
  CHECK(indices.contains(0) && indices.contains(7) && indices.contains(63) && indices.size() > 30);
}

}  // namespace
}  // namespace treenet::cpu

#include "cuda/packed_model.h"

#include <cstring>
#include <functional>
#include <numeric>

namespace treenet::cuda {
namespace {

constexpr int kLanes = 32;
constexpr int kProducts = 4;  // of a group of 32 outputs
constexpr int kGroup = 32;
constexpr std::size_t kAlignment = 128;

int ceil_divide(int a, int b) { return (a + b - 1) / b; }

// The output in column g of product j, and the input at byte i of word r of lane t, of a tile's operands and of owned
// channels, within their 32 (weights.h).
int output_of(int j, int g) { return 8 * (g / 2) + 2 * j + g % 2; }
int tile_input_of(int t, int r, int i) { return 16 * r + 4 * t + i; }
int owned_input_of(int t, int r, int i) { return 8 * t + 4 * r + i; }
using InputOf = int (*)(int t, int r, int i);

// Lays out everything one piece after another. The same packing is done twice, first to know the size.
class Packer {
 public:
  explicit Packer(std::uint8_t* device) : device_(device) {}

  const std::vector<std::uint8_t>& bytes() const { return bytes_; }

  template <class T>
  const T* copy(const T* values, std::size_t count) {
    const std::size_t at = ceil_to_alignment(bytes_.size());
    bytes_.resize(at + count * sizeof(T));
    std::memcpy(bytes_.data() + at, values, count * sizeof(T));
    return reinterpret_cast<const T*>(device_ + at);
  }
  template <class T>
  const T* copy(const std::vector<T>& values) {
    return copy(values.data(), values.size());
  }
  // Zeros behind, to `count` values.
  template <class T>
  const T* copy_padded(std::vector<T> values, int count) {
    values.resize(count);
    return copy(values);
  }

 private:
  static std::size_t ceil_to_alignment(std::size_t size) { return (size + kAlignment - 1) / kAlignment * kAlignment; }

  std::uint8_t* device_;
  std::vector<std::uint8_t> bytes_;
};

// The model's output that packed output p of a subpixel convolution to `channels` channels is (SPEC §2.3).
std::vector<int> subpixel_order(int channels) {
  std::vector<int> order(4 * channels);
  for (int p = 0; p < 4 * channels; ++p) order[p] = 4 * (p % channels) + p / channels;
  return order;
}

std::vector<int> model_order(int outputs) {
  std::vector<int> order(outputs);
  std::iota(order.begin(), order.end(), 0);
  return order;
}

int weight_of(const Convolution& conv, int output, int input, int tap) {
  return input < conv.inputs ? conv.weight[(output * conv.inputs + input) * conv.kernel * conv.kernel + tap] : 0;
}

// Operands B of groups of 32 outputs, `steps` a group: weight(output, step, t, r, i) in the model's order.
using WeightAt = std::function<int(int output, int step, int t, int r, int i)>;
const uint4* pack_weights(Packer& packer, const std::vector<int>& order, int steps, const WeightAt& weight) {
  const int groups = ceil_divide(static_cast<int>(order.size()), kGroup);
  std::vector<std::uint8_t> bytes;
  for (int group = 0; group < groups; ++group) {
    for (int step = 0; step < steps; ++step) {
      for (int half = 0; half < 2; ++half) {
        for (int lane = 0; lane < kLanes; ++lane) {
          for (int product = 2 * half; product < 2 * half + 2; ++product) {
            const int packed = kGroup * group + output_of(product, lane / 4);
            for (int r = 0; r < 2; ++r) {
              for (int i = 0; i < 4; ++i) {
                const bool real = packed < static_cast<int>(order.size());
                bytes.push_back(static_cast<std::uint8_t>(real ? weight(order[packed], step, lane % 4, r, i) : 0));
              }
            }
          }
        }
      }
    }
  }
  return reinterpret_cast<const uint4*>(packer.copy(bytes));
}

// Bias with the zero point of `inputs` added activations folded in, and multipliers.
Conv pack_factors(Packer& packer, const Convolution& conv, const std::vector<int>& order, int zero_point, int padded,
                  int inputs = 1) {
  std::vector<std::int32_t> bias;
  std::vector<float> multiplier, negative;
  const int size = conv.inputs * conv.kernel * conv.kernel;
  for (const int o : order) {
    const auto begin = conv.weight.begin() + o * size;
    const std::int64_t sum = std::accumulate(begin, begin + size, std::int64_t{0});
    bias.push_back(static_cast<std::int32_t>(conv.bias[o] - inputs * zero_point * sum));
    if (!conv.multiplier.empty()) {
      multiplier.push_back(conv.multiplier[o]);
      negative.push_back(conv.multiplier[o] * 0.01f);  // SPEC §2.2
    }
  }
  Conv packed{};
  packed.bias = packer.copy_padded(bias, padded);
  if (!multiplier.empty()) {
    packed.multiplier = packer.copy_padded(multiplier, padded);
    packed.negative = packer.copy_padded(negative, padded);
  }
  return packed;
}

// A convolution of 32 n channels (padded), the taps with keep(u, v) only.
Conv pack_conv(Packer& packer, const Convolution& conv, int zero_point, const std::vector<int>& order, InputOf input_of,
               const std::function<bool(int, int)>& keep = nullptr) {
  std::vector<int> taps;
  for (int tap = 0; tap < conv.kernel * conv.kernel; ++tap) {
    if (!keep || keep(tap / conv.kernel, tap % conv.kernel)) taps.push_back(tap);
  }
  const int steps = ceil_divide(conv.inputs, kGroup);
  Conv packed =
      pack_factors(packer, conv, order, zero_point, kGroup * ceil_divide(static_cast<int>(order.size()), kGroup));
  packed.weights = pack_weights(
      packer, order, static_cast<int>(taps.size()) * steps, [&](int output, int step, int t, int r, int i) {
        return weight_of(conv, output, kGroup * (step % steps) + input_of(t, r, i), taps[step / steps]);
      });
  return packed;
}
// From a tile, outputs in the model's order.
Conv pack_conv(Packer& packer, const Convolution& conv, int zero_point) {
  return pack_conv(packer, conv, zero_point, model_order(conv.outputs), tile_input_of);
}

// A convolution of the image: lane t holds column t of a 3 x 3 window, of rows 0 and 1 in step 0 and of row 2 in
// step 1. A 1 x 1 convolution is one of the window's middle.
Conv pack_image_conv(Packer& packer, const Convolution& conv, int zero_point) {
  Conv packed = pack_factors(packer, conv, model_order(conv.outputs), zero_point, kGroup);
  packed.weights = pack_weights(packer, model_order(conv.outputs), conv.kernel == 3 ? 2 : 1,
                                [&](int output, int step, int t, int r, int i) {
                                  const int u = 2 * step + r - (conv.kernel == 3 ? 0 : 1);
                                  const int v = t - (conv.kernel == 3 ? 0 : 1);
                                  const bool inside = u >= 0 && u < conv.kernel && v >= 0 && v < conv.kernel && i < 3;
                                  return inside ? weight_of(conv, output, i, u * conv.kernel + v) : 0;
                                });
  return packed;
}

Gdn pack_gdn(Packer& packer, const Normalisation& g) {
  return {.gamma = pack_weights(
              packer, model_order(kGroup), 1,
              [&](int output, int, int t, int r, int i) { return g.gamma[output * kGroup + owned_input_of(t, r, i)]; }),
          .beta = packer.copy(g.beta),
          .numerator = packer.copy(g.numerator),
          .magnitude = packer.copy(g.magnitude)};
}

ResidualBlockWeights pack_down(Packer& packer, const ResidualBlock& block) {
  const auto pack = [&](const Convolution& conv) {
    return conv.inputs == 3 ? pack_image_conv(packer, conv, block.input_zero_point) : pack_conv(packer, conv, 0);
  };
  return {.conv1 = pack(block.conv1),
          .conv2 = pack_conv(packer, block.conv2, 0),
          .skip = pack(block.skip),
          .gdn = pack_gdn(packer, block.normalisation),
          .input_zero = block.input_zero_point};
}

ResidualBlockWeights pack_up(Packer& packer, const ResidualBlock& block) {
  const std::vector<int> order = subpixel_order(kTransformChannels);
  return {.conv1 = pack_conv(packer, block.conv1, block.input_zero_point, order, tile_input_of),
          .conv2 = pack_conv(packer, block.conv2, block.middle_zero_point),
          .skip = pack_conv(packer, block.skip, block.input_zero_point, order, tile_input_of),
          .gdn = pack_gdn(packer, block.normalisation),
          .input_zero = block.input_zero_point,
          .middle_zero = block.middle_zero_point,
          .output_zero = block.output_zero_point};
}

// Operand B of products of one column an output, eight of them: two words a lane.
std::vector<std::uint8_t> pack_columns(const Convolution& conv, int tap, InputOf input_of) {
  std::vector<std::uint8_t> bytes;
  for (int lane = 0; lane < kLanes; ++lane) {
    for (int r = 0; r < 2; ++r) {
      for (int i = 0; i < 4; ++i) {
        const int output = lane / 4;
        const bool real = output < conv.outputs;
        bytes.push_back(static_cast<std::uint8_t>(real ? weight_of(conv, output, input_of(lane % 4, r, i), tap) : 0));
      }
    }
  }
  return bytes;
}

AttentionWeights pack_attention(Packer& packer, const Attention& a, int zero_point, int inputs) {
  const Conv local1 = pack_factors(packer, a.local1, model_order(8), zero_point, 8, inputs);
  const Conv local2 = pack_factors(packer, a.local2, model_order(kGroup), 0, kGroup);
  std::vector<std::uint8_t> bytes2;
  for (int product = 0; product < kProducts; ++product) {
    for (int lane = 0; lane < kLanes; ++lane) {
      for (int i = 0; i < 4; ++i) {
        const int weight = i < 2 ? weight_of(a.local2, output_of(product, lane / 4), 2 * (lane % 4) + i, 0) : 0;
        bytes2.push_back(static_cast<std::uint8_t>(weight));
      }
    }
  }
  return {.local1 = reinterpret_cast<const uint2*>(packer.copy(pack_columns(a.local1, 0, owned_input_of))),
          .local2 = reinterpret_cast<const std::uint32_t*>(packer.copy(bytes2)),
          .bias1 = local1.bias,
          .multiplier1 = local1.multiplier,
          .bias2 = local2.bias,
          .multiplier2 = local2.multiplier,
          .global1 = packer.copy(a.global1.weight),
          .global_bias1 = packer.copy(a.global1.bias),
          .global_multiplier1 = packer.copy(a.global1.multiplier),
          .global2 = packer.copy(a.global2.weight),
          .global_bias2 = packer.copy(a.global2.bias),
          .global_multiplier2 = packer.copy(a.global2.multiplier)};
}

FusionWeights pack_fusion(Packer& packer, const Fusion& fusion) {
  return {.first = pack_attention(packer, fusion.first, fusion.zero_point, 2),
          .second = pack_attention(packer, fusion.second, fusion.zero_point, 1),
          .zero_point = fusion.zero_point,
          .mean_bits = fusion.mean_bits};
}

Conv pack_pixels(Packer& packer, const Convolution& output) {
  Conv packed = pack_factors(packer, output, model_order(3), 0, 8);
  std::vector<std::uint8_t> bytes;
  for (int tap = 0; tap < 9; ++tap) {
    const std::vector<std::uint8_t> columns = pack_columns(output, tap, tile_input_of);
    bytes.insert(bytes.end(), columns.begin(), columns.end());
  }
  packed.weights = reinterpret_cast<const uint4*>(packer.copy(bytes));
  return packed;
}

void pack_bottleneck(Packer& packer, const Bottleneck& from, int b, PackedModel& to) {
  for (int k = 0; k < 5; ++k) {
    to.hyper_analysis[k][b] = pack_conv(packer, from.hyper_analysis[k], 0);
    const Convolution& up = from.hyper_synthesis[k];
    const bool shuffled = k == 1 || k == 3;
    to.hyper_synthesis[k][b] =
        pack_conv(packer, up, 0, shuffled ? subpixel_order(up.outputs / 4) : model_order(up.outputs), tile_input_of);
  }
  to.context[b] = pack_conv(packer, from.context, 0, model_order(from.context.outputs), owned_input_of,
                            [](int u, int v) { return (u + v) % 2 == 1; });
  for (int k = 0; k < 3; ++k) {
    const Convolution& layer = from.entropy_parameters[k];
    to.entropy_parameters[k][b] = pack_conv(packer, layer, 0, model_order(layer.outputs), owned_input_of);
  }
}

void pack(Packer& packer, const Model& model, PackedModel& to) {
  const auto pack_all = [&](const auto& from, auto pack_one) {
    std::vector<decltype(pack_one(packer, from[0]))> result;
    for (const auto& one : from) result.push_back(pack_one(packer, one));
    return result;
  };
  for (int level = 0; level < kLevels; ++level) {
    to.analysis[level] = pack_all(model.analysis[level], pack_down);
    to.synthesis[level] = pack_all(model.synthesis[level], pack_up);
    if (level + 1 < kLevels) to.synthesis_fusion[level] = pack_all(model.synthesis_fusion[level], pack_fusion);
  }
  to.analysis_fusion = pack_all(model.analysis_fusion, pack_fusion);
  to.pixels = pack_pixels(packer, model.output);
  for (int b = 0; b < kBottlenecks; ++b) pack_bottleneck(packer, model.bottleneck[b], b, to);
  to.sigmoid = packer.copy(model.sigmoid.data(), model.sigmoid.size());
  to.scale_index = packer.copy(model.scale_index);
  to.entropy_skip = model.entropy_skip;
}

}  // namespace

PackedModel::PackedModel(const Model& model) {
  Packer sizes(nullptr);
  pack(sizes, model, *this);
  memory_ = DeviceBuffer(sizes.bytes().size());
  Packer packer(memory_.as<std::uint8_t>());
  pack(packer, model, *this);
  const Stream stream;
  copy_to_device(memory_.as<void>(), packer.bytes().data(), packer.bytes().size(), stream.handle());
  wait(stream.handle());
}

}  // namespace treenet::cuda

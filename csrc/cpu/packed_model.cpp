#include "cpu/packed_model.h"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <functional>
#include <numeric>

#include "codec/process.h"

namespace treenet::cpu {

// What a convolution's packed form is to be. Output p of the packed order is the model's output `order[p]`.
struct Layout {
  bool wide_input = false;  // s16 activations; else u8
  int input_zero_point = 0;
  int block_outputs = 32;
  bool split = false;                  // s16 that matrix tiles have as planes of low and of high bytes
  std::vector<int> order;              // empty: as in the model
  std::function<bool(int, int)> taps;  // which (u, v) to keep, in row order; empty: all
  int repeat_taps = 1;                 // writes all taps this many times (the pair x, y of a fusion)
};

class Packer {
 public:
  Packer(std::vector<AlignedBuffer>& storage, const KernelTable& kernels)
      : storage_(storage),
        u8_group_(kernels.u8_group),
        image_groups_(kernels.image_groups),
        winograd_(kernels.winograd),
        matrix_tiles_(kernels.matrix_tiles) {}

  PackedConv conv(const Convolution& conv, Layout layout) {
    if (layout.order.empty()) layout.order = model_order(conv);
    std::vector<int> taps;
    for (int r = 0; r < layout.repeat_taps; ++r) {
      for (int u = 0; u < conv.kernel; ++u) {
        for (int v = 0; v < conv.kernel; ++v) {
          if (!layout.taps || layout.taps(u, v)) taps.push_back(u * conv.kernel + v);
        }
      }
    }
    const int elements = layout.wide_input ? 2 : u8_group_;  // of a group of four bytes
    const int area = conv.kernel * conv.kernel;
    PackedConv packed{};
    packed.taps = static_cast<int>(taps.size());
    // A pixel of the image has its three channels padded to four (lines.h).
    packed.groups = ((conv.inputs == 3 ? 4 : conv.inputs) + elements - 1) / elements;
    packed.block_outputs = layout.block_outputs;
    packed.outputs = conv.outputs;
    packed.blocks = (conv.outputs + layout.block_outputs - 1) / layout.block_outputs;
    packed.tap_bytes = packed.groups * layout.block_outputs * 4;
    packed.block_bytes = packed.taps * packed.tap_bytes;

    const int padded = packed.blocks * layout.block_outputs;
    std::uint8_t* weights = allocate<std::uint8_t>(static_cast<std::size_t>(packed.blocks) * packed.block_bytes);
    std::int32_t* bias = allocate<std::int32_t>(padded);
    float* multiplier = allocate<float>(padded);
    float* negative = allocate<float>(padded);
    for (int p = 0; p < conv.outputs; ++p) {
      const int o = layout.order[p];
      std::uint8_t* block = weights + static_cast<std::size_t>(p / layout.block_outputs) * packed.block_bytes;
      std::int64_t sum = 0;
      for (std::size_t t = 0; t < taps.size(); ++t) {
        for (int c = 0; c < conv.inputs; ++c) {
          const std::int8_t weight = conv.weight[(static_cast<std::size_t>(o) * conv.inputs + c) * area + taps[t]];
          std::uint8_t* group =
              block + t * packed.tap_bytes +
              (static_cast<std::size_t>(c / elements) * layout.block_outputs + p % layout.block_outputs) * 4;
          put(group, c % elements, elements, weight);
          sum += weight;
        }
      }
      bias[p] = static_cast<std::int32_t>(conv.bias[o] - layout.input_zero_point * sum);
      if (!conv.multiplier.empty()) {
        multiplier[p] = conv.multiplier[o];
        negative[p] = conv.multiplier[o] * 0.01f;  // SPEC §2.2
      }
    }
    packed.weights = weights;
    packed.bias = bias;
    packed.multiplier = multiplier;
    packed.multiplier_negative = negative;
    if (matrix_tiles_ && layout.block_outputs % kTileSums == 0) {
      const auto weight = [&](int output, int tap, int input) -> int {
        if (output >= conv.outputs || input >= conv.inputs) return 0;
        return conv.weight[(static_cast<std::size_t>(layout.order[output]) * conv.inputs + input) * area + taps[tap]];
      };
      if (layout.wide_input && !layout.split) {
        point_tiles(packed, weight);
      } else if (conv.inputs >= kTransformChannels) {
        byte_tiles(packed, conv.inputs, tile_steps(conv, taps), weight);
      } else if (conv.inputs == 3 && conv.kernel == 3) {
        image_tiles(packed, weight);
      }
    }
    return packed;
  }

  // 3x3 of stride 2, of the image.
  PackedConv of_image(const Convolution& conv, const Layout& layout) {
    PackedConv packed = this->conv(conv, layout);
    if (!image_groups_) return packed;
    constexpr int kRed = 0, kGreen = 1, kBlue = 2, kNone = -1, kGroups = 7, kLast = 2;
    // Line, tap and colour of each byte of the groups of cpu/conv_image.h.
    struct Byte {
      int u, v, colour;
    };
    std::vector<Byte> of;
    for (int u = 0; u < 3; ++u) {
      of.insert(of.end(), {{u, 0, kRed}, {u, 0, kGreen}, {u, 0, kBlue}, {u, kLast, kRed}});
      of.insert(of.end(), {{u, 1, kRed}, {u, 1, kGreen}, {u, 1, kBlue}, {u, kLast, kGreen}});
    }
    of.insert(of.end(), {{0, kLast, kBlue}, {1, kLast, kBlue}, {2, kLast, kBlue}, {0, 0, kNone}});
    packed.taps = 1;
    packed.groups = kGroups;
    packed.tap_bytes = packed.block_bytes = kGroups * packed.block_outputs * 4;
    std::uint8_t* weights = allocate<std::uint8_t>(packed.block_bytes);
    for (int o = 0; o < conv.outputs; ++o) {
      for (std::size_t k = 0; k < of.size(); ++k) {
        const auto [u, v, colour] = of[k];
        if (colour == kNone) continue;
        put(weights + (k / 4 * packed.block_outputs + o) * 4, k % 4, 4, conv.weight[(o * 3 + colour) * 9 + 3 * u + v]);
      }
    }
    packed.weights = weights;
    return packed;
  }

  // Of stride 1, in both forms where both have a use.
  Packed3x3 conv3x3(const Convolution& conv, const Layout& layout) {
    Packed3x3 packed{this->conv(conv, layout), {}};
    if (winograd_) {
      packed.winograd = layout.wide_input ? winograd(conv, layout, kTwiceG2x2) : winograd(conv, layout, kG4x4);
    }
    return packed;
  }

  // The same of stride 2, of s16.
  Packed3x3 strided3x3(const Convolution& conv, const Layout& layout) {
    assert(layout.wide_input && layout.input_zero_point == 0);
    Packed3x3 packed{this->conv(conv, layout), {}};
    if (winograd_) {
      packed.winograd =
          winograd(conv, layout, kGStridedRows, kGStridedColumns, [](int u, int v) { return kStridedPlaces.of[u][v]; });
    }
    return packed;
  }

  PackedGdn gdn(const Normalisation& g) {
    PackedGdn packed{};
    constexpr int n = kTransformChannels;
    PackedConv& gamma = packed.gamma;
    gamma.taps = 1;
    gamma.groups = n / 2;
    gamma.block_outputs = n;
    gamma.outputs = n;
    gamma.blocks = 1;
    gamma.tap_bytes = gamma.block_bytes = gamma.groups * n * 4;
    std::uint8_t* weights = allocate<std::uint8_t>(gamma.block_bytes);
    for (int o = 0; o < n; ++o) {
      for (int c = 0; c < n; ++c) put(weights + (c / 2 * n + o) * 4, c % 2, 2, g.gamma[o * n + c]);
    }
    gamma.weights = weights;
    gamma.bias = copy(g.beta);
    if (matrix_tiles_)
      point_tiles(gamma, [&](int output, int, int input) -> int { return g.gamma[output * n + input]; });
    packed.numerator = copy(g.numerator);
    packed.magnitude = copy(g.magnitude);
    return packed;
  }

  PackedResidualDown residual_down(const ResidualBlock& block) {
    const bool wide_input = block.conv1.inputs == kTransformChannels;
    const Layout input{.wide_input = wide_input, .input_zero_point = block.input_zero_point, .split = wide_input};
    return {
        .conv1 = wide_input ? strided3x3(block.conv1, input) : Packed3x3{of_image(block.conv1, input), {}},
        .conv2 = conv3x3(block.conv2, {.wide_input = true, .split = true}),
        .skip = conv(block.skip, input),
        .gdn = gdn(block.normalisation),
        .input_zero_point = block.input_zero_point,
    };
  }

  PackedResidualUp residual_up(const ResidualBlock& block, bool wide_input) {
    const Layout subpixel{.wide_input = wide_input,
                          .input_zero_point = block.input_zero_point,
                          .block_outputs = 64,
                          .split = wide_input,
                          .order = subpixel_order(kTransformChannels)};
    return {
        .conv1 = conv3x3(block.conv1, subpixel),
        .conv2 = conv3x3(block.conv2, {.input_zero_point = block.middle_zero_point}),
        .skip = conv3x3(block.skip, subpixel),
        .igdn = gdn(block.normalisation),
        .input_zero_point = block.input_zero_point,
        .middle_zero_point = block.middle_zero_point,
        .output_zero_point = block.output_zero_point,
    };
  }

  PackedFusion fusion(const Fusion& fusion, bool wide) {
    const auto attention = [&](const Attention& a, int inputs) {
      return PackedAttention{
          .local1 = conv(
              a.local1,
              {.wide_input = wide, .input_zero_point = fusion.zero_point, .block_outputs = 8, .repeat_taps = inputs}),
          .local2 = conv(a.local2, {}),
      };
    };
    return {.first = attention(fusion.first, 2), .second = attention(fusion.second, 1), .fusion = &fusion};
  }

  PackedBottleneck bottleneck(const Bottleneck& b, const Model& model) {
    PackedBottleneck packed{};
    for (int k = 0; k < 5; ++k) {
      const Layout wide{.wide_input = true, .split = true};
      const bool strided = k == 2 || k == 4;
      packed.hyper_analysis[k] =
          strided ? Packed3x3{conv(b.hyper_analysis[k], wide), {}} : conv3x3(b.hyper_analysis[k], wide);
      const bool shuffled = k == 1 || k == 3;
      const int channels = b.hyper_synthesis[k].outputs / 4;
      packed.hyper_synthesis[k] = conv3x3(
          b.hyper_synthesis[k],
          {.wide_input = true, .split = true, .order = shuffled ? subpixel_order(channels) : std::vector<int>{}});
    }
    packed.parameters.context =
        conv(b.context, {.wide_input = true, .split = true, .taps = [](int u, int v) { return (u + v) % 2 == 1; }});
    for (int k = 0; k < 3; ++k) {
      packed.parameters.entropy_parameters[k] = conv(b.entropy_parameters[k], {.wide_input = true, .split = true});
    }
    packed.parameters.scale_index = model.scale_index.data();
    packed.parameters.scale_search = scale_search(model.scale_index);
    return packed;
  }

  // PackedParameters::scale_search.
  const std::int16_t* scale_search(const std::vector<std::uint8_t>& scale_index) {
    std::vector<std::int16_t> thresholds(kGaussianTables);
    // Each level's nodes halve equal parts of the indices: below their thresholds are those of the lower half.
    for (int level = 1; level < kGaussianTables; level *= 2) {
      for (int i = 0; i < level; ++i) {
        const int part = kGaussianTables / level, index = i * part + part / 2;
        const auto least = std::lower_bound(scale_index.begin(), scale_index.end(), index);
        thresholds[level + i] = static_cast<std::int16_t>(least - scale_index.begin());
      }
    }
    return copy(thresholds);
  }

  PackedOutput output(const Convolution& output) {
    PackedOutput packed{};
    if (winograd_) {
      packed.direct = output_weights(output, kTaps3x3);
      packed.points = output_weights(output, kTwiceG2x2);
    } else {
      packed.products = output_products(output);
    }
    for (int colour = 0; colour < 3; ++colour) {
      packed.bias[colour] = output.bias[colour];
      packed.multiplier[colour] = output.multiplier[colour];
    }
    return packed;
  }

 private:
  // Packed output (2 dy + dx) n + c of a subpixel convolution to n channels is the model's 4 c + 2 dy + dx (SPEC §2.3).
  static std::vector<int> subpixel_order(int channels) {
    std::vector<int> order(4 * channels);
    for (int p = 0; p < 4 * channels; ++p) order[p] = 4 * (p % channels) + p / channels;
    return order;
  }

  static std::vector<int> model_order(const Convolution& conv) {
    std::vector<int> order(conv.outputs);
    std::iota(order.begin(), order.end(), 0);
    return order;
  }

  // The matrices G of Winograd's algorithms, as cpu/winograd_2x2.h, cpu/winograd_4x4.h and cpu/winograd_strided.h have
  // them.
  static constexpr int kTaps3x3[3][3] = {{1, 0, 0}, {0, 1, 0}, {0, 0, 1}};  // of none
  static constexpr int kTwiceG2x2[4][3] = {{2, 0, 0}, {1, 1, 1}, {1, -1, 1}, {0, 0, 2}};
  static constexpr int kG4x4[6][3] = {{6, 0, 0}, {1, 1, 1}, {1, -1, 1}, {1, 2, 4}, {1, -2, 4}, {0, 0, 6}};
  static constexpr int kGStridedRows[7][3] = {{2, 0, 0}, {0, 2, 0}, {1, 0, -1}, {1, 0, 1},
                                              {0, 2, 0}, {0, 0, 2}, {0, 2, 0}};
  static constexpr int kGStridedColumns[5][3] = {{1, 0, 0}, {0, 1, 0}, {1, 0, 1}, {0, 0, 1}, {0, 1, 0}};

  // Of an output and input, a point's weight: row times g times column.
  static int point_weight(const Convolution& conv, int output, int input, const int (&row)[3], const int (&column)[3]) {
    const std::int8_t* g = &conv.weight[(static_cast<std::size_t>(output) * conv.inputs + input) * 9];
    int sum = 0;
    for (int u = 0; u < 3; ++u) {
      for (int v = 0; v < 3; ++v) sum += row[u] * column[v] * g[3 * u + v];
    }
    return sum;
  }

  // The output convolution as a 1x1 convolution to (tap, colour); see kernels.h.
  PackedConv output_products(const Convolution& output) {
    Convolution products{.outputs = 27,
                         .inputs = kTransformChannels,
                         .kernel = 1,
                         .weight = std::vector<std::int8_t>(27 * kTransformChannels),
                         .bias = std::vector<std::int32_t>(27),
                         .multiplier = {}};
    for (int tap = 0; tap < 9; ++tap) {
      for (int colour = 0; colour < 3; ++colour) {
        for (int c = 0; c < kTransformChannels; ++c) {
          products.weight[(tap * 3 + colour) * kTransformChannels + c] =
              output.weight[(colour * kTransformChannels + c) * 9 + tap];
        }
      }
    }
    return conv(products, {.wide_input = true});
  }
  // Or the points of its G g G^T.
  template <int kSide>
  const std::int16_t* output_weights(const Convolution& output, const int (&G)[kSide][3]) {
    std::vector<std::int16_t> weights;
    for (const int (&row)[3] : G) {
      for (int input = 0; input < output.inputs; input += 2) {
        for (const int (&column)[3] : G) {
          for (int colour = 0; colour < output.outputs; ++colour) {
            for (const int c : {input, input + 1}) {
              weights.push_back(static_cast<std::int16_t>(point_weight(output, colour, c, row, column)));
            }
          }
        }
      }
    }
    return copy(weights);
  }

  // The points of G g G^T, point (u, v) at place(u, v). The bias is added to what they give.
  template <int kSide>
  PackedConv winograd(const Convolution& conv, const Layout& layout, const int (&G)[kSide][3]) {
    return winograd(conv, layout, G, G, [](int u, int v) { return kSide * u + v; });
  }
  template <int kRows, int kColumns, class Place>
  PackedConv winograd(const Convolution& conv, const Layout& layout, const int (&rows)[kRows][3],
                      const int (&columns)[kColumns][3], Place place) {
    constexpr int kPoints = kRows * kColumns, kOutputs = 32;
    const std::vector<int> order = layout.order.empty() ? model_order(conv) : layout.order;
    PackedConv packed{};
    packed.taps = 1;
    packed.groups = conv.inputs / 2;
    packed.block_outputs = packed.outputs = kOutputs;
    packed.blocks = kPoints * ((conv.outputs + kOutputs - 1) / kOutputs);
    packed.tap_bytes = packed.block_bytes = packed.groups * kOutputs * 4;
    packed.bias = allocate<std::int32_t>(static_cast<std::size_t>(packed.blocks) * kOutputs);
    std::uint8_t* weights = allocate<std::uint8_t>(static_cast<std::size_t>(packed.blocks) * packed.block_bytes);
    for (int p = 0; p < conv.outputs; ++p) {
      for (int c = 0; c < conv.inputs; ++c) {
        for (int point = 0; point < kPoints; ++point) {
          const int u = point / kColumns, v = point % kColumns, block = p / kOutputs * kPoints + place(u, v);
          put(weights + static_cast<std::size_t>(block) * packed.block_bytes + (c / 2 * kOutputs + p % kOutputs) * 4,
              c % 2, 2, point_weight(conv, order[p], c, rows[u], columns[v]));
        }
      }
    }
    packed.weights = weights;
    return packed;
  }

  // A convolution's weights for matrix tiles (conv_tiles.h), of weight(packed output, tap, input), which is 0 for those
  // that there are not. For 32 s16 of a pixel, whose low and high bytes take turns in memory and have tiles of their
  // own:
  template <class Weight>
  void point_tiles(PackedConv& packed, Weight weight) {
    assert(packed.taps == 1 && 2 * packed.groups == kTransformChannels);
    std::uint8_t* tile = allocate_tiles(packed, {{0, 0}}, 2);
    for (int first = 0; first < packed.blocks * packed.block_outputs; first += kTileSums) {
      for (const int byte : {0, 1}) {
        for (int input = 0; input < kTransformChannels; ++input) {
          for (int o = 0; o < kTileSums; ++o) {
            tile[input / 2 * kTileBytes + 4 * o + 2 * (input % 2) + byte] =
                static_cast<std::uint8_t>(weight(first + o, 0, input));
          }
        }
        tile += kTileSize;
      }
    }
  }
  // For bytes, or s16 as planes of them: two neighbouring taps of a line of 32 channels in a step, or 64 channels.
  static std::vector<TileStep> tile_steps(const Convolution& conv, const std::vector<int>& taps) {
    std::vector<TileStep> steps;
    for (std::size_t t = 0; t < taps.size(); ++t) {
      const auto tap = static_cast<std::uint8_t>(t);
      for (int chunk = 0; chunk * kTileBytes < conv.inputs; ++chunk) {
        steps.push_back({tap, static_cast<std::uint8_t>(chunk)});
      }
      const bool has_pair = t + 1 < taps.size() && taps[t + 1] / conv.kernel == taps[t] / conv.kernel;
      if (conv.inputs == kTransformChannels && has_pair) ++t;
    }
    return steps;
  }
  template <class Weight>
  void byte_tiles(PackedConv& packed, int inputs, const std::vector<TileStep>& steps, Weight weight) {
    std::uint8_t* tile = allocate_tiles(packed, steps, 1);
    for (int first = 0; first < packed.blocks * packed.block_outputs; first += kTileSums) {
      for (std::size_t s = 0; s < steps.size(); ++s, tile += kTileSize) {
        const int next_tap = s + 1 < steps.size() ? steps[s + 1].tap : packed.taps;
        for (int byte = 0; byte < kTileBytes; ++byte) {
          const int channel = kTileBytes * steps[s].chunk + byte;
          const int tap = steps[s].tap + (inputs == kTransformChannels ? channel / inputs : 0);
          const int input = inputs == kTransformChannels ? channel % inputs : channel;
          if (input >= inputs || tap >= std::max(next_tap, steps[s].tap + 1)) continue;
          for (int o = 0; o < kTileSums; ++o) {
            tile[byte / 4 * kTileBytes + 4 * o + byte % 4] = static_cast<std::uint8_t>(weight(first + o, tap, input));
          }
        }
      }
    }
  }
  // For the image's three bytes of four, of a 3x3 convolution:
  template <class Weight>
  void image_tiles(PackedConv& packed, Weight weight) {
    std::uint8_t* tile = allocate_tiles(packed, {{0, 0}}, 1);
    for (int first = 0; first < packed.blocks * packed.block_outputs; first += kTileSums, tile += kTileSize) {
      for (int tap = 0; tap < 9; ++tap) {
        for (int input = 0; input < 3; ++input) {
          const int byte = 16 * (tap / 3) + 4 * (tap % 3) + input;
          for (int o = 0; o < kTileSums; ++o) {
            tile[byte / 4 * kTileBytes + 4 * o + byte % 4] = static_cast<std::uint8_t>(weight(first + o, tap, input));
          }
        }
      }
    }
  }
  std::uint8_t* allocate_tiles(PackedConv& packed, const std::vector<TileStep>& steps, int tiles_a_step) {
    assert(steps.size() <= kMaximumTileSteps);
    packed.tile_steps = copy(steps);
    packed.tile_step_count = static_cast<std::int32_t>(steps.size());
    packed.tile_bytes = packed.tile_step_count * tiles_a_step * kTileSize;
    const int outputs = packed.blocks * packed.block_outputs;
    std::uint8_t* data = allocate<std::uint8_t>(static_cast<std::size_t>(outputs) / kTileSums * packed.tile_bytes);
    packed.tiles = data;
    return data;
  }

  // Element `index` of a group of four bytes that holds `elements`.
  static void put(std::uint8_t* group, int index, int elements, int weight) {
    if (elements == 4) {
      group[index] = static_cast<std::uint8_t>(static_cast<std::int8_t>(weight));
    } else {
      const std::int16_t wide = static_cast<std::int16_t>(weight);
      std::memcpy(group + 2 * index, &wide, sizeof(wide));
    }
  }

  template <class T>
  T* allocate(std::size_t count) {
    storage_.emplace_back(count * sizeof(T));
    T* data = storage_.back().template as<T>();
    std::memset(data, 0, count * sizeof(T));
    return data;
  }

  template <class T>
  const T* copy(const std::vector<T>& values) {
    T* data = allocate<T>(values.size());
    std::copy(values.begin(), values.end(), data);
    return data;
  }

  std::vector<AlignedBuffer>& storage_;
  const int u8_group_;
  const bool image_groups_, winograd_, matrix_tiles_;
};

PackedModel::PackedModel(const Model& source, const KernelTable& kernels) : model(source) {
  const NearestRounding rounding;
  Packer packer(storage_, kernels);
  for (int level = 0; level < kLevels; ++level) {
    for (const ResidualBlock& block : model.analysis[level]) analysis[level].push_back(packer.residual_down(block));
    for (const ResidualBlock& block : model.synthesis[level]) {
      synthesis[level].push_back(packer.residual_up(block, synthesis_reads_wide(level)));
    }
  }
  for (int level = 0; level < kLevels - 1; ++level) {
    for (const Fusion& fusion : model.synthesis_fusion[level]) {
      synthesis_fusion[level].push_back(packer.fusion(fusion, synthesis_is_wide(level)));
    }
  }
  for (int b = 0; b < kBottlenecks; ++b) {
    analysis_fusion[b] = packer.fusion(model.analysis_fusion[b], true);
    bottleneck[b] = packer.bottleneck(model.bottleneck[b], model);
  }
  output = packer.output(model.output);
}

}  // namespace treenet::cpu

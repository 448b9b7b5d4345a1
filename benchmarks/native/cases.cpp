#include "cases.h"

#include <random>
#include <span>
#include <utility>

#include "codec/error.h"
#include "convolutions.h"
#include "cpu/dispatch.h"
#include "cpu/networks.h"
#include "cpu/row_sharing.h"
#include "random_model.h"

namespace treenet::benchmarks {
namespace {

using namespace cpu;

// Random weights take as long as trained ones, if features in the blocks of the analysis, in the hyper transforms and
// before the output convolution are no larger: Winograd's algorithm takes 14 bits (cpu/winograd_2x2.h).
const Model& model() {
  static const std::shared_ptr<const Model> made = [] {
    testing::RandomModel random(1);
    for (const auto& [name, tensor] : random.tensors) {
      const bool block = name.starts_with("analysis.level") && name.ends_with(".conv1.multiplier");
      const bool hyper = name.find(".hyper_") != std::string::npos && name.ends_with(".multiplier");
      const bool last = name == "synthesis.level3.0.igdn.numerator" || name == "synthesis.level3.0.skip.multiplier";
      if (!block && !hyper && !last) continue;
      for (std::int64_t o = 0; o < tensor.shape[0]; ++o) random.data<float>(name)[o] /= last ? 32 : 8;
    }
    return random.make();
  }();
  return *made;
}

// At a position.
double weights(const Convolution& conv) { return static_cast<double>(conv.weight.size()); }
double paper_macs(const Convolution& conv) { return weights(conv) + static_cast<double>(conv.bias.size()); }

PixelStrides dense(const Tensor& rgb) { return {std::ptrdiff_t{3} * rgb.width, 3, 1}; }

template <class T>
void randomise(const Tensor& tensor, int low, int high) {
  std::mt19937 random(1);
  std::uniform_int_distribution<int> value(low, high);
  for (T& element : std::span(tensor.as<T>(), tensor.elements())) element = static_cast<T>(value(random));
}

}  // namespace

// What a run needs, at a fixed address.
struct Case::Parts {
  explicit Parts(const std::string& isa)
      : kernels(kernels_for(isa)),
        convolutions(convolutions_for(isa)),
        packed(model(), kernels),
        networks(model(), isa, 1),
        pool(networks.buffers()),
        scratch(pool.take(kernels.scratch_bytes())) {}

  Tensor room(DType dtype, int height, int width, int channels) { return {pool, dtype, height, width, channels}; }
  Tensor wide(int height, int width, int channels, int size = 2000) {
    Tensor tensor = room(DType::kI16, height, width, channels);
    randomise<std::int16_t>(tensor, -size, size);
    return tensor;
  }
  Tensor narrow(int height, int width, int channels) {
    Tensor tensor = room(DType::kU8, height, width, channels);
    randomise<std::uint8_t>(tensor, 0, 255);
    return tensor;
  }

  const KernelTable& kernels;
  const Convolutions& convolutions;
  const PackedModel packed;
  Networks networks;
  BufferPool& pool;
  BufferPool::Lease scratch;
  std::array<Sums, 2> sums{};
  std::array<float, kChannels> global{};  // of a fusion
  std::vector<Tensor> tensors;
  Latents inputs, decoded, mean, index;  // of a bottleneck's steps
};

// Makes a case by its name.
class Builder {
 public:
  Builder(Case& made, int height, int width)
      : case_(made), parts_(*made.parts_), kernels_(parts_.kernels), height_(height), width_(width) {}

  void analysis(int level) {
    const int height = height_ >> (level + 1), width = width_ >> (level + 1);
    const bool wide = level > 0;
    const int siblings = wide ? 2 : 1;
    input(wide, 2 * height, 2 * width, wide ? kChannels : 3);
    for (int i = 0; i < siblings; ++i) parts_.tensors.push_back(parts_.room(DType::kI16, height, width, kChannels));
    rows(height, width, wide ? kernels_.down_tile_columns : kernels_.down_image_tile_columns,
         [&parts = parts_, level, wide](const Tile& tile) {
           const PackedResidualDown* const blocks = &parts.packed.analysis[level][0];
           const Tensor& in = parts.tensors[0];
           const Plane outs[2] = {plane(parts.tensors[1]), plane(parts.tensors.back())};
           std::int64_t* const sums = parts.sums[0].data();
           if (wide) {
             parts.kernels.residual_down_siblings(blocks, plane(in), outs, tile, sums, parts.scratch.as<void>());
           } else {
             const InputPixels pixels{in.as<std::uint8_t>(), in.height, in.width, in.height, in.width, dense(in)};
             parts.kernels.residual_down_image(blocks, pixels, outs, tile, sums, parts.scratch.as<void>());
           }
         });
    const ResidualBlock& source = model().analysis[level][0];
    const double positions = double(siblings) * height * width;
    if (wide) {
      strided3x3(positions, source.conv1);
    } else {
      convolution(false, positions, source.conv1);
    }
    convolution(wide, positions, source.skip);
    convolution3x3(true, positions, source.conv2);
    normalisation(positions, source);
    case_.count_ = (1 << level) / siblings;
  }

  void synthesis(int level) {
    const int height = height_ >> (kLevels - 1 - level), width = width_ >> (kLevels - 1 - level);
    const bool reads_wide = synthesis_reads_wide(level), wide = synthesis_is_wide(level), last = level == kLevels - 1;
    input(reads_wide, height / 2, width / 2, kChannels);
    parts_.tensors.push_back(last ? parts_.room(DType::kU8, height, width, 3)
                                  : parts_.room(wide ? DType::kI16 : DType::kU8, height, width, kChannels));
    const PackedResidualUp& block = parts_.packed.synthesis[level][0];
    if (last) {
      rows(height, width, kernels_.up_tile_columns, [&parts = parts_, &block](const Tile& tile) {
        const Tensor& out = parts.tensors[1];
        const OutputPixels pixels{out.as<std::uint8_t>(), out.height, out.width, dense(out), false};
        parts.kernels.residual_up_output(block, parts.packed.output, plane(parts.tensors[0]), pixels, tile,
                                         parts.scratch.as<void>());
      });
    } else {
      const auto kernel = !wide        ? kernels_.residual_up_s16_u8
                          : reads_wide ? kernels_.residual_up_s16_s16
                                       : kernels_.residual_up_u8_s16;
      rows(height, width, kernels_.up_tile_columns, [&parts = parts_, &block, kernel](const Tile& tile) {
        kernel(block, plane(parts.tensors[0]), plane(parts.tensors[1]), tile, parts.sums[0].data(),
               parts.scratch.as<void>());
      });
    }
    const ResidualBlock& source = model().synthesis[level][0];
    const double fine = double(height) * width, coarse = fine / 4;
    for (const Convolution* conv : {&source.conv1, &source.skip}) convolution3x3(reads_wide, coarse, *conv);
    convolution3x3(false, fine, source.conv2);
    normalisation(fine, source);
    if (last) convolution3x3(true, fine, model().output);
    case_.count_ = kLevels - level;
  }

  // One of a block's convolutions alone, of a whole plane at once.
  void convolution_of_image() {
    input(false, height_, width_, 3);
    alone(parts_.convolutions.image, parts_.packed.analysis[0][0].conv1.direct);
    convolution(false, double(height_ / 2) * (width_ / 2), model().analysis[0][0].conv1);
  }
  void convolution_s16_stride2() {
    const int height = height_ / 2, width = width_ / 2;
    input(true, height, width, kChannels);
    alone(parts_.convolutions.s16_stride2, parts_.packed.analysis[1][0].conv1);
    strided3x3(double(height / 2) * (width / 2), model().analysis[1][0].conv1);
  }
  void convolution_s16() {
    const int height = height_ / 2, width = width_ / 2;
    input(true, height, width, kChannels);
    alone(parts_.convolutions.s16, parts_.packed.analysis[0][0].conv2);
    convolution3x3(true, double(height) * width, model().analysis[0][0].conv2);
  }
  void convolution_s16_subpixel() {
    static_assert(synthesis_reads_wide(kLevels - 2));
    const int height = height_ / 4, width = width_ / 4;
    input(true, height, width, kChannels);
    alone(parts_.convolutions.s16_subpixel, parts_.packed.synthesis[kLevels - 2][0].conv1);
    convolution3x3(true, double(height) * width, model().synthesis[kLevels - 2][0].conv1);
  }
  void convolution_u8() {
    input(false, height_, width_, kChannels);
    alone(parts_.convolutions.u8, parts_.packed.synthesis[kLevels - 1][0].conv2);
    convolution3x3(false, double(height_) * width_, model().synthesis[kLevels - 1][0].conv2);
  }
  void convolution_u8_subpixel() {
    static_assert(!synthesis_reads_wide(kLevels - 1));
    const int height = height_ / 2, width = width_ / 2;
    input(false, height, width, kChannels);
    alone(parts_.convolutions.u8_subpixel, parts_.packed.synthesis[kLevels - 1][0].conv1);
    convolution3x3(false, double(height) * width, model().synthesis[kLevels - 1][0].conv1);
  }

  void analysis_fusion() {
    fusion<std::int16_t>(height_ / kBlockSide, width_ / kBlockSide, parts_.packed.analysis_fusion[0],
                         kernels_.fusion_sums_s16, kernels_.fusion_s16);
    case_.count_ = kBottlenecks;
  }

  void synthesis_fusion(int level) {
    const int height = height_ >> (kLevels - 1 - level), width = width_ >> (kLevels - 1 - level);
    const PackedFusion& packed = parts_.packed.synthesis_fusion[level][0];
    if (synthesis_is_wide(level)) {
      fusion<std::int16_t>(height, width, packed, kernels_.fusion_sums_s16, kernels_.fusion_s16);
    } else {
      fusion<std::uint8_t>(height, width, packed, kernels_.fusion_sums_u8, kernels_.fusion_u8);
    }
    case_.count_ = kLevels - 1 - level;
  }

  // All five layers of all bottlenecks; the positions are in units of the hyper-latents', and grow as SPEC §5 says.
  void hyper_analysis() {
    for (Tensor& tensor : parts_.inputs) {
      tensor = parts_.wide(height_ / kBlockSide, width_ / kBlockSide, kChannels, 500);
    }
    case_.run_ = [&parts = parts_] {
      for (int b = 0; b < kBottlenecks; ++b) parts.networks.hyper_analyse(b, parts.inputs[b]);
    };
    layers(&Bottleneck::hyper_analysis, {16, 16, 4, 4, 1}, {1, 1, 2, 1, 2});
  }

  void hyper_synthesis() {
    for (Tensor& tensor : parts_.inputs) {
      tensor = parts_.wide(height_ / kHyperSide, width_ / kHyperSide, kChannels, 3);
    }
    case_.run_ = [&parts = parts_] {
      for (int b = 0; b < kBottlenecks; ++b) parts.networks.hyper_synthesise(b, parts.inputs[b]);
    };
    layers(&Bottleneck::hyper_synthesis, {1, 1, 4, 4, 16}, {1, 1, 1, 1, 1});
  }

  // One pass over all bottlenecks.
  void parameters(Stage stage) {
    const int height = height_ / kBlockSide, width = width_ / kBlockSide;
    const double positions = double(height) * width;
    for (int b = 0; b < kBottlenecks; ++b) {
      parts_.inputs[b] = parts_.wide(height, width, 2 * kChannels);  // psi
      parts_.decoded[b] = parts_.wide(height, width, kChannels);
      parts_.mean[b] = parts_.room(DType::kI16, height, width, kChannels);
      parts_.index[b] = parts_.room(DType::kU8, height, width, kChannels);
      const Bottleneck& source = model().bottleneck[b];
      for (const Convolution& layer : source.entropy_parameters) convolution(true, positions / 2, layer);
      if (stage == kAnchors) {  // no context: half of the first layer's inputs
        case_.work_.s16 -= positions / 2 * weights(source.entropy_parameters[0]) / 2;
      } else {
        case_.work_.macs += positions * paper_macs(source.context);
        case_.work_.s16 += positions / 2 * weights(source.context) * 12 / 25;
      }
    }
    case_.run_ = [&parts = parts_, stage] {
      for (int b = 0; b < kBottlenecks; ++b) {
        parts.networks.parameters(b, parts.inputs[b], parts.decoded[b], stage, parts.mean[b], parts.index[b]);
      }
    };
  }

  // Floats, not of the multiplications that are counted.
  void gain() {
    const int height = height_ / kBlockSide, width = width_ / kBlockSide;
    input(true, height, width, kChannels);
    parts_.tensors.push_back(parts_.room(DType::kI16, height, width, kChannels));
    case_.run_ = [&parts = parts_, positions = std::int64_t{height} * width] {
      parts.kernels.gain_s16(parts.tensors[0].as<std::int16_t>(), model().gain_decode.data(),
                             parts.tensors[1].as<std::int16_t>(), 0, positions);
    };
    case_.count_ = kBottlenecks;
  }

 private:
  void input(bool wide, int height, int width, int channels) {
    parts_.tensors.push_back(wide ? parts_.wide(height, width, channels) : parts_.narrow(height, width, channels));
  }

  // Runs `kernel` on all tiles of a node, as a codec of one thread does.
  template <class Kernel>
  void rows(int height, int width, int tile_columns, Kernel kernel) {
    case_.run_ = [height, tiling = Tiling(width, tile_columns, parts_.kernels.block_pixels), kernel] {
      RowSharing sharing(tiling.across, 0, height, 1, 1);
      for (int index; sharing.begin(0, index);) kernel(tiling.tile(index, {&sharing, 0}));
    };
  }

  template <class Packed>
  void alone(std::uint32_t (*run)(const Packed&, const Plane&, void*), const Packed& packed) {
    parts_.scratch = parts_.pool.take(parts_.convolutions.scratch_bytes(parts_.tensors[0].width));
    case_.run_ = [&parts = parts_, run, &packed] { run(packed, plane(parts.tensors[0]), parts.scratch.as<void>()); };
  }

  // Both attentions; the first one's convolution is on x and on y, not on their sum, and it runs twice.
  template <class T, class SumsKernel, class Kernel>
  void fusion(int height, int width, const PackedFusion& packed, SumsKernel sums_kernel, Kernel kernel) {
    constexpr bool kWide = sizeof(T) == 2;
    input(kWide, height, width, kChannels);
    input(kWide, height, width, kChannels);
    parts_.tensors.push_back(parts_.room(kWide ? DType::kI16 : DType::kU8, height, width, kChannels));
    const auto positions = std::int64_t{height} * width;
    case_.run_ = [&parts = parts_, &packed, sums_kernel, kernel, positions] {
      const float* global = parts.global.data();
      const FusionTask<T> task{&packed.first,
                               &packed.second,
                               global,
                               global,
                               model().sigmoid.data(),
                               parts.tensors[0].as<T>(),
                               parts.tensors[1].as<T>(),
                               parts.tensors[2].as<T>()};
      sums_kernel(task, 0, positions, parts.sums[0].data(), parts.scratch.as<void>());
      kernel(task, 0, positions, parts.scratch.as<void>());
    };
    for (const Attention* attention : {&packed.fusion->first, &packed.fusion->second}) {
      convolution(kWide, double(positions), attention->local1);
      convolution(false, double(positions), attention->local2);
    }
    const Attention& first = packed.fusion->first;
    (kWide ? case_.work_.s16 : case_.work_.u8) += 3 * double(positions) * weights(first.local1);
    case_.work_.u8 += double(positions) * weights(first.local2);
  }

  void layers(std::array<Convolution, 5> Bottleneck::* convs, const std::array<int, 5>& positions,
              const std::array<int, 5>& strides) {
    const double hyper_positions = double(height_ / kHyperSide) * (width_ / kHyperSide);
    for (const Bottleneck& source : model().bottleneck) {
      for (int k = 0; k < 5; ++k) {
        const Convolution& conv = (source.*convs)[k];
        if (strides[k] == 1) {
          convolution3x3(true, positions[k] * hyper_positions, conv);
        } else {
          convolution(true, positions[k] * hyper_positions, conv);
        }
      }
    }
  }

  void convolution(bool wide, double positions, const Convolution& conv) {
    case_.work_.macs += positions * paper_macs(conv);
    (wide ? case_.work_.s16 : case_.work_.u8) += positions * weights(conv);
  }
  // Of stride 1: where by Winograd's algorithms (cpu/conv3x3.h), an s16 with 16 products in
  // place of 36, and a u8 with 36 in place of 144.
  void convolution3x3(bool wide, double positions, const Convolution& conv) {
    case_.work_.macs += positions * paper_macs(conv);
    const double share = !kernels_.winograd ? 1 : wide ? 4.0 / 9 : 1.0 / 4;
    (wide || kernels_.winograd ? case_.work_.s16 : case_.work_.u8) += positions * weights(conv) * share;
  }
  // Of stride 2 and s16 in a residual block: with 35 products in place of 54, where by such an algorithm, too
  // (cpu/winograd_strided.h).
  void strided3x3(double positions, const Convolution& conv) {
    case_.work_.macs += positions * paper_macs(conv);
    case_.work_.s16 += positions * weights(conv) * (kernels_.winograd ? 35.0 / 54 : 1);
  }
  void normalisation(double positions, const ResidualBlock& block) {
    case_.work_.s16 += positions * static_cast<double>(block.normalisation.gamma.size());
  }

  static constexpr int kHyperSide = 4 * kBlockSide;  // pixels for one position of the hyper-latents

  Case& case_;
  Case::Parts& parts_;
  const KernelTable& kernels_;
  const int height_, width_;
};

namespace {

using Build = std::function<void(Builder&)>;

const std::vector<std::pair<std::string, Build>>& builds() {
  static const auto made = [] {
    std::vector<std::pair<std::string, Build>> builds;
    builds.emplace_back("convolution.image", &Builder::convolution_of_image);
    builds.emplace_back("convolution.s16 stride 2", &Builder::convolution_s16_stride2);
    builds.emplace_back("convolution.s16", &Builder::convolution_s16);
    builds.emplace_back("convolution.s16 subpixel", &Builder::convolution_s16_subpixel);
    builds.emplace_back("convolution.u8", &Builder::convolution_u8);
    builds.emplace_back("convolution.u8 subpixel", &Builder::convolution_u8_subpixel);
    for (int level = 0; level < kLevels; ++level) {
      builds.emplace_back("analysis.level" + std::to_string(level), [level](Builder& b) { b.analysis(level); });
    }
    builds.emplace_back("analysis.fusion", &Builder::analysis_fusion);
    builds.emplace_back("gain", &Builder::gain);
    builds.emplace_back("hyper_analysis", &Builder::hyper_analysis);
    builds.emplace_back("hyper_synthesis", &Builder::hyper_synthesis);
    builds.emplace_back("parameters.anchors", [](Builder& b) { b.parameters(kAnchors); });
    builds.emplace_back("parameters.others", [](Builder& b) { b.parameters(kOthers); });
    for (int level = 0; level < kLevels; ++level) {
      const bool last = level == kLevels - 1;
      builds.emplace_back("synthesis.level" + std::to_string(level) + (last ? " and output" : ""),
                          [level](Builder& b) { b.synthesis(level); });
      if (last) break;
      builds.emplace_back("synthesis.fusion" + std::to_string(level),
                          [level](Builder& b) { b.synthesis_fusion(level); });
    }
    return builds;
  }();
  return made;
}

}  // namespace

Case::Case(const std::string& isa, const std::string& name, int height, int width) {
  if (height < 64 || width < 64 || height % 64 != 0 || width % 64 != 0) {
    throw Error(ErrorCode::kInvalidArgument, "the sides of a benchmark's image must be multiples of 64");
  }
  for (const auto& [known, build] : builds()) {
    if (name != known) continue;
    parts_ = std::make_unique<Parts>(isa);
    Builder builder(*this, height, width);
    build(builder);
    // Four bytes of a group are u8_group products of u8, or two of s16 (cpu/kernels.h).
    products_ = work_.u8 + work_.s16 * parts_->kernels.u8_group / 2;
    return;
  }
  throw Error(ErrorCode::kInvalidArgument, "there is no kernel '" + name + "'");
}

Case::~Case() = default;

std::vector<std::string> case_names() {
  std::vector<std::string> names;
  for (const auto& [name, build] : builds()) names.push_back(name);
  return names;
}

}  // namespace treenet::benchmarks

#include "codec/model_reader.h"

#include <cmath>
#include <cstdlib>

#include "codec/error.h"

namespace treenet {
namespace {

const char* name_of(DType dtype) {
  switch (dtype) {
    case DType::kU8:
      return "U8";
    case DType::kI8:
      return "I8";
    case DType::kI16:
      return "I16";
    case DType::kU16:
      return "U16";
    case DType::kI32:
      return "I32";
    case DType::kF32:
      return "F32";
  }
  return "?";
}

std::string text_of(const std::vector<std::int64_t>& shape) {
  std::string text = "[";
  for (std::size_t i = 0; i < shape.size(); ++i) text += (i == 0 ? "" : ", ") + std::to_string(shape[i]);
  return text + "]";
}

[[noreturn]] void fail(const std::string& name, const std::string& what) {
  throw Error(ErrorCode::kModelFile,
              "model file: tensor '" + name + "' " + what + "; the file was not made for this version of the codec");
}

}  // namespace

const void* ModelReader::find(const std::string& name, DType dtype, const std::vector<std::int64_t>& shape) {
  const auto found = tensors_.find(name);
  if (found == tensors_.end()) fail(name, "is missing");
  const TensorView& tensor = found->second;
  if (tensor.dtype != dtype || tensor.shape != shape) {
    fail(name, std::string("is ") + name_of(tensor.dtype) + " " + text_of(tensor.shape) + ", expected " +
                   name_of(dtype) + " " + text_of(shape));
  }
  read_.insert(name);
  return tensor.data;
}

void ModelReader::check_nothing_left() const {
  for (const auto& [name, tensor] : tensors_) {
    if (!read_.contains(name)) fail(name, "is unknown");
  }
}

std::vector<float> ModelReader::factors(const std::string& name, const std::vector<std::int64_t>& shape) {
  std::vector<float> values = read<float>(name, shape);
  for (const float value : values) {
    if (!(value >= std::ldexp(1.0f, -40) && value <= std::ldexp(1.0f, 20)))
      fail(name, "has a value outside 2^-40..2^20");
  }
  return values;
}

int ModelReader::zero_point(const std::string& name) {
  const int value = read<std::int32_t>(name, {1})[0];
  if (value < 0 || value > 255) fail(name, "is outside 0..255: " + std::to_string(value));
  return value;
}

Convolution ModelReader::convolution(const std::string& name, int outputs, int inputs, int kernel,
                                     std::int64_t largest_input, bool requantised) {
  Convolution conv{.outputs = outputs, .inputs = inputs, .kernel = kernel, .weight = {}, .bias = {}, .multiplier = {}};
  const std::vector<std::int64_t> shape = kernel == 0 ? std::vector<std::int64_t>{outputs, inputs}
                                                      : std::vector<std::int64_t>{outputs, inputs, kernel, kernel};
  conv.kernel = kernel == 0 ? 1 : kernel;
  conv.weight = read<std::int8_t>(name + ".weight", shape);
  conv.bias = read<std::int32_t>(name + ".bias", {outputs});
  if (requantised) conv.multiplier = factors(name + ".multiplier", {outputs});
  const std::size_t row = conv.weight.size() / static_cast<std::size_t>(outputs);
  for (int o = 0; o < outputs; ++o) {
    std::int64_t sum = 0;
    for (std::size_t i = 0; i < row; ++i) sum += std::abs(static_cast<int>(conv.weight[o * row + i]));
    const std::int64_t bias = std::llabs(static_cast<long long>(conv.bias[o]));
    if (bias + largest_input * sum >= (std::int64_t{1} << 31)) {
      fail(name + ".weight", "may overflow 32 bits in output " + std::to_string(o));
    }
  }
  return conv;
}

Normalisation ModelReader::normalisation(const std::string& name) {
  Normalisation g;
  g.numerator = factors(name + ".numerator", {kTransformChannels});
  g.magnitude = factors(name + ".magnitude", {kTransformChannels});
  g.beta = read<std::int32_t>(name + ".beta", {kTransformChannels});
  g.gamma = read<std::uint8_t>(name + ".gamma", {kTransformChannels, kTransformChannels});
  for (const std::int32_t beta : g.beta) {
    if (beta < 1 || beta >= (1 << 30)) fail(name + ".beta", "has a value outside 1..2^30 - 1");
  }
  return g;
}

ResidualBlock ModelReader::residual_down(const std::string& name, int inputs) {
  const bool image = inputs != kTransformChannels;
  ResidualBlock block;
  block.input_zero_point = image ? kImageZero : 0;
  const std::int64_t largest = image ? largest_u8(kImageZero) : kLargestS16;
  block.conv1 = convolution(name + ".conv1", kTransformChannels, inputs, 3, largest, true);
  block.conv2 = convolution(name + ".conv2", kTransformChannels, kTransformChannels, 3, kLargestS16, false);
  block.normalisation = normalisation(name + ".gdn");
  block.skip = convolution(name + ".skip", kTransformChannels, inputs, 1, largest, true);
  return block;
}

ResidualBlock ModelReader::residual_up(const std::string& name, int input_zero_point, bool wide_input,
                                       bool wide_output) {
  ResidualBlock block;
  block.input_zero_point = input_zero_point;
  block.middle_zero_point = zero_point(name + ".conv1.zero_point");
  block.output_zero_point = wide_output ? 0 : zero_point(name + ".zero_point");
  const std::int64_t largest = wide_input ? kLargestS16 : largest_u8(input_zero_point);
  block.conv1 = convolution(name + ".conv1", 4 * kTransformChannels, kTransformChannels, 3, largest, true);
  block.conv2 = convolution(name + ".conv2", kTransformChannels, kTransformChannels, 3,
                            largest_u8(block.middle_zero_point), false);
  block.normalisation = normalisation(name + ".igdn");
  block.skip = convolution(name + ".skip", 4 * kTransformChannels, kTransformChannels, 3, largest, true);
  return block;
}

Attention ModelReader::attention(const std::string& name, std::int64_t largest_input, int mean_bits) {
  constexpr int kHidden = 8;
  constexpr int kMatrix = 0;  // weights are [out, in]
  return {
      .local1 = convolution(name + ".local1", kHidden, kTransformChannels, kMatrix, largest_input, true),
      .local2 = convolution(name + ".local2", kTransformChannels, kHidden, kMatrix, 255, true),
      .global1 = convolution(name + ".global1", kHidden, kTransformChannels, kMatrix, largest_input << mean_bits, true),
      .global2 = convolution(name + ".global2", kTransformChannels, kHidden, kMatrix, 32767, true),
  };
}

Fusion ModelReader::fusion(const std::string& name, int zero_point, bool wide) {
  const int mean_bits = wide ? 0 : 6;
  const std::int64_t largest = wide ? kLargestS16 : largest_u8(zero_point);
  return {
      .first = attention(name + ".first", 2 * largest, mean_bits),
      .second = attention(name + ".second", largest, mean_bits),
      .zero_point = zero_point,
      .mean_bits = mean_bits,
  };
}

Bottleneck ModelReader::bottleneck(const std::string& name) {
  Bottleneck b;
  const auto conv = [&](const std::string& part, int outputs, int inputs, int kernel) {
    return convolution(name + "." + part, outputs, inputs, kernel, kLargestS16, true);
  };
  for (int k = 0; k < 5; ++k) b.hyper_analysis[k] = conv("hyper_analysis." + std::to_string(k), 32, 32, 3);
  constexpr int kSynthesis[5][2] = {{32, 32}, {128, 32}, {48, 32}, {192, 48}, {64, 48}};
  for (int k = 0; k < 5; ++k) {
    b.hyper_synthesis[k] = conv("hyper_synthesis." + std::to_string(k), kSynthesis[k][0], kSynthesis[k][1], 3);
  }
  b.context = conv("context", 64, 32, 5);
  for (int i = 0; i < 64 * 32; ++i) {
    for (int u = 0; u < 5; ++u) {
      for (int v = 0; v < 5; ++v) {
        if ((u + v) % 2 == 0 && b.context.weight[25 * i + 5 * u + v] != 0) {
          fail(name + ".context.weight", "is not zero at a masked tap");
        }
      }
    }
  }
  constexpr int kParameters[3][2] = {{106, 128}, {85, 106}, {64, 85}};
  for (int k = 0; k < 3; ++k) {
    b.entropy_parameters[k] = conv("entropy_parameters." + std::to_string(k), kParameters[k][0], kParameters[k][1], 1);
  }
  return b;
}

}  // namespace treenet

// The integer model, as the model file has it (SPEC §9), checked. Nothing here depends on an instruction set or a
// device; backends pack it their own way.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "codec/entropy_tables.h"

namespace treenet {

enum class DType { kU8, kI8, kU16, kI16, kI32, kF32 };

constexpr std::size_t size_of(DType dtype) {
  switch (dtype) {
    case DType::kU8:
    case DType::kI8:
      return 1;
    case DType::kU16:
    case DType::kI16:
      return 2;
    case DType::kI32:
    case DType::kF32:
      return 4;
  }
  return 0;
}

// A tensor of the model file; the data belongs to the caller.
struct TensorView {
  DType dtype;
  std::vector<std::int64_t> shape;
  const void* data;
};
using TensorMap = std::map<std::string, TensorView>;

inline constexpr int kTransformChannels = 32;
inline constexpr int kBottlenecks = 4;
inline constexpr int kLevels = 4;  // of either transform
inline constexpr int kQualities = 100;
inline constexpr int kGaussianTables = 64;
inline constexpr int kImageZero = 128;  // the image's zero point (SPEC §3)

// Whether the outputs of a level of the synthesis, and of the fusions after it, are wide: s16, not u8 (SPEC §6).
constexpr bool synthesis_is_wide(int level) { return level != 2; }
// Whether the inputs of a level of the synthesis are.
constexpr bool synthesis_reads_wide(int level) { return level == 0 || synthesis_is_wide(level - 1); }

// SPEC §2.1. `multiplier` is empty where a normalisation follows.
struct Convolution {
  int outputs = 0, inputs = 0, kernel = 0;
  std::vector<std::int8_t> weight;  // [outputs, inputs, kernel, kernel]
  std::vector<std::int32_t> bias;
  std::vector<float> multiplier;
};

// SPEC §2.4.
struct Normalisation {
  std::vector<float> numerator, magnitude;  // [32]
  std::vector<std::int32_t> beta;           // [32]
  std::vector<std::uint8_t> gamma;          // [32, 32]
};

// SPEC §2.5 with GDN, §2.6 with inverse GDN. Zero points of s16 activations are 0.
struct ResidualBlock {
  Convolution conv1, conv2, skip;
  Normalisation normalisation;
  int input_zero_point = 0, middle_zero_point = 0, output_zero_point = 0;
};

// SPEC §2.7.
struct Attention {
  Convolution local1, local2, global1, global2;
};
struct Fusion {
  Attention first, second;
  int zero_point = 0;
  int mean_bits = 0;  // F: 6 for u8, 0 for s16
};

// SPEC §5.
struct Bottleneck {
  std::array<Convolution, 5> hyper_analysis, hyper_synthesis;
  Convolution context;
  std::array<Convolution, 3> entropy_parameters;
};

class Model {
 public:
  // Copies and checks everything that SPEC §9 asks for but the hash itself, which the reader of the file has computed.
  // Throws Error(kModelFile).
  Model(const TensorMap& tensors, const std::array<std::uint8_t, 32>& hash);

  std::array<std::uint8_t, 32> hash;
  std::array<std::vector<ResidualBlock>, kLevels> analysis;  // [level][node]: 1, 2, 4, 8
  std::array<Fusion, kBottlenecks> analysis_fusion;
  std::array<std::vector<ResidualBlock>, kLevels> synthesis;      // 4, 3, 2, 1
  std::array<std::vector<Fusion>, kLevels - 1> synthesis_fusion;  // 3, 2, 1
  Convolution output;
  std::array<Bottleneck, kBottlenecks> bottleneck;
  std::vector<float> gain_encode, gain_decode;  // [100, 128]
  std::array<std::uint8_t, 128> sigmoid;
  std::vector<std::uint8_t> scale_index;  // [32768]: the index of v (SPEC §5)
  int entropy_skip;
  std::unique_ptr<const EntropyTables> tables;  // 64 of latents, 128 of hyper-latents
};

}  // namespace treenet

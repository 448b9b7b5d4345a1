// The model on a device, packed in the order in which the kernels consume it (weights.h).
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "codec/model.h"
#include "cuda/runtime.h"
#include "cuda/weights.h"

namespace treenet::cuda {

// Immutable once made, in memory of the device that was current then.
class PackedModel {
 public:
  explicit PackedModel(const Model& model);

  using Layer = std::array<Conv, kBottlenecks>;  // one layer of the four bottlenecks

  std::array<std::vector<ResidualBlockWeights>, kLevels> analysis, synthesis;  // [level][node]
  std::vector<FusionWeights> analysis_fusion;
  std::array<std::vector<FusionWeights>, kLevels - 1> synthesis_fusion;
  Conv pixels;  // synthesis.output: [tap][32 lanes] pairs of words, three columns of one product
  std::array<Layer, 5> hyper_analysis, hyper_synthesis;
  Layer context;
  std::array<Layer, 3> entropy_parameters;
  const std::uint8_t* sigmoid;      // [128]
  const std::uint8_t* scale_index;  // [32768]
  int entropy_skip;

 private:
  DeviceBuffer memory_;
};

}  // namespace treenet::cuda

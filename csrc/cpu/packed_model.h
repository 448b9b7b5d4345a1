// The model packed for one kernel table: weights in the order in which its kernels consume them.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "codec/aligned_buffer.h"
#include "codec/model.h"
#include "cpu/kernels.h"

namespace treenet::cpu {

struct PackedFusion {
  PackedAttention first, second;
  const Fusion* fusion;  // for the global branches, which are too small to pack
};

struct PackedBottleneck {
  std::array<Packed3x3, 5> hyper_analysis, hyper_synthesis;
  PackedParameters parameters;
};

// Refers to the model, which has to outlive it. Immutable once made; neither copied nor moved, because its members
// point into it.
class PackedModel {
 public:
  PackedModel(const Model& model, const KernelTable& kernels);
  PackedModel(const PackedModel&) = delete;
  PackedModel& operator=(const PackedModel&) = delete;

  const Model& model;
  std::array<std::vector<PackedResidualDown>, kLevels> analysis;
  std::array<PackedFusion, kBottlenecks> analysis_fusion;
  std::array<std::vector<PackedResidualUp>, kLevels> synthesis;
  std::array<std::vector<PackedFusion>, kLevels - 1> synthesis_fusion;
  PackedOutput output;
  std::array<PackedBottleneck, kBottlenecks> bottleneck;

 private:
  friend class Packer;
  std::vector<AlignedBuffer> storage_;
};

}  // namespace treenet::cpu

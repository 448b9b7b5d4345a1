// The kernel tables that are held against the plain one: those of this machine's instruction sets, and emulated ones.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "cpu/dispatch.h"
#include "cpu/packed_model.h"

namespace treenet::cpu {

extern const KernelTable kernels_emulated_tiles;  // emulated_tiles.cpp

inline std::vector<const KernelTable*> tables_beside_scalar() {
  std::vector<const KernelTable*> tables = {&kernels_emulated_tiles};
  for (const std::string& isa : usable_isas()) {
    if (isa == "scalar") continue;
    prepare(isa);
    tables.push_back(&kernels_for(isa));
  }
  return tables;
}

// A model, packed for each table when that is first used.
class PackedModels {
 public:
  explicit PackedModels(std::shared_ptr<const Model> model) : model_(std::move(model)) {}

  const PackedModel& operator[](const KernelTable& kernels) {
    std::unique_ptr<PackedModel>& packed = packed_[&kernels];
    if (packed == nullptr) packed = std::make_unique<PackedModel>(*model_, kernels);
    return *packed;
  }

 private:
  std::shared_ptr<const Model> model_;
  std::map<const KernelTable*, std::unique_ptr<PackedModel>> packed_;
};

}  // namespace treenet::cpu

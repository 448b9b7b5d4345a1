// Fusions on every kernel table against the plain one: any number of positions, features and weights at their limits.
#include <array>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "check.h"
#include "codec/aligned_buffer.h"
#include "kernel_tables.h"
#include "random_model.h"

namespace treenet::cpu {
namespace {

// Attentions whose weights reach 0 and 256, and come in between, too; with multipliers at their bounds (SPEC §9).
std::shared_ptr<const Model> extreme_model() {
  testing::RandomModel random(5);
  std::uint8_t* sigmoid = random.data<std::uint8_t>("sigmoid");
  for (int k = 0; k < 128; ++k) sigmoid[k] = static_cast<std::uint8_t>(k < 40 ? k : k < 64 ? 100 : k < 127 ? 127 : 128);
  for (const auto& [name, tensor] : random.tensors) {
    if (!name.ends_with(".local2.multiplier")) continue;
    float* multiplier = random.data<float>(name);
    for (int o = 0; o < kChannels; o += 8) {
      multiplier[o] = 0x1p20f;
      multiplier[o + 3] = 0x1p-40f;
    }
  }
  return random.make();
}

const PackedModel& packed_for(const KernelTable& kernels) {
  static PackedModels models(extreme_model());
  return models[kernels];
}

template <class T>
struct Kernels;
template <>
struct Kernels<std::uint8_t> {
  static constexpr auto kSums = &KernelTable::fusion_sums_u8;
  static constexpr auto kFuse = &KernelTable::fusion_u8;
  static const PackedFusion& packed(const PackedModel& model) { return model.synthesis_fusion[2][0]; }
};
template <>
struct Kernels<std::int16_t> {
  static constexpr auto kSums = &KernelTable::fusion_sums_s16;
  static constexpr auto kFuse = &KernelTable::fusion_s16;
  static const PackedFusion& packed(const PackedModel& model) { return model.synthesis_fusion[0][0]; }
};

template <class T>
struct Result {
  std::vector<T> fused;
  std::array<std::int64_t, kChannels> sums;
  bool operator==(const Result&) const = default;
};

// `in_place` as the networks do it: the fusion takes the place of x.
template <class T>
Result<T> run(const KernelTable& kernels, std::vector<T> x, const std::vector<T>& y, const float* global,
              bool in_place) {
  const PackedModel& model = packed_for(kernels);
  const PackedFusion& packed = Kernels<T>::packed(model);
  Result<T> result{std::vector<T>(x.size()), {}};
  T* out = in_place ? x.data() : result.fused.data();
  const FusionTask<T> task{&packed.first, &packed.second, global, global, model.model.sigmoid.data(),
                           x.data(),      y.data(),       out};
  AlignedBuffer scratch(kernels.scratch_bytes());
  const auto positions = static_cast<std::int64_t>(x.size() / kChannels), half = positions / 2;
  for (const auto& [begin, end] : {std::pair{std::int64_t{0}, half}, {half, positions}}) {
    (kernels.*Kernels<T>::kSums)(task, begin, end, result.sums.data(), scratch.as<void>());
  }
  for (const auto& [begin, end] : {std::pair{std::int64_t{0}, half}, {half, positions}}) {
    (kernels.*Kernels<T>::kFuse)(task, begin, end, scratch.as<void>());
  }
  if (in_place) result.fused = x;
  return result;
}

template <class T>
void same_everywhere(int positions, const std::function<int()>& value) {
  std::mt19937 random(1);
  std::vector<T> x(static_cast<std::size_t>(positions) * kChannels), y(x.size());
  for (T& element : x) element = static_cast<T>(value());
  for (T& element : y) element = static_cast<T>(value());
  for (const float size : {0.0f, 30.0f, 1e30f}) {
    std::array<float, kChannels> global;
    for (float& fg : global) fg = std::uniform_real_distribution<float>(-size, size)(random);
    const Result<T> expected = run(*kernels_scalar, x, y, global.data(), false);
    for (const KernelTable* kernels : tables_beside_scalar()) {
      for (const bool in_place : {false, true}) CHECK(run(*kernels, x, y, global.data(), in_place) == expected);
    }
  }
}

TEST("a fusion of any number of positions") {
  std::mt19937 random(2);
  for (const int positions : {1, 2, 3, 11, 12, 13, 31, 47, 48, 49, 63, 64, 65, 96, 97, 150}) {
    same_everywhere<std::uint8_t>(positions, [&] { return static_cast<int>(random() % 256); });
    same_everywhere<std::int16_t>(positions, [&] { return static_cast<int>(random() % 8000) - 4000; });
  }
}

TEST("a fusion of features at both ends") {
  std::mt19937 random(3);
  same_everywhere<std::uint8_t>(200, [&] { return random() % 2 != 0 ? 255 : 0; });
  same_everywhere<std::int16_t>(200, [&] { return random() % 2 != 0 ? 32767 : -32768; });
}

TEST("a fusion of features that are all the same") {
  for (const int value : {0, 128, 255}) same_everywhere<std::uint8_t>(50, [=] { return value; });
  for (const int value : {-32768, -1, 0, 32767}) same_everywhere<std::int16_t>(50, [=] { return value; });
}

}  // namespace
}  // namespace treenet::cpu

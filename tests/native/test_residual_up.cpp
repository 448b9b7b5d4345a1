// Upsampling blocks on every instruction set against the plain one, where Winograd's algorithm is at its limits: inputs
// of 14 bits and beyond, extreme weights, tiles and rows of any place and number.
#include <algorithm>
#include <array>
#include <functional>
#include <map>
#include <memory>
#include <numeric>
#include <random>
#include <set>
#include <vector>

#include "check.h"
#include "cpu/dispatch.h"
#include "cpu/packed_model.h"
#include "cpu/row_sharing.h"
#include "cpu/tensor.h"
#include "random_model.h"

namespace treenet::cpu {
namespace {

// Weights of +-127 and -128 alone in the synthesis, and outputs that do not all end at the bounds for it.
std::shared_ptr<const Model> extreme_model() {
  testing::RandomModel random(7);
  for (const auto& [name, tensor] : random.tensors) {
    if (name.rfind("synthesis.level", 0) != 0) continue;
    const auto size = static_cast<std::size_t>(
        std::accumulate(tensor.shape.begin(), tensor.shape.end(), std::int64_t{1}, std::multiplies<>()));
    if (name.ends_with(".weight")) {
      std::int8_t* weights = random.data<std::int8_t>(name);
      for (std::size_t i = 0; i < size; ++i) weights[i] = weights[i] < -40 ? -128 : weights[i] < 40 ? 127 : -127;
    } else if (name.ends_with(".multiplier") || name.ends_with(".numerator")) {
      float* factors = random.data<float>(name);
      for (std::size_t i = 0; i < size; ++i) factors[i] /= 16;
    }
  }
  return random.make();
}

const PackedModel& packed_for(const std::string& isa) {
  static const std::shared_ptr<const Model> model = extreme_model();
  static std::map<std::string, std::unique_ptr<PackedModel>> packed;
  if (!packed.contains(isa)) packed[isa] = std::make_unique<PackedModel>(*model, kernels_for(isa));
  return *packed[isa];
}

// All of a block's output, computed in tiles `widest` wide and in parts that begin at `starts`.
template <class T>
std::vector<T> run(const std::string& isa, std::vector<std::int16_t> in, int height, int width, int widest,
                   std::vector<int> starts) {
  constexpr bool kWide = sizeof(T) == 2;
  const KernelTable& kernels = kernels_for(isa);
  const PackedResidualUp& block = packed_for(isa).synthesis[kWide ? 1 : 2][0];
  const auto kernel = kWide ? kernels.residual_up_s16_s16 : kernels.residual_up_s16_u8;
  std::vector<T> out(static_cast<std::size_t>(4) * height * width * kChannels);
  AlignedBuffer scratch(kernels.scratch_bytes());
  std::array<std::int64_t, kChannels> sums{};
  const Tiling tiling(2 * width, std::min(widest, kernels.up_tile_columns));
  starts.push_back(2 * height);
  for (std::size_t part = 0; part + 1 < starts.size(); ++part) {
    RowSharing sharing(tiling.across, starts[part], starts[part + 1], 1);
    for (int index; sharing.begin(0, index);) {
      kernel(block, {in.data(), height, width, kChannels}, {out.data(), 2 * height, 2 * width, kChannels},
             tiling.tile(index, {&sharing, 0}), sums.data(), scratch.as<void>());
    }
  }
  return out;
}

template <class T>
void same_everywhere(const std::vector<std::int16_t>& input, int height, int width) {
  const std::vector<T> expected = run<T>("scalar", input, height, width, 384, {0});
  // Not all of it at the bounds.
  CHECK(std::set<T>(expected.begin(), expected.end()).size() > 16);
  for (const std::string& isa : usable_isas()) {
    if (isa == "scalar") continue;
    for (const std::vector<int>& starts : {std::vector<int>{0}, {0, 1, 3}, {0, 2}, {0, 5, 6}}) {
      if (starts.back() >= 2 * height) continue;
      for (const int widest : {384, 24}) CHECK(run<T>(isa, input, height, width, widest, starts) == expected);
    }
  }
}

void same_at_all_levels(const std::vector<std::int16_t>& input, int height, int width) {
  same_everywhere<std::int16_t>(input, height, width);
  same_everywhere<std::uint8_t>(input, height, width);
}

template <class Value>
std::vector<std::int16_t> filled(int height, int width, Value value) {
  std::vector<std::int16_t> input(static_cast<std::size_t>(height) * width * kChannels);
  for (std::size_t i = 0; i < input.size(); ++i) input[i] = static_cast<std::int16_t>(value(i));
  return input;
}

TEST("the largest numbers of 14 bits") {
  std::mt19937 random(1);
  const auto input = filled(9, 30, [&](std::size_t) { return random() % 2 != 0 ? 8191 : -8192; });
  same_at_all_levels(input, 9, 30);
}

TEST("the largest numbers of 14 bits in a row of one sign, and in a chequered pattern") {
  for (const int sign : {1, -1}) {
    const auto value = [&](std::size_t i) { return i / kChannels % 2 == 0 && sign < 0 ? 8191 : -8192; };
    same_at_all_levels(filled(6, 26, value), 6, 26);
  }
}

TEST("a number of more than 14 bits anywhere") {
  const int height = 8, width = 28;
  for (const int large : {8192, -8193, 32767, -32768}) {
    for (int row = 0; row < height; ++row) {
      std::mt19937 random(row);
      auto input = filled(height, width, [&](std::size_t) { return static_cast<int>(random() % 16384) - 8192; });
      const int column = row * 27 / 7, channel = row * 31 / 7;
      input[(static_cast<std::size_t>(row) * width + column) * kChannels + channel] = static_cast<std::int16_t>(large);
      same_at_all_levels(input, height, width);
    }
  }
}

TEST("numbers of just more than 14 bits") {
  std::mt19937 random(2);
  const auto value = [&](std::size_t) { return random() % 2 != 0 ? 8192 : -8193; };
  same_at_all_levels(filled(9, 30, value), 9, 30);
}

TEST("numbers of all 16 bits, and images of a few pixels") {
  for (const auto& [height, width] : {std::pair{1, 1}, {1, 2}, {2, 1}, {3, 3}, {5, 13}, {4, 205}}) {
    std::mt19937 random(height * 1000 + width);
    for (const int shift : {0, 3}) {
      const auto value = [&](std::size_t) { return static_cast<std::int16_t>(random()) >> shift; };
      same_at_all_levels(filled(height, width, value), height, width);
    }
  }
}

}  // namespace
}  // namespace treenet::cpu

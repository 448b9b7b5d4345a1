// The output convolution on every kernel table against the plain one, at the limits of Winograd's algorithm: features
// of 14 bits and beyond, extreme weights, rows of any place and number.
#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "check.h"
#include "kernel_tables.h"
#include "random_model.h"
#include "tiles.h"

namespace treenet::cpu {
namespace {

// A model whose features are (input - 128) * size of even channels, and (128 - input) * size of odd ones, each of one
// input channel: those of inputs from 0 to 255 reach from -128 * size to 128 * size.
std::shared_ptr<const Model> model_of(float size) {
  testing::RandomModel random(11);
  const std::string block = "synthesis.level3.0.";
  std::fill_n(random.data<std::int8_t>(block + "conv2.weight"), kChannels * kChannels * 9, 0);
  std::fill_n(random.data<std::int32_t>(block + "conv2.bias"), kChannels, 0);
  for (const char* node : {"0", "1"}) {
    *random.data<std::int32_t>("synthesis.level2." + std::string(node) + ".zero_point") = 128;
  }
  std::int8_t* skip = random.data<std::int8_t>(block + "skip.weight");
  std::fill_n(skip, 4 * kChannels * kChannels * 9, 0);
  for (int output = 0; output < 4 * kChannels; ++output) {
    const int channel = output / 4;
    skip[(output * kChannels + channel) * 9 + 4] = static_cast<std::int8_t>(channel % 2 == 0 ? 1 : -1);
    random.data<std::int32_t>(block + "skip.bias")[output] = 0;
    random.data<float>(block + "skip.multiplier")[output] = size;
  }
  std::int8_t* weights = random.data<std::int8_t>("synthesis.output.weight");
  for (int i = 0; i < 3 * kChannels * 9; ++i) weights[i] = weights[i] < -40 ? -128 : weights[i] < 40 ? 127 : -127;
  for (int colour = 0; colour < 3; ++colour) {
    random.data<std::int32_t>("synthesis.output.bias")[colour] = static_cast<std::int32_t>(2e5f * size);
    random.data<float>("synthesis.output.multiplier")[colour] = 6e-4f / size;
  }
  return random.make();
}

const PackedModel& packed_for(const KernelTable& kernels, float size) {
  static std::map<float, PackedModels> models;
  const auto found = models.find(size);
  return (found != models.end() ? found : models.emplace(size, model_of(size)).first)->second[kernels];
}

constexpr int kHeight = 10, kWidth = 38;  // of the input

std::vector<std::uint8_t> pixels(const PackedModel& packed, const KernelTable& kernels,
                                 std::vector<std::uint8_t> numbers, int columns, std::vector<int> starts) {
  const int in_width = static_cast<int>(numbers.size()) / (kHeight * kChannels);
  const int height = 2 * kHeight, width = 2 * in_width;
  std::vector<std::uint8_t> rgb(std::size_t{3} * height * width);
  const OutputPixels out{rgb.data(), height, width, {3 * width, 3, 1}, false};
  const Plane in{numbers.data(), kHeight, in_width, kChannels};
  starts.push_back(height);
  in_tiles(kernels, width, std::min(columns, kernels.up_tile_columns), starts, [&](const Tile& tile, void* scratch) {
    kernels.residual_up_output(packed.synthesis[3][0], packed.output, in, out, tile, scratch);
  });
  return rgb;
}

void same_everywhere(float size, const std::function<int(std::size_t)>& input, int width = kWidth) {
  std::vector<std::uint8_t> numbers(static_cast<std::size_t>(kHeight) * width * kChannels);
  for (std::size_t i = 0; i < numbers.size(); ++i) numbers[i] = static_cast<std::uint8_t>(input(i));
  const auto expected = pixels(packed_for(*kernels_scalar, size), *kernels_scalar, numbers, 384, {0});
  CHECK(std::set<std::uint8_t>(expected.begin(), expected.end()).size() > 2);
  for (const KernelTable* kernels : tables_beside_scalar()) {
    for (const std::vector<int>& starts : {std::vector<int>{0}, {0, 1, 3}, {0, 2, 6}, {0, 5, 8}, {0, 11, 19}}) {
      for (const int columns : {kernels->up_tile_columns, 2 * kernels->block_pixels}) {
        CHECK(pixels(packed_for(*kernels, size), *kernels, numbers, columns, starts) == expected);
      }
    }
  }
}

int end_of_bytes(std::mt19937& random) { return random() % 2 != 0 ? 255 : 0; }

TEST("features at both ends of 14 bits") {
  for (const float size : {64.0f, 8191 / 128.0f}) {
    std::mt19937 random(1);
    for (const int width : {kWidth, 8, 3, 1}) {
      same_everywhere(size, [&](std::size_t) { return end_of_bytes(random); }, width);
    }
  }
}

TEST("features of more than 14 bits, by little and by much") {
  for (const float size : {8193 / 128.0f, 65.0f, 100.0f, 128.0f, 255.9f}) {
    std::mt19937 random(2);
    same_everywhere(size, [&](std::size_t) { return end_of_bytes(random); });
  }
}

TEST("features that saturate") {
  std::mt19937 random(3);
  same_everywhere(300.0f, [&](std::size_t) { return end_of_bytes(random); });
}

TEST("features in turn, by pixels and by rows") {
  for (const std::size_t period : {std::size_t{1}, std::size_t{kWidth}}) {
    for (const float size : {64.0f, 128.0f}) {
      same_everywhere(size, [=](std::size_t i) {
        const bool high = i / kChannels / period % 2 != 0, odd = i % 2 != 0;
        return high != odd ? 255 : i % 7 == 0 ? 100 : 0;
      });
    }
  }
}

TEST("one feature of more than 14 bits, anywhere") {
  std::mt19937 random(4);
  for (int turn = 0; turn < 10; ++turn) {
    const std::size_t large = random() % (kHeight * kWidth * kChannels);
    same_everywhere(128.0f, [&](std::size_t i) {
      return i == large ? end_of_bytes(random) : static_cast<int>(64 + random() % 128);
    });
  }
}

}  // namespace
}  // namespace treenet::cpu

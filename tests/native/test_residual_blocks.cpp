// Residual blocks on every kernel table against the plain one, where Winograd's algorithms are at their limits:
// numbers of 14 bits and beyond, u8 at both ends, extreme weights, tiles and rows of any place and number.
#include <algorithm>
#include <array>
#include <functional>
#include <memory>
#include <numeric>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "check.h"
#include "cpu/tensor.h"
#include "kernel_tables.h"
#include "random_model.h"
#include "tiles.h"

namespace treenet::cpu {
namespace {

// Weights of +-127 and -128 alone, and outputs that do not all end at the bounds for it; features in the blocks of the
// analysis may. Of t in the blocks of the synthesis some channels have multipliers at their bounds (SPEC §9), or that
// give halves, and levels zero points at theirs.
std::shared_ptr<const Model> extreme_model() {
  testing::RandomModel random(7);
  for (const auto& [name, tensor] : random.tensors) {
    if (!name.starts_with("synthesis.level") && !name.starts_with("analysis.level")) continue;
    if (name.starts_with("analysis") && name.ends_with(".conv1.multiplier")) continue;
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
  for (const int level : {1, 2, 3}) {
    const std::string conv1 = "synthesis.level" + std::to_string(level) + ".0.conv1.";
    float* multiplier = random.data<float>(conv1 + "multiplier");
    for (int o = 0; o < 4 * kChannels; o += 16) {
      multiplier[o] = 0x1p20f;
      multiplier[o + 5] = 0x1p-40f;
      multiplier[o + 10] = 0.5f;
    }
    *random.data<std::int32_t>(conv1 + "zero_point") = level == 1 ? 0 : level == 2 ? 255 : 100;
  }
  return random.make();
}

const PackedModel& packed_for(const KernelTable& kernels) {
  static PackedModels models(extreme_model());
  return models[kernels];
}

// Numbers [height, width, channels].
template <class T>
struct Image {
  int height, width, channels;
  std::vector<T> numbers;

  Image(int height, int width, int channels, const std::function<int(std::size_t)>& value)
      : height(height), width(width), channels(channels), numbers(static_cast<std::size_t>(height) * width * channels) {
    for (std::size_t i = 0; i < numbers.size(); ++i) numbers[i] = static_cast<T>(value(i));
  }
  T* at(int row, int column) { return &numbers[(static_cast<std::size_t>(row) * width + column) * channels]; }
};

using Wide = Image<std::int16_t>;
using Narrow = Image<std::uint8_t>;

Wide wide(int height, int width, const std::function<int(std::size_t)>& value) {
  return {height, width, kChannels, value};
}

// Up to `size` above or below zero.
std::function<int(std::size_t)> within(int size, unsigned seed) {
  return [random = std::mt19937(seed), size](std::size_t) mutable {
    return static_cast<int>(random() % (2 * size)) - size;
  };
}

// The outputs of a kernel, which are two where it is of siblings, and their sums.
template <class T>
struct Output {
  std::vector<T> numbers;
  std::array<std::int64_t, 2 * kChannels> sums;
  bool operator==(const Output&) const = default;
};

using Kernel = std::function<void(const PackedModel&, const KernelTable&, const Plane& in, const Plane* outs,
                                  const Tile&, std::int64_t* sums, void* scratch)>;

// A block by its tensors' types, the size of its output, and its tiles.
template <class T>
struct Block {
  bool down, of_image;
  int channels;  // of the output
  Kernel kernel;

  int widest(const KernelTable& kernels) const {
    if (!down) return kernels.up_tile_columns;
    return of_image ? kernels.down_image_tile_columns : kernels.down_tile_columns;
  }

  // All of the output, computed in tiles of `columns` at most and in parts that begin at `starts`.
  template <class Stored>
  Output<T> run(const KernelTable& kernels, Image<Stored> in, int columns, std::vector<int> starts) const {
    const int height = down ? in.height / 2 : 2 * in.height, width = down ? in.width / 2 : 2 * in.width;
    const std::size_t size = static_cast<std::size_t>(height) * width * channels;
    Output<T> output{std::vector<T>(2 * size), {}};
    const Plane outs[2] = {{output.numbers.data(), height, width, channels},
                           {output.numbers.data() + size, height, width, channels}};
    starts.push_back(height);
    in_tiles(kernels, width, std::min(columns, widest(kernels)), starts, [&](const Tile& tile, void* scratch) {
      kernel(packed_for(kernels), kernels, {in.numbers.data(), in.height, in.width, in.channels}, outs, tile,
             output.sums.data(), scratch);
    });
    return output;
  }

  template <class Stored>
  void same_everywhere(const Image<Stored>& in) const {
    const Output<T> expected = run(*kernels_scalar, in, 384, {0});
    // Not all of it at the bounds.
    CHECK(std::set<T>(expected.numbers.begin(), expected.numbers.end()).size() > 16);
    const int height = down ? in.height / 2 : 2 * in.height;
    for (const KernelTable* kernels : tables_beside_scalar()) {
      for (const std::vector<int>& starts :
           {std::vector<int>{0}, {0, 1, 3}, {0, 2}, {0, 5, 6}, {0, 11, 20}, {0, 19, 34}}) {
        if (starts.back() >= height) continue;
        for (const int columns : {kernels->up_tile_columns, 2 * kernels->block_pixels})
          CHECK(run(*kernels, in, columns, starts) == expected);
      }
    }
  }
};

PixelStrides dense(int width) { return {std::ptrdiff_t{3} * width, 3, 1}; }

Kernel up(ResidualUpKernel KernelTable::* kernel, int level) {
  return [=](const PackedModel& packed, const KernelTable& kernels, const Plane& in, const Plane* outs, auto... rest) {
    (kernels.*kernel)(packed.synthesis[level][0], in, *outs, rest...);
  };
}

const Block<std::int16_t> down_s16{true, false, kChannels,
                                   [](const PackedModel& packed, const KernelTable& kernels, auto... rest) {
                                     kernels.residual_down_siblings(&packed.analysis[1][0], rest...);
                                   }};
Block<std::int16_t> down_image_of(const std::function<InputPixels(const Plane&)>& pixels) {
  return {true, true, kChannels,
          [=](const PackedModel& packed, const KernelTable& kernels, const Plane& in, auto... rest) {
            kernels.residual_down_image(&packed.analysis[0][0], pixels(in), rest...);
          }};
}
const Block<std::int16_t> down_image = down_image_of([](const Plane& in) {
  return InputPixels{static_cast<std::uint8_t*>(in.data), in.height, in.width, in.height, in.width, dense(in.width)};
});
const Block<std::int16_t> up_s16_s16{false, false, kChannels, up(&KernelTable::residual_up_s16_s16, 1)};
const Block<std::uint8_t> up_s16_u8{false, false, kChannels, up(&KernelTable::residual_up_s16_u8, 2)};
const Block<std::int16_t> up_u8_s16{false, false, kChannels, up(&KernelTable::residual_up_u8_s16, 3)};
const Block<std::uint8_t> output{false, false, 3,
                                 [](const PackedModel& packed, const KernelTable& kernels, const Plane& in,
                                    const Plane* outs, const Tile& tile, std::int64_t*, void* scratch) {
                                   const OutputPixels pixels{static_cast<std::uint8_t*>(outs->data), outs->height,
                                                             outs->width, dense(outs->width), false};
                                   kernels.residual_up_output(packed.synthesis[3][0], packed.output, in, pixels, tile,
                                                              scratch);
                                 }};

void same_upwards(const Wide& in) {
  up_s16_s16.same_everywhere(in);
  up_s16_u8.same_everywhere(in);
}

TEST("upsampling: the largest numbers of 14 bits") {
  std::mt19937 random(1);
  same_upwards(wide(9, 30, [&](std::size_t) { return random() % 2 != 0 ? 8191 : -8192; }));
}

TEST("upsampling: the largest numbers of 14 bits, all the same, and in turn") {
  for (const bool in_turn : {false, true}) {
    same_upwards(wide(6, 26, [&](std::size_t i) { return in_turn && i / kChannels % 2 == 0 ? 8191 : -8192; }));
  }
}

TEST("upsampling: numbers of just more than 14 bits") {
  std::mt19937 random(2);
  same_upwards(wide(9, 30, [&](std::size_t) { return random() % 2 != 0 ? 8192 : -8193; }));
}

TEST("upsampling: one number of more than 14 bits, in any column") {
  for (const int width : {22, 28}) {
    for (int column = 0; column < width; ++column) {
      const int row = column % 8;
      Wide in = wide(8, width, within(8192, column));
      in.at(row, column)[7 * column % kChannels] = column % 2 == 0 ? 32767 : -32768;
      same_upwards(in);
    }
  }
}

TEST("upsampling: numbers of more than 14 bits in some rows of many") {
  for (const int apart : {5, 6, 7}) {
    Wide in = wide(29, 26, within(8192, apart));
    for (int row = apart % 3; row < in.height; row += apart) in.at(row, 3 * row % in.width)[row] = 32767;
    same_upwards(in);
  }
}

TEST("upsampling: numbers of all 16 bits, images of a few pixels, and the widest tiles") {
  for (const auto& [height, width] :
       {std::pair{1, 1}, {1, 2}, {2, 1}, {3, 3}, {2, 8}, {2, 9}, {5, 13}, {3, 64}, {3, 192}, {3, 205}, {2, 1001}}) {
    for (const int size : {4096, 32768}) same_upwards(wide(height, width, within(size, 1000 * height + width)));
  }
}

TEST("upsampling of 8 bits, alone and with the output convolution, up to the widest tiles") {
  for (const auto& [height, width] : {std::pair{2, 3}, {5, 13}, {9, 30}, {14, 49}, {3, 192}, {2, 576}, {2, 1161}}) {
    std::mt19937 random(1000 * height + width);
    const Narrow in(height, width, kChannels, [&](std::size_t) { return static_cast<int>(random() % 256); });
    up_u8_s16.same_everywhere(in);
    output.same_everywhere(in);
  }
}

TEST("upsampling of 8 bits: the least and the largest alone, by chance, in turn, and all the same") {
  std::mt19937 random(3);
  const auto same = [](const std::function<bool(std::size_t)>& largest) {
    const Narrow in(9, 50, kChannels, [&](std::size_t i) { return largest(i) ? 255 : 0; });
    up_u8_s16.same_everywhere(in);
    output.same_everywhere(in);
  };
  same([&](std::size_t) { return random() % 2 != 0; });
  same([](std::size_t i) { return i / kChannels % 2 != 0; });
  same([](std::size_t i) { return i / (50 * kChannels) % 2 != 0; });
  same([](std::size_t) { return true; });
}

TEST("downsampling: features that fit 14 bits everywhere, in some lines, and hardly anywhere") {
  for (const int size : {200, 1000, 2000, 4000, 32768}) {
    for (const auto& [height, width] : {std::pair{2, 2}, {6, 10}, {18, 58}}) {
      down_s16.same_everywhere(wide(height, width, within(size, size + width)));
    }
  }
}

TEST("downsampling: features of more than 14 bits in any column") {
  for (int column = 0; column < 56; ++column) {
    Wide in = wide(14, 56, within(100, column));
    std::fill_n(in.at(column % 14, column), kChannels, column % 2 == 0 ? 32767 : -32768);
    down_s16.same_everywhere(in);
  }
}

TEST("downsampling: features of just 14 bits, and of just more, by chance, all the same, and in turn") {
  std::mt19937 random(3);
  for (const auto& [most, least] : {std::pair{8191, -8192}, {8192, -8193}, {16383, -16384}}) {
    const auto of = [&](const std::function<bool(std::size_t)>& choose) {
      down_s16.same_everywhere(wide(10, 58, [&](std::size_t i) { return choose(i) ? most : least; }));
    };
    of([&](std::size_t) { return random() % 2 != 0; });
    of([](std::size_t) { return true; });
    of([](std::size_t i) { return i / kChannels % 2 != 0; });
    of([](std::size_t i) { return i / (58 * kChannels) % 2 != 0; });
    // As points add them up: even rows and columns take turns.
    of([](std::size_t i) { return (i / kChannels % 58 / 2 + i / (58 * kChannels) / 2) % 2 != 0; });
  }
}

TEST("downsampling: one feature of more than 14 bits, in any row, column and channel") {
  constexpr std::int16_t kLarge[3] = {8192, -8193, 16383};
  for (int place = 0; place < 4 * 52; ++place) {
    Wide in = wide(8, 52, within(100, place));
    const int row = 2 + place / 52;
    in.at(row, place % 52)[(11 * place + row) % kChannels] = kLarge[place % 3];
    down_s16.same_everywhere(in);
  }
}

TEST("downsampling an image, and the widest tiles") {
  for (const auto& [height, width] : {std::pair{2, 2},
                                      {2, 26},
                                      {2, 58},
                                      {4, 22},
                                      {4, 24},
                                      {10, 26},
                                      {6, 70},
                                      {6, 94},
                                      {6, 384},
                                      {6, 768},
                                      {6, 770}}) {
    std::mt19937 random(1000 * height + width);
    down_image.same_everywhere(Narrow(height, width, 3, [&](std::size_t) { return static_cast<int>(random() % 256); }));
    down_s16.same_everywhere(wide(height, width, within(1500, width)));
  }
}

// An order of pixels in memory, and where the first one is of the bytes that are theirs, and others'.
struct Order {
  PixelStrides strides;
  std::ptrdiff_t first, bytes;
  std::ptrdiff_t at(int row, int column, int channel) const {
    return first + row * strides.row + column * strides.column + channel * strides.channel;
  }
};
std::vector<Order> orders(int height, int width) {
  const std::ptrdiff_t plane = std::ptrdiff_t{height} * width, all = 3 * plane;
  return {{dense(width), 0, all},
          {{3 * width + 5, 3, 1}, 0, all + 5 * height},
          {{width, 1, plane}, 0, all},
          {{width, 1, -plane}, 2 * plane, all},
          {{-3 * width, 3, 1}, all - 3 * width, all},
          {{4 * width, 4, 1}, 0, 4 * plane},
          {{-3 * width, -3, -1}, all - 1, all},
          {{3, std::ptrdiff_t{3} * height, 1}, 0, all}};  // columns after columns
}

TEST("an image in any order and of any size is what it is extended to whole blocks") {
  for (const auto& [height, width] : {std::pair{16, 16}, {1, 1}, {17, 33}, {6, 385}, {33, 47}, {3, 783}}) {
    const int whole_height = (height + 15) / 16 * 16, whole_width = (width + 15) / 16 * 16;
    for (const bool grey : {false, true}) {
      const auto value = [&](int row, int column, int channel) {
        row = std::min(row, height - 1), column = std::min(column, width - 1);
        return static_cast<std::uint8_t>(row * 71 + column * 29 * (row % 3 + 1) + (grey ? 0 : channel * 101));
      };
      const Narrow whole(whole_height, whole_width, 3, [&](std::size_t i) {
        const int pixel = static_cast<int>(i / 3);
        return value(pixel / whole_width, pixel % whole_width, static_cast<int>(i % 3));
      });
      const Output<std::int16_t> expected = down_image.run(*kernels_scalar, whole, 384, {0});
      std::vector<Order> all = orders(height, width);
      if (grey) all = {{{width, 1, 0}, 0, std::ptrdiff_t{height} * width}};
      for (const Order& order : all) {
        std::vector<std::uint8_t> bytes(static_cast<std::size_t>(order.bytes));  // none before or after
        for (int row = 0; row < height; ++row) {
          for (int column = 0; column < width; ++column) {
            for (int c = 0; c < 3; ++c) bytes.at(order.at(row, column, c)) = value(row, column, c);
          }
        }
        const Block<std::int16_t> block = down_image_of([&](const Plane& in) {
          return InputPixels{bytes.data() + order.first, height, width, in.height, in.width, order.strides};
        });
        CHECK(block.run(*kernels_scalar, whole, 384, {0, 2, 5}) == expected);
        for (const KernelTable* kernels : tables_beside_scalar()) {
          for (const int columns : {384, 2 * kernels->block_pixels}) {
            CHECK(block.run(*kernels, whole, columns, {0}) == expected);
          }
        }
      }
    }
  }
}

TEST("pixels go out in any order, as grey ones too, and nothing beside them is written") {
  for (const auto& [height, width] : {std::pair{16, 16}, {1, 1}, {13, 21}, {2, 400}, {6, 39}}) {
    const int coarse_height = (height + 15) / 16 * 8, coarse_width = (width + 15) / 16 * 8;
    std::mt19937 random(1000 * height + width);
    const Narrow in(coarse_height, coarse_width, kChannels,
                    [&](std::size_t) { return static_cast<int>(random() % 256); });
    const Output<std::uint8_t> whole = output.run(*kernels_scalar, in, 384, {0});
    const auto rgb = [&](int row, int column, int c) {
      return whole.numbers[3 * (static_cast<std::size_t>(row) * 2 * coarse_width + column) + c];
    };
    for (const bool grey : {false, true}) {
      std::vector<Order> all = orders(height, width);
      if (grey) all = {{{width, 1, 1}, 0, height * width}, {{2 * width + 3, 2, 1}, 0, height * (2 * width + 3)}};
      for (const Order& order : all) {
        std::vector<std::uint8_t> expected(static_cast<std::size_t>(order.bytes), 7);
        for (int row = 0; row < height; ++row) {
          for (int column = 0; column < width; ++column) {
            const int sum = rgb(row, column, 0) + rgb(row, column, 1) + rgb(row, column, 2);
            for (int c = 0; c < (grey ? 1 : 3); ++c) {
              expected.at(order.at(row, column, c)) =
                  grey ? static_cast<std::uint8_t>((2 * sum + 3) / 6) : rgb(row, column, c);
            }
          }
        }
        std::vector<const KernelTable*> tables = tables_beside_scalar();
        tables.push_back(kernels_scalar);
        for (const KernelTable* kernels : tables) {
          for (const int columns : {kernels->up_tile_columns, 2 * kernels->block_pixels}) {
            std::vector<std::uint8_t> bytes(expected.size(), 7);
            const OutputPixels pixels{bytes.data() + order.first, height, width, order.strides, grey};
            const PackedModel& packed = packed_for(*kernels);
            const Plane features{const_cast<std::uint8_t*>(in.numbers.data()), in.height, in.width, kChannels};
            in_tiles(*kernels, 2 * coarse_width, columns, {0, height}, [&](const Tile& tile, void* scratch) {
              kernels->residual_up_output(packed.synthesis[3][0], packed.output, features, pixels, tile, scratch);
            });
            CHECK(bytes == expected);
          }
        }
      }
    }
  }
}

}  // namespace
}  // namespace treenet::cpu

// A random valid integer model (SPEC §9), made without files: weights over the whole range of s8, multipliers that
// spread activations over theirs, indices over all tables.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "codec/model.h"

namespace treenet::testing {

class RandomModel {
 public:
  explicit RandomModel(unsigned seed) : random_(seed) { build(); }

  // Makes the model; the tensors may be changed or removed before.
  std::shared_ptr<const Model> make() const {
    std::array<std::uint8_t, 32> hash{};
    hash[0] = 0xA5;
    return std::make_shared<const Model>(tensors, hash);
  }

  template <class T>
  T* data(const std::string& name) {
    return static_cast<T*>(const_cast<void*>(tensors.at(name).data));
  }

  TensorMap tensors;

 private:
  template <class T, class Value>
  void add(const std::string& name, DType dtype, std::vector<std::int64_t> shape, Value value) {
    std::size_t size = 1;
    for (const std::int64_t n : shape) size *= static_cast<std::size_t>(n);
    auto values = std::make_shared<std::vector<T>>(size);
    for (std::size_t i = 0; i < size; ++i) (*values)[i] = static_cast<T>(value(i));
    tensors[name] = {dtype, std::move(shape), values->data()};
    kept_.push_back(values);
  }

  int integer(int low, int high) { return std::uniform_int_distribution<int>(low, high)(random_); }
  float factor(double centre) {
    return static_cast<float>(centre * std::uniform_real_distribution<double>(0.5, 2.0)(random_));
  }

  static constexpr double kWide = 4000;  // the typical size of s16 activations

  // `spread` is the typical |a - z| of the input, `target` the typical size of the requantised output.
  void conv(const std::string& name, int out, int in, int kernel, double spread, double target) {
    std::vector<std::int64_t> shape{out, in};
    if (kernel != 0) shape.insert(shape.end(), {kernel, kernel});
    const int area = std::max(1, kernel * kernel);
    add<std::int8_t>(name + ".weight", DType::kI8, shape, [&](std::size_t i) {
      const bool masked = kernel == 5 && (i % 25 / 5 + i % 25 % 5) % 2 == 0;
      return masked ? 0 : integer(-128, 127);
    });
    const double size = 74.0 * spread * std::sqrt(static_cast<double>(in * area));
    add<std::int32_t>(name + ".bias", DType::kI32, {out}, [&](std::size_t) {
      return static_cast<int>(std::clamp(size, 1.0, 1e8) * std::uniform_real_distribution<double>(-1, 1)(random_));
    });
    if (target > 0) {
      add<float>(name + ".multiplier", DType::kF32, {out}, [&](std::size_t) { return factor(target / size); });
    }
  }
  void zero_point(const std::string& name, int value) {
    add<std::int32_t>(name, DType::kI32, {1}, [&](std::size_t) { return value; });
  }
  void block_down(const std::string& name, int in) {
    const double spread = in == 3 ? 60 : kWide;
    conv(name + ".conv1", 32, in, 3, spread, kWide);
    conv(name + ".conv2", 32, 32, 3, kWide, 0);
    conv(name + ".skip", 32, in, 1, spread, kWide);
    normalisation(name + ".gdn", false, kWide, kWide);
  }
  void block_up(const std::string& name, bool wide_input, bool wide, int zero) {
    const double spread = wide_input ? kWide : 60, target = wide ? kWide : 50;
    conv(name + ".conv1", 128, 32, 3, spread, 60);
    zero_point(name + ".conv1.zero_point", integer(0, 255));
    conv(name + ".conv2", 32, 32, 3, 60, 0);
    conv(name + ".skip", 128, 32, 3, spread, target);
    if (!wide) zero_point(name + ".zero_point", zero);
    normalisation(name + ".igdn", true, 60, target);
  }
  void normalisation(const std::string& name, bool inverse, double spread, double target) {
    const double size = 74.0 * spread * std::sqrt(288.0);
    const double root = std::sqrt(32.0 * 64 * 3000);
    add<float>(name + ".numerator", DType::kF32, {32},
               [&](std::size_t) { return factor(inverse ? target / size / root : target * root / size); });
    add<float>(name + ".magnitude", DType::kF32, {32}, [&](std::size_t) { return factor(90 / size); });
    add<std::int32_t>(name + ".beta", DType::kI32, {32}, [&](std::size_t) { return integer(1, 100000); });
    add<std::uint8_t>(name + ".gamma", DType::kU8, {32, 32}, [&](std::size_t) { return integer(0, 255); });
  }
  void fusion(const std::string& name, bool wide) {
    for (const char* part : {".first", ".second"}) {
      const double spread = wide ? kWide : 60;
      conv(name + part + ".local1", 8, 32, 0, spread, 100);
      conv(name + part + ".local2", 32, 8, 0, 100, 60);
      conv(name + part + ".global1", 8, 32, 0, spread * (wide ? 1 : 64) / 8, 4000);
      conv(name + part + ".global2", 32, 8, 0, 4000, 30);
    }
  }
  void tables(const std::string& name, int rows) {
    std::vector<int> counts, offsets;
    for (int t = 0; t < rows; ++t) {
      counts.push_back(std::min(255, 1 + 2 * integer(0, 2 + t)));
      offsets.push_back(-(counts.back() / 2) + integer(-1, 1));
    }
    add<std::int32_t>(name + ".offset", DType::kI32, {rows}, [&](std::size_t i) { return offsets[i]; });
    add<std::int32_t>(name + ".count", DType::kI32, {rows}, [&](std::size_t i) { return counts[i]; });
    add<std::uint16_t>(name + ".frequency", DType::kU16, {rows, 256}, [&](std::size_t i) {
      const int count = counts[i / 256] + 1, k = static_cast<int>(i % 256);
      const int share = 65536 / count;
      return k >= count ? 0 : k == 0 ? 65536 - share * (count - 1) : share;
    });
  }

  void build() {
    for (int level = 0; level < 4; ++level) {
      for (int i = 0; i < 1 << level; ++i) {
        block_down("analysis.level" + std::to_string(level) + "." + std::to_string(i), level == 0 ? 3 : 32);
      }
      const bool wide = synthesis_is_wide(level);
      const int zero = integer(0, 255);
      for (int i = 0; i < 4 - level; ++i) {
        block_up("synthesis.level" + std::to_string(level) + "." + std::to_string(i), synthesis_reads_wide(level), wide,
                 zero);
      }
      for (int i = 0; i < 3 - level; ++i) {
        fusion("synthesis.fusion" + std::to_string(level) + "." + std::to_string(i), wide);
      }
      fusion("analysis.fusion." + std::to_string(level), true);
      const std::string b = "bottleneck." + std::to_string(level);
      const int synthesis[5][2] = {{32, 32}, {128, 32}, {48, 32}, {192, 48}, {64, 48}};
      const int parameters[3][2] = {{106, 128}, {85, 106}, {64, 85}};
      for (int k = 0; k < 5; ++k) {
        const std::string n = "." + std::to_string(k);
        conv(b + ".hyper_analysis" + n, 32, 32, 3, k == 0 ? 500 : 8000, k == 4 ? 3 : 8000);
        conv(b + ".hyper_synthesis" + n, synthesis[k][0], synthesis[k][1], 3, k == 0 ? 3 : 8000, 8000);
        if (k < 3) {
          conv(b + ".entropy_parameters" + n, parameters[k][0], parameters[k][1], 1, 8000, k == 2 ? 1500 : 8000);
        }
      }
      conv(b + ".context", 64, 32, 5, 500, 8000);
    }
    conv("synthesis.output", 3, 32, 3, kWide, 120);
    const auto ones = [&](std::size_t) { return factor(0.3); };
    add<float>("gain.encode", DType::kF32, {100, 128}, ones);
    add<float>("gain.decode", DType::kF32, {100, 128}, [&](std::size_t) { return factor(3); });
    add<std::uint8_t>("sigmoid", DType::kU8, {128}, [](std::size_t k) { return k; });
    add<std::int32_t>("entropy.threshold", DType::kI32, {63}, [](std::size_t k) { return 10 + 40 * k; });
    add<std::int32_t>("entropy.skip", DType::kI32, {1}, [](std::size_t) { return 9; });
    add<float>("entropy.scale", DType::kF32, {64}, [](std::size_t k) { return 0.1f * static_cast<float>(k + 1); });
    tables("entropy.gaussian", 64);
    tables("entropy.prior", 128);
  }

  std::mt19937 random_;
  std::vector<std::shared_ptr<void>> kept_;
};

}  // namespace treenet::testing

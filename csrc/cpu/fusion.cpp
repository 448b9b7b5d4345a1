// Attentional fusion on the CPU (SPEC §2.7): the global branches, and the three passes over the positions.
#include <algorithm>
#include <array>
#include <cmath>

#include "cpu/networks.h"

namespace treenet::cpu {
namespace {

constexpr std::int64_t kPositionsPerTask = 256 * kBlockPixels;

using Sums = std::array<std::int64_t, kChannels>;

std::int64_t floor_divide(std::int64_t a, std::int64_t b) {  // b > 0
  return a / b - (a % b < 0 ? 1 : 0);
}

// weight * input + bias, `count` outputs.
std::int32_t dot(const Convolution& conv, int output, const std::int32_t* input) {
  std::int32_t sum = conv.bias[output];
  for (int c = 0; c < conv.inputs; ++c) sum += conv.weight[output * conv.inputs + c] * input[c];
  return sum;
}

// fg of an attention from the sums of p over `positions`.
std::array<float, kChannels> global_branch(const Attention& attention, const Sums& sums, std::int64_t positions,
                                           int mean_bits) {
  std::array<std::int32_t, kChannels> mean;
  for (int c = 0; c < kChannels; ++c) {
    mean[c] = static_cast<std::int32_t>(floor_divide((sums[c] << (mean_bits + 1)) + positions, 2 * positions));
  }
  std::array<std::int32_t, 8> hidden;
  for (int k = 0; k < 8; ++k) {
    const float value = static_cast<float>(dot(attention.global1, k, mean.data())) * attention.global1.multiplier[k];
    hidden[k] = static_cast<std::int32_t>(std::lrintf(std::clamp(value, 0.0f, 32767.0f)));
  }
  std::array<float, kChannels> result;
  for (int c = 0; c < kChannels; ++c) {
    result[c] = static_cast<float>(dot(attention.global2, c, hidden.data())) * attention.global2.multiplier[c];
  }
  return result;
}

}  // namespace

template <class T>
std::vector<Tensor> Networks::fuse_as(const std::vector<Pair>& pairs) {
  const auto sum = [&](const T* x, const T* y, std::int64_t begin, std::int64_t end, std::int64_t* sums) {
    if constexpr (sizeof(T) == 1) {
      kernels_.sum_u8(x, y, begin, end, sums);
    } else {
      kernels_.sum_s16(x, y, begin, end, sums);
    }
  };
  const auto blend = [&](auto... arguments) {
    if constexpr (sizeof(T) == 1) {
      kernels_.blend_u8(arguments...);
    } else {
      kernels_.blend_s16(arguments...);
    }
  };
  const Tensor& shape = *pairs[0].x;
  const auto positions = static_cast<std::int64_t>(shape.positions());
  const std::int64_t tasks = (positions + kPositionsPerTask - 1) / kPositionsPerTask;
  const auto count = static_cast<std::int64_t>(pairs.size());
  const auto end_of = [&](std::int64_t task) { return std::min(positions, (task + 1) * kPositionsPerTask); };

  std::vector<Sums> partial(count * tasks);
  // Sums of all tasks of a pair, with the zero point of `terms` activations removed.
  const auto total = [&](std::int64_t pair, int terms) {
    Sums sums{};
    for (std::int64_t t = 0; t < tasks; ++t) {
      for (int c = 0; c < kChannels; ++c) sums[c] += partial[pair * tasks + t][c];
    }
    for (int c = 0; c < kChannels; ++c) sums[c] -= terms * positions * pairs[pair].fusion->fusion->zero_point;
    return sums;
  };
  std::vector<std::array<float, kChannels>> global(count);

  threads_.run(count * tasks, [&](std::int64_t i) {
    const Pair& pair = pairs[i / tasks];
    partial[i] = {};
    const std::int64_t task = i % tasks;
    sum(pair.x->as<T>(), pair.y->as<T>(), task * kPositionsPerTask, end_of(task), partial[i].data());
  });
  for (std::int64_t p = 0; p < count; ++p) {
    const Fusion& fusion = *pairs[p].fusion->fusion;
    global[p] = global_branch(fusion.first, total(p, 2), positions, fusion.mean_bits);
  }

  std::vector<Tensor> middle, result;
  for (std::int64_t p = 0; p < count; ++p) {
    middle.emplace_back(*buffers_, shape.dtype, shape.height, shape.width, kChannels);
    result.emplace_back(*buffers_, shape.dtype, shape.height, shape.width, kChannels);
  }
  const std::uint8_t* sigmoid = packed_.model.sigmoid.data();
  threads_.run(count * tasks, [&](std::int64_t i) {
    const std::int64_t p = i / tasks, begin = i % tasks * kPositionsPerTask, end = end_of(i % tasks);
    const T* x = pairs[p].x->template as<T>();
    const T* y = pairs[p].y->template as<T>();
    T* v = middle[p].template as<T>();
    const BufferPool::Lease memory = scratch();
    blend(pairs[p].fusion->first, global[p].data(), sigmoid, x, y, x, y, v, begin, end, memory.as<void>());
    partial[i] = {};
    sum(v, static_cast<const T*>(nullptr), begin, end, partial[i].data());
  });
  for (std::int64_t p = 0; p < count; ++p) {
    const Fusion& fusion = *pairs[p].fusion->fusion;
    global[p] = global_branch(fusion.second, total(p, 1), positions, fusion.mean_bits);
  }
  threads_.run(count * tasks, [&](std::int64_t i) {
    const std::int64_t p = i / tasks, begin = i % tasks * kPositionsPerTask, end = end_of(i % tasks);
    const T* x = pairs[p].x->template as<T>();
    const T* y = pairs[p].y->template as<T>();
    const T* v = middle[p].template as<T>();
    const BufferPool::Lease memory = scratch();
    blend(pairs[p].fusion->second, global[p].data(), sigmoid, v, static_cast<const T*>(nullptr), x, y,
          result[p].template as<T>(), begin, end, memory.as<void>());
  });
  return result;
}

std::vector<Tensor> Networks::fuse(const std::vector<Pair>& pairs) {
  return pairs[0].x->dtype == DType::kU8 ? fuse_as<std::uint8_t>(pairs) : fuse_as<std::int16_t>(pairs);
}

}  // namespace treenet::cpu

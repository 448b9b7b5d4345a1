// Attentional fusion on the CPU (SPEC §2.7): the global branches, and the two passes over the positions.
#include <algorithm>
#include <array>
#include <cmath>

#include "cpu/networks.h"

namespace treenet::cpu {
namespace {

constexpr std::int64_t kPositionsPerTask = 256 * kBlockPixels;

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
  const auto kernel = [&] {
    if constexpr (sizeof(T) == 1) return kernels_.blend_u8;
    if constexpr (sizeof(T) == 2) return kernels_.blend_s16;
  }();
  const Tensor& shape = pairs[0].x->tensor;
  const auto positions = static_cast<std::int64_t>(shape.positions());
  const std::int64_t tasks = (positions + kPositionsPerTask - 1) / kPositionsPerTask;
  const auto count = static_cast<std::int64_t>(pairs.size());

  // Runs the attention of all pairs, the first or the second; gives the sums of the outputs.
  const auto run = [&](const std::vector<Blend<T>>& blends) {
    std::vector<Sums> partial(count * tasks);
    threads_.run(count * tasks, [&](std::int64_t i) {
      const std::int64_t begin = i % tasks * kPositionsPerTask;
      const std::int64_t end = std::min(positions, begin + kPositionsPerTask);
      const BufferPool::Lease memory = scratch();
      kernel(blends[i / tasks], begin, end, partial[i].data(), memory.as<void>());
    });
    std::vector<Sums> sums(count);
    for (std::int64_t i = 0; i < count * tasks; ++i) add(sums[i / tasks], partial[i]);
    return sums;
  };
  // fg of an attention on the sum of `terms` activations, whose sums are `sums`.
  const auto global_of = [&](const Attention& attention, const Fusion& fusion, Sums sums, int terms) {
    for (std::int64_t& sum : sums) sum -= terms * positions * fusion.zero_point;
    return global_branch(attention, sums, positions, fusion.mean_bits);
  };

  std::vector<Tensor> result;
  std::vector<std::array<float, kChannels>> global(count);
  std::vector<Blend<T>> blends;
  for (std::int64_t p = 0; p < count; ++p) {
    const Pair& pair = pairs[p];
    const Fusion& fusion = *pair.fusion->fusion;
    Sums sums = pair.x->sums;
    add(sums, pair.y->sums);
    global[p] = global_of(fusion.first, fusion, sums, 2);
    result.emplace_back(*buffers_, shape.dtype, shape.height, shape.width, kChannels);
    const T *x = pair.x->tensor.template as<T>(), *y = pair.y->tensor.template as<T>();
    blends.push_back(
        {&pair.fusion->first, global[p].data(), packed_.model.sigmoid.data(), x, y, x, y, result[p].template as<T>()});
  }
  const std::vector<Sums> sums = run(blends);
  // The second attention is on the first one's result, and replaces it.
  for (std::int64_t p = 0; p < count; ++p) {
    const Fusion& fusion = *pairs[p].fusion->fusion;
    global[p] = global_of(fusion.second, fusion, sums[p], 1);
    blends[p].attention = &pairs[p].fusion->second;
    blends[p].p0 = blends[p].out;
    blends[p].p1 = nullptr;
  }
  run(blends);
  return result;
}

std::vector<Tensor> Networks::fuse(const std::vector<Pair>& pairs) {
  return pairs[0].x->tensor.dtype == DType::kU8 ? fuse_as<std::uint8_t>(pairs) : fuse_as<std::int16_t>(pairs);
}

}  // namespace treenet::cpu

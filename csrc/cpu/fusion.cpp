// Attentional fusion on the CPU (SPEC §2.7): the global branches, and two passes over the positions.
#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "cpu/networks.h"

namespace treenet::cpu {
namespace {

// Of a part; whole blocks of every instruction set.
constexpr std::int64_t kFewestPositions = 192;
constexpr std::int64_t kMostPositions = 1536;

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
void Networks::fuse_as(const std::vector<Pair>& pairs) {
  const auto [sums_kernel, kernel] = [&] {
    if constexpr (sizeof(T) == 1) return std::pair(kernels_.fusion_sums_u8, kernels_.fusion_u8);
    if constexpr (sizeof(T) == 2) return std::pair(kernels_.fusion_sums_s16, kernels_.fusion_s16);
  }();
  const Tensor& shape = pairs[0].x->tensor;
  const auto positions = static_cast<std::int64_t>(shape.positions());
  const std::int64_t fair = positions / threads_.threads() / kFewestPositions * kFewestPositions;
  const std::int64_t per_part = std::clamp(fair, kFewestPositions, kMostPositions);
  const std::int64_t parts = (positions + per_part - 1) / per_part;
  const auto count = static_cast<std::int64_t>(pairs.size());
  const auto end_of = [&](std::int64_t part) { return std::min(positions, (part + 1) * per_part); };
  // fg of an attention on the sum of `terms` activations, whose sums are `sums`.
  const auto global_of = [&](const Attention& attention, const Fusion& fusion, Sums sums, int terms) {
    for (std::int64_t& sum : sums) sum -= terms * positions * fusion.zero_point;
    return global_branch(attention, sums, positions, fusion.mean_bits);
  };

  std::vector<std::array<float, kChannels>> first(count), second(count);
  std::vector<FusionTask<T>> tasks;
  for (std::int64_t p = 0; p < count; ++p) {
    const Pair& pair = pairs[p];
    const Fusion& fusion = *pair.fusion->fusion;
    Sums sums = pair.x->sums;
    add(sums, pair.y->sums);
    first[p] = global_of(fusion.first, fusion, sums, 2);
    T* x = pair.x->tensor.template as<T>();
    tasks.push_back({&pair.fusion->first, &pair.fusion->second, first[p].data(), second[p].data(),
                     packed_.model.sigmoid.data(), x, pair.y->tensor.template as<T>(), x});
  }

  std::vector<Sums> partial(count * parts);
  threads_.run(count * parts, [&](std::int64_t i) {
    const std::int64_t part = i % parts;
    const BufferPool::Lease memory = scratch();
    sums_kernel(tasks[i / parts], part * per_part, end_of(part), partial[i].data(), memory.as<void>());
  });
  for (std::int64_t p = 0; p < count; ++p) {
    Sums sums{};
    for (std::int64_t part = 0; part < parts; ++part) add(sums, partial[p * parts + part]);
    const Fusion& fusion = *pairs[p].fusion->fusion;
    second[p] = global_of(fusion.second, fusion, sums, 1);
  }
  // Pair after pair: the result takes the place of x, which is the pair before's y.
  threads_.run(parts, [&](std::int64_t part) {
    const BufferPool::Lease memory = scratch();
    for (const FusionTask<T>& task : tasks) kernel(task, part * per_part, end_of(part), memory.as<void>());
  });
}

void Networks::fuse(const std::vector<Pair>& pairs) {
  pairs[0].x->tensor.dtype == DType::kU8 ? fuse_as<std::uint8_t>(pairs) : fuse_as<std::int16_t>(pairs);
}

}  // namespace treenet::cpu

// Context and entropy parameters (SPEC §5) at the positions of one parity, for the four bottlenecks in one launch. A
// warp takes 16 of these positions through all layers in registers; the decoded neighbours come from global memory, the
// 12 taps that count and no others.
#include "cuda/kernels.h"
#include "cuda/launch.h"
#include "cuda/tile.h"

namespace treenet::cuda {
namespace {

constexpr int kWarps = 4;
constexpr int kPsiChannels = 64;
constexpr int kPsiSteps = 2;
constexpr int kContextTaps = 12;
constexpr int kContextGroups = 2;
constexpr int kHidden0 = 4, kHidden1 = 3;  // groups of outputs of the first and second layer, the last ones padded

// 16 positions x 32 channels of s16, as operands of their low and high bytes.
struct WideOperand {
  FragmentA low, high;
};
__device__ __forceinline__ WideOperand wide_operand(const uint4& row0, const uint4& row1) {
  const Planes a = split(row0), b = split(row1);
  WideOperand operand;
  set_operand(operand.low, a.low, b.low);
  set_operand(operand.high, a.high, b.high);
  return operand;
}

// Products of the low and of the high bytes, not yet put together.
struct WideSums {
  Sums low{}, high{};

  __device__ __forceinline__ void add(const WideOperand& a, const GroupWeights& w) {
    multiply<Signedness::kU8>(low, a.low, w);
    multiply<Signedness::kS8>(high, a.high, w);
  }
  __device__ __forceinline__ Sums total(const Owned<std::int32_t>& bias) {
    shift_to_low(high, bias);
#pragma unroll
    for (int h = 0; h < 2; ++h) {
#pragma unroll
      for (int c = 0; c < kOwned; ++c) {
        high.at(h, c) = static_cast<std::int32_t>(static_cast<std::uint32_t>(high.at(h, c)) +
                                                  static_cast<std::uint32_t>(low.at(h, c)));
      }
    }
    return high;
  }
};

// One group of 32 outputs of a 1x1 convolution on the first kSteps of `steps` times 32 channels.
template <int kSteps>
__device__ __forceinline__ Sums dense(const Conv& conv, int group, int steps, const WideOperand (&input)[kSteps],
                                      const Lane& lane) {
  WideSums sums;
#pragma unroll
  for (int k = 0; k < kSteps; ++k) {
    sums.add(input[k], load_weights(conv.weights + (group * steps + k) * kStepWords, lane));
  }
  return sums.total(load_owned(conv.bias + kChannels * group, lane.t));
}

template <bool kLeaky>
__device__ __forceinline__ WideOperand activation(const Sums& sums, const Conv& conv, int group, int t) {
  return wide_operand(pack_words(requantise<true, kLeaky>(sums, 0, conv, group, t, 0)),
                      pack_words(requantise<true, kLeaky>(sums, 1, conv, group, t, 0)));
}

template <int kParity, bool kEncoder>
__global__ void __launch_bounds__(kWarps* kWarp) parameters_kernel(const __grid_constant__ LatentParameters p) {
  const Lane lane = this_lane();
  const int b = static_cast<int>(blockIdx.y);
  const std::int64_t plane = static_cast<std::int64_t>(b) * p.images + blockIdx.z;
  const int half = (p.width + 1) / 2;  // positions of a row, or one more
  const int first = (static_cast<int>(blockIdx.x) * kWarps + static_cast<int>(threadIdx.x) / kWarp) * kRows;
  if (first >= p.height * half) return;  // a whole warp at once; there are no barriers here

  int row[2], column[2];
  bool valid[2];
#pragma unroll
  for (int h = 0; h < 2; ++h) {
    const int k = min(first + lane.g + 8 * h, p.height * half - 1);
    row[h] = k / half;
    const int wanted = 2 * (k - row[h] * half) + ((row[h] + kParity) & 1);
    column[h] = min(wanted, p.width - 1);
    valid[h] = first + lane.g + 8 * h < p.height * half && wanted < p.width;
  }

  constexpr int kSteps = kParity == 0 ? kPsiSteps : kPsiSteps + kContextGroups;  // anchors have no context
  WideOperand input[kSteps];
#pragma unroll
  for (int k = 0; k < kPsiSteps; ++k) {
    uint4 words[2];
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      const std::int64_t at = (plane * p.psi_height + row[h]) * p.psi_width + column[h];
      words[h] = __ldg(reinterpret_cast<const uint4*>(p.psi + at * kPsiChannels + k * kChannels + kOwned * lane.t));
    }
    input[k] = wide_operand(words[0], words[1]);
  }
  if constexpr (kParity == 1) {
    const Conv& context = p.context[b];
    WideSums sums[kContextGroups];
#pragma unroll 3
    for (int tap = 0; tap < kContextTaps; ++tap) {
      // Rows of the window have 2, 3, 2, 3, 2 taps: those with u + v odd.
      const int u = (2 * tap + 1) / 5, v = 2 * tap + 1 - 5 * u;
      uint4 words[2];
#pragma unroll
      for (int h = 0; h < 2; ++h) {
        const int y = row[h] + u - 2, x = column[h] + v - 2;
        words[h] = uint4{0, 0, 0, 0};
        if (y >= 0 && y < p.height && x >= 0 && x < p.width) {
          const std::int64_t at = ((plane * p.height + y) * p.width + x) * kChannels + kOwned * lane.t;
          words[h] = *reinterpret_cast<const uint4*>(p.decoded + at);
        }
      }
      const WideOperand a = wide_operand(words[0], words[1]);
#pragma unroll
      for (int q = 0; q < kContextGroups; ++q) {
        sums[q].add(a, load_weights(context.weights + (q * kContextTaps + tap) * kStepWords, lane));
      }
    }
#pragma unroll
    for (int q = 0; q < kContextGroups; ++q) {
      const Sums total = sums[q].total(load_owned(context.bias + kChannels * q, lane.t));
      input[kPsiSteps + q] = activation<false>(total, context, q, lane.t);
    }
  }

  const Conv(&layers)[3] = p.entropy_parameters[b];
  WideOperand hidden0[kHidden0], hidden1[kHidden1];
#pragma unroll
  for (int q = 0; q < kHidden0; ++q) {
    hidden0[q] =
        activation<true>(dense<kSteps>(layers[0], q, kPsiSteps + kContextGroups, input, lane), layers[0], q, lane.t);
  }
#pragma unroll
  for (int q = 0; q < kHidden1; ++q) {
    hidden1[q] = activation<true>(dense<kHidden0>(layers[1], q, kHidden0, hidden0, lane), layers[1], q, lane.t);
  }
  const Sums means = dense<kHidden1>(layers[2], 0, kHidden1, hidden1, lane);
  const Sums scales = dense<kHidden1>(layers[2], 1, kHidden1, hidden1, lane);
  const Owned<float> mean_multiplier = load_owned(layers[2].multiplier, lane.t);
  const Owned<float> scale_multiplier = load_owned(layers[2].multiplier + kChannels, lane.t);
#pragma unroll
  for (int h = 0; h < 2; ++h) {
    if (!valid[h]) continue;
    Owned<std::int32_t> mean, index;
#pragma unroll
    for (int c = 0; c < kOwned; ++c) {
      mean.value[c] = rounded(scaled(means.at(h, c), mean_multiplier.value[c]), 0, -32768, 32767);
      const std::int32_t v = rounded(scaled(scales.at(h, c), scale_multiplier.value[c]), 0, 0, 32767);
      index.value[c] = __ldg(p.scale_index + v);
    }
    const std::int64_t position = (plane * p.height + row[h]) * p.width + column[h];
    store_activation(p.mean, position, lane.t, pack_words(mean));
    store_activation(p.index, position, lane.t, pack_bytes(index));
    if constexpr (kEncoder) {
      Owned<std::int32_t> symbols, decoded;
#pragma unroll
      for (int c = 0; c < kOwned; ++c) {
        const std::int32_t y = __ldg(p.latents + position * kChannels + kOwned * lane.t + c);
        symbols.value[c] = index.value[c] < p.skip ? 0 : (y - mean.value[c] + 32) >> 6;
        decoded.value[c] = 64 * symbols.value[c] + mean.value[c];  // clamped as it is packed
      }
      store_activation(p.symbols, position, lane.t, pack_words(symbols));
      store_activation(p.decoded, position, lane.t, pack_words(decoded));
    }
  }
}

template <int kParity>
void launch_parameters(const LatentParameters& p, StreamHandle stream) {
  const int tiles = (p.height * ((p.width + 1) / 2) + kRows - 1) / kRows;
  const Grid grid{.x = (tiles + kWarps - 1) / kWarps, .y = kBottleneckCount, .z = p.images, .threads = kWarps * kWarp};
  launch(p.latents != nullptr ? parameters_kernel<kParity, true> : parameters_kernel<kParity, false>, grid, stream, p);
}

}  // namespace

void latent_parameters(int parity, const LatentParameters& parameters, StreamHandle stream) {
  if (parity == 0) {
    launch_parameters<0>(parameters, stream);
  } else {
    launch_parameters<1>(parameters, stream);
  }
}

}  // namespace treenet::cuda

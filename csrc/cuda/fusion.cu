// Attentional fusion (SPEC §2.7) of all pairs of a level, in two launches: the first sums v over the positions, the
// second, which has that sum, makes v again and the output from it. A warp works on 16 positions at a time, all in
// registers.
#include "cuda/kernels.h"
#include "cuda/launch.h"
#include "cuda/tile.h"

namespace treenet::cuda {
namespace {

constexpr int kWarps = 8;
constexpr int kTilesPerWarp = 4;
constexpr int kPositionsPerBlock = kWarps * kTilesPerWarp * kRows;
constexpr int kHidden = 8;

struct BlockState {
  std::int32_t totals[kChannels];  // of v
  std::int32_t mean[kChannels];
  std::int32_t hidden[kHidden];
  float global[2][kChannels];  // fg of the first and of the second attention
  std::uint8_t sigmoid[128];
};

// The owned channels of one position, as they are stored.
template <bool kWide>
struct Stored;
template <>
struct Stored<false> {
  uint2 bytes;

  __device__ __forceinline__ std::int32_t operator[](int c) const {
    return static_cast<std::int32_t>((c < 4 ? bytes.x : bytes.y) >> (8 * (c % 4)) & 255);
  }
};
template <>
struct Stored<true> {
  uint4 words;

  __device__ __forceinline__ std::int32_t operator[](int c) const {
    const std::uint32_t word = c < 2 ? words.x : c < 4 ? words.y : c < 6 ? words.z : words.w;
    return static_cast<std::int16_t>(c % 2 ? word >> 16 : word & 0xFFFF);
  }
};

template <bool kWide>
__device__ __forceinline__ Stored<kWide> load(const void* plane, std::int64_t position, int t) {
  const std::int64_t at = position * kChannels + kOwned * t;
  if constexpr (kWide) {
    return {__ldg(reinterpret_cast<const uint4*>(static_cast<const std::int16_t*>(plane) + at))};
  } else {
    return {__ldg(reinterpret_cast<const uint2*>(static_cast<const std::uint8_t*>(plane) + at))};
  }
}
__device__ __forceinline__ long long floor_divide(long long a, long long b) {  // b > 0
  return a / b - (a % b < 0 ? 1 : 0);
}

// fg of one attention into `global`, from the sum of p over the image at channel threadIdx.x. The whole block takes
// part.
__device__ void global_branch(const AttentionWeights& a, long long sum, std::int64_t positions, int mean_bits,
                              BlockState& state, float* global) {
  const int thread = static_cast<int>(threadIdx.x);
  if (thread < kChannels) {
    state.mean[thread] = static_cast<std::int32_t>(floor_divide(sum * (2LL << mean_bits) + positions, 2 * positions));
  }
  __syncthreads();
  if (thread < kHidden) {
    std::int32_t sum1 = a.global_bias1[thread];
    for (int c = 0; c < kChannels; ++c) sum1 += a.global1[thread * kChannels + c] * state.mean[c];
    state.hidden[thread] = rounded(scaled(sum1, a.global_multiplier1[thread]), 0, 0, 32767);
  }
  __syncthreads();
  if (thread < kChannels) {
    std::int32_t sum2 = a.global_bias2[thread];
    for (int k = 0; k < kHidden; ++k) sum2 += a.global2[thread * kHidden + k] * state.hidden[k];
    global[thread] = scaled(sum2, a.global_multiplier2[thread]);
  }
  __syncthreads();
}

// Adds to d the first local convolution of a pair of positions' channels.
template <Signedness kInput>
__device__ __forceinline__ void add_local1(FragmentD& d, const uint2& row0, const uint2& row1, const uint2& w) {
  FragmentA a;
  set_operand(a, row0, row1);
  multiply<kInput>(d, a, w.x, w.y);
}

// W of an attention at both rows of a lane. Its input p is the sum of kInputs activations.
template <bool kWide, int kInputs>
__device__ __forceinline__ void attend(const AttentionWeights& weights, const Stored<kWide> (&inputs)[kInputs][2],
                                       const float* global, const std::uint8_t* sigmoid, const Lane& lane,
                                       Owned<std::int32_t> (&result)[2]) {
  const uint2 w = __ldg(weights.local1 + 4 * lane.g + lane.t);
  const std::int32_t bias[2] = {__ldg(weights.bias1 + 2 * lane.t), __ldg(weights.bias1 + 2 * lane.t + 1)};
  FragmentD d{};
  if constexpr (kWide) {
    Planes planes[kInputs][2];
#pragma unroll
    for (int i = 0; i < kInputs; ++i) {
      planes[i][0] = split(inputs[i][0].words);
      planes[i][1] = split(inputs[i][1].words);
      add_local1<Signedness::kS8>(d, planes[i][0].high, planes[i][1].high, w);
    }
#pragma unroll
    for (int k = 0; k < 4; ++k) {
      d[k] =
          static_cast<std::int32_t>((static_cast<std::uint32_t>(d[k]) << 8) + static_cast<std::uint32_t>(bias[k % 2]));
    }
#pragma unroll
    for (int i = 0; i < kInputs; ++i) add_local1<Signedness::kU8>(d, planes[i][0].low, planes[i][1].low, w);
  } else {
#pragma unroll
    for (int k = 0; k < 4; ++k) d[k] = bias[k % 2];
#pragma unroll
    for (int i = 0; i < kInputs; ++i) add_local1<Signedness::kU8>(d, inputs[i][0].bytes, inputs[i][1].bytes, w);
  }
  std::uint32_t hidden[2];
#pragma unroll
  for (int h = 0; h < 2; ++h) {
    std::int32_t k[2];
#pragma unroll
    for (int e = 0; e < 2; ++e) {
      k[e] = rounded(scaled(d[2 * h + e], __ldg(weights.multiplier1 + 2 * lane.t + e)), 0, 0, 255);
    }
    hidden[h] = static_cast<std::uint32_t>(k[0] | k[1] << 8);
  }
  Sums sums;
  set_bias(sums, load_owned(weights.bias2, lane.t));
#pragma unroll
  for (int j = 0; j < 4; ++j) {
    mma_k16_u8_s8(sums.d[j], hidden[0], hidden[1], __ldg(weights.local2 + j * kWarp + 4 * lane.g + lane.t));
  }
  const Owned<float> multiplier = load_owned(weights.multiplier2, lane.t);
#pragma unroll
  for (int h = 0; h < 2; ++h) {
#pragma unroll
    for (int c = 0; c < kOwned; ++c) {
      const float value = __fadd_rn(scaled(sums.at(h, c), multiplier.value[c]), global[kOwned * lane.t + c]);
      const std::int32_t l = rounded(value, 0, -127, 127);
      const std::int32_t s = sigmoid[l < 0 ? -l : l];
      result[h].value[c] = 128 + (l < 0 ? -s : s);
    }
  }
}

// y + ((W * (x - y) + 128) >> 8)
template <bool kWide>
__device__ __forceinline__ Owned<std::int32_t> blend(const Owned<std::int32_t>& w, const Stored<kWide>& x,
                                                     const Stored<kWide>& y) {
  Owned<std::int32_t> v;
#pragma unroll
  for (int c = 0; c < kOwned; ++c) v.value[c] = y[c] + ((w.value[c] * (x[c] - y[c]) + 128) >> 8);
  return v;
}

// kOutput: the second launch.
template <bool kWide, bool kOutput>
__global__ void __launch_bounds__(kWarps* kWarp) fusion_kernel(const __grid_constant__ FusionParameters p) {
  BlockState& state = *reinterpret_cast<BlockState*>(shared_memory());
  const int pair = static_cast<int>(blockIdx.y), image = static_cast<int>(blockIdx.z);
  const int thread = static_cast<int>(threadIdx.x);
  const FusionWeights& weights = p.pairs[pair];
  const auto plane_of = [&](int node) { return static_cast<std::int64_t>(node) * p.images + image; };
  const std::int64_t first = plane_of(p.first[pair]), second = plane_of(p.second[pair]), own = plane_of(pair);

  const auto sum_of = [&](const unsigned long long* sums, std::int64_t plane) {
    return thread < kChannels ? static_cast<long long>(sums[plane * kChannels + thread]) : 0;
  };
  const long long zeros = weights.zero_point * static_cast<long long>(p.positions);
  if (thread < 128) state.sigmoid[thread] = p.sigmoid[thread];
  if (thread < kChannels) state.totals[thread] = 0;
  global_branch(weights.first, sum_of(p.input_sums, first) + sum_of(p.input_sums, second) - 2 * zeros, p.positions,
                weights.mean_bits, state, state.global[0]);
  if constexpr (kOutput) {
    global_branch(weights.second, sum_of(p.middle_sums, own) - zeros, p.positions, weights.mean_bits, state,
                  state.global[1]);
  }

  const Lane lane = this_lane();
  const auto input = [&](std::int64_t plane) {
    return static_cast<const std::uint8_t*>(p.input) + plane * p.positions * kChannels * (kWide ? 2 : 1);
  };
  const std::uint8_t* const x_plane = input(first);
  const std::uint8_t* const y_plane = input(second);
  Owned<std::int32_t> total{};
  for (int tile = 0; tile < kTilesPerWarp; ++tile) {
    const std::int64_t begin =
        static_cast<std::int64_t>(blockIdx.x) * kPositionsPerBlock + (tile * kWarps + thread / kWarp) * kRows;
    if (begin >= p.positions) break;  // a whole warp at once
    Stored<kWide> xy[2][2], middle[1][2];
    std::int64_t position[2];
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      position[h] = begin + lane.g + 8 * h;
      const std::int64_t clamped = min(position[h], p.positions - 1);
      xy[0][h] = load<kWide>(x_plane, clamped, lane.t);
      xy[1][h] = load<kWide>(y_plane, clamped, lane.t);
    }
    Owned<std::int32_t> w[2];
    attend<kWide, 2>(weights.first, xy, state.global[0], state.sigmoid, lane, w);
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      const Owned<std::int32_t> v = blend<kWide>(w[h], xy[0][h], xy[1][h]);
      if constexpr (kOutput) {
        middle[0][h] = {pack<kWide>(v)};
      } else if (position[h] < p.positions) {
#pragma unroll
        for (int c = 0; c < kOwned; ++c) total.value[c] += v.value[c];
      }
    }
    if constexpr (kOutput) {
      attend<kWide, 1>(weights.second, middle, state.global[1], state.sigmoid, lane, w);
#pragma unroll
      for (int h = 0; h < 2; ++h) {
        if (position[h] >= p.positions) continue;
        Owned<std::int32_t> out = blend<kWide>(w[h], xy[0][h], xy[1][h]);
        if constexpr (kWide) {
          if (p.gain != nullptr) {  // SPEC §4
            const Owned<float> gain =
                load_owned(p.gain + (image * static_cast<int>(gridDim.y) + pair) * kChannels, lane.t);
#pragma unroll
            for (int c = 0; c < kOwned; ++c) {
              out.value[c] = to_activation<true>(scaled(out.value[c], gain.value[c]), 0);
            }
          }
        }
        store_activation(p.output, own * p.positions + position[h], lane.t, pack<kWide>(out));
      }
    }
  }
  if constexpr (!kOutput) {
    add_to_block(state.totals, total, lane);
    __syncthreads();
    add_to_image(p.middle_sums + own * kChannels, state.totals);
  }
}

template <bool kWide>
void launch_fusion(int count, const FusionParameters& p, StreamHandle stream) {
  const Grid grid{.x = static_cast<int>((p.positions + kPositionsPerBlock - 1) / kPositionsPerBlock),
                  .y = count,
                  .z = p.images,
                  .threads = kWarps * kWarp,
                  .shared_bytes = sizeof(BlockState)};
  launch(fusion_kernel<kWide, false>, grid, stream, p);
  launch(fusion_kernel<kWide, true>, grid, stream, p);
}

}  // namespace

void fuse(bool wide, int count, const FusionParameters& parameters, StreamHandle stream) {
  if (wide) {
    launch_fusion<true>(count, parameters, stream);
  } else {
    launch_fusion<false>(count, parameters, stream);
  }
}

}  // namespace treenet::cuda

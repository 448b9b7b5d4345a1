// A layer of the four hyper transforms (SPEC §5) in one launch. A block works on 8 x 8 positions of the output.
#include "cuda/kernels.h"
#include "cuda/launch.h"
#include "cuda/tile.h"

namespace treenet::cuda {
namespace {

constexpr int kSide = 8;
constexpr int kWarps = 4;
static_assert(kSide * kSide == kWarps * kRows);

constexpr std::int64_t kFewBlocks = 4;  // of a multiprocessor, which has room for 8 or more

template <int kStride>
constexpr int kInputSide = (kSide - 1) * kStride + 3;

template <int kStride>
constexpr int kPositions = kInputSide<kStride> * kInputSide<kStride>;

// kSteps: of 32 input channels. The tile (tile.h) has them one after the other, as if they were more positions.
template <int kSteps, int kStride>
constexpr int kHalf = half_bytes(kSteps * kPositions<kStride>);
template <int kSteps, int kStride>
constexpr int kPlane = 2 * kHalf<kSteps, kStride>;

template <int kSteps, int kStride>
__device__ void load_input(const std::int16_t* plane, int inputs, int height, int width, int row0, int column0,
                           std::uint8_t* tile) {
  constexpr int kParts = kSteps * kChannels / kOwned;
  constexpr int kCount = kPositions<kStride> * kParts;
  for (int i = static_cast<int>(threadIdx.x); i < kCount; i += kWarps * kWarp) {
    const int position = i / kParts, part = i % kParts;
    const int row = row0 + position / kInputSide<kStride>, column = column0 + position % kInputSide<kStride>;
    Planes planes{};
    if (row >= 0 && row < height && column >= 0 && column < width && part * kOwned < inputs) {
      const std::int64_t at = (static_cast<std::int64_t>(row) * width + column) * inputs + part * kOwned;
      planes = split(__ldg(reinterpret_cast<const uint4*>(plane + at)));
    }
    std::uint8_t* to = tile + owned_at(part / 4 * kPositions<kStride> + position, part % 4, kHalf<kSteps, kStride>);
    *reinterpret_cast<uint2*>(to) = planes.low;
    *reinterpret_cast<uint2*>(to + kPlane<kSteps, kStride>) = planes.high;
  }
}

// What a launch needs to know beside its parameters: how many groups of 32 outputs a block computes.
struct HyperLaunch {
  HyperParameters p;
  int groups_of_block;
};

template <int kSteps, int kStride, bool kLeaky, bool kShuffle>
__global__ void __launch_bounds__(kWarps* kWarp) hyper_kernel(const __grid_constant__ HyperLaunch call) {
  const HyperParameters& p = call.p;
  std::uint8_t* const tile = shared_memory();
  const Lane lane = this_lane();
  const int height = (p.height + kStride - 1) / kStride, width = (p.width + kStride - 1) / kStride;  // before a shuffle
  const int bottleneck = static_cast<int>(blockIdx.y) % kBottleneckCount;
  const int first_group = static_cast<int>(blockIdx.y) / kBottleneckCount * call.groups_of_block;
  const int end = min(p.outputs, kChannels * (first_group + call.groups_of_block));  // of the block's outputs
  const int across = (width + kSide - 1) / kSide;
  const int row0 = static_cast<int>(blockIdx.x) / across * kSide;
  const int column0 = static_cast<int>(blockIdx.x) % across * kSide;
  const Conv& conv = p.conv[bottleneck];
  const std::int64_t plane = static_cast<std::int64_t>(bottleneck) * p.images + blockIdx.z;
  load_input<kSteps, kStride>(p.input + plane * p.height * p.width * p.inputs, p.inputs, p.height, p.width,
                              kStride * row0 - 1, kStride * column0 - 1, tile);
  __syncthreads();

  // A warp has 16 positions: two rows of 8.
  const int warp = static_cast<int>(threadIdx.x) / kWarp;
  const SharedRow rows[1] = {operand_row(tile, kHalf<kSteps, kStride>, lane, [&](int k) {
    return kStride * ((2 * warp + k / 8) * kInputSide<kStride> + k % 8);
  })};
  const int scale = kShuffle ? 2 : 1, channels = p.outputs / (scale * scale);
  for (int group = first_group; group * kChannels < end; ++group) {
    Sums sums[1];
    const auto column = [](SharedRow row, int k) {  // of k / kSteps, 32 channels
      return row + (k % kSteps * kPositions<kStride> + k / kSteps) * kHalfRow;
    };
    convolve<true, 3, 3 * kSteps, kSteps == 1>(sums, conv, group, rows, kPlane<kSteps, kStride>, lane,
                                               kInputSide<kStride> * kHalfRow, column);
    const int output = kChannels * group + kOwned * lane.t;  // the first of the lane's; in one phase of a shuffle
    if (output >= p.outputs) continue;
    const int phase = kShuffle ? output / channels : 0;
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      const int row = row0 + 2 * warp + h, column = column0 + lane.g;
      if (row >= height || column >= width) continue;
      const std::int64_t y = scale * row + phase / 2, x = scale * column + phase % 2;
      const std::int64_t at = (plane * scale * height + y) * scale * width + x;
      *reinterpret_cast<uint4*>(p.output + at * channels + output - phase * channels) =
          pack_words(requantise<true, kLeaky>(sums[0], h, conv, group, lane.t, 0));
    }
  }
}

template <int kSteps, int kStride, bool kLeaky, bool kShuffle>
void launch_hyper(const HyperParameters& p, StreamHandle stream) {
  const auto tiles = [](int side) { return ((side + kStride - 1) / kStride + kSide - 1) / kSide; };
  const int blocks = tiles(p.height) * tiles(p.width), groups = (p.outputs + kChannels - 1) / kChannels;
  // Few blocks share the groups, though all of them load the same input then: small images would leave the device idle.
  const bool few = std::int64_t{blocks} * kBottleneckCount * p.images < kFewBlocks * p.multiprocessors;
  launch(hyper_kernel<kSteps, kStride, kLeaky, kShuffle>,
         {.x = blocks,
          .y = kBottleneckCount * (few ? groups : 1),
          .z = p.images,
          .threads = kWarps * kWarp,
          .shared_bytes = 2 * kPlane<kSteps, kStride>},
         stream, HyperLaunch{p, few ? 1 : groups});
}

template <int kSteps, int kStride>
void launch_hyper(const HyperShape& shape, const HyperParameters& p, StreamHandle stream) {
  if constexpr (kStride == 1) {
    if (shape.shuffle) return launch_hyper<kSteps, kStride, true, true>(p, stream);
  }
  if (shape.leaky) return launch_hyper<kSteps, kStride, true, false>(p, stream);
  launch_hyper<kSteps, kStride, false, false>(p, stream);
}

}  // namespace

void hyper_convolution(const HyperShape& shape, const HyperParameters& parameters, StreamHandle stream) {
  if (shape.stride == 2) return launch_hyper<1, 2>(shape, parameters, stream);
  if (parameters.inputs > kChannels) return launch_hyper<2, 1>(shape, parameters, stream);
  launch_hyper<1, 1>(shape, parameters, stream);
}

}  // namespace treenet::cuda

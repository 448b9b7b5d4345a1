// A layer of the four hyper transforms (SPEC §5) in one launch. A block works on 8 columns of the output, and on 8 or
// 16 rows: each weight that a warp loads serves all its positions.
#include "cuda/kernels.h"
#include "cuda/launch.h"
#include "cuda/tile.h"

namespace treenet::cuda {
namespace {

constexpr int kSide = 8;  // columns, and rows of each of a warp's tiles
constexpr int kWarps = 4;
constexpr int kWarpRows = kRows / kSide;  // of a tile of 16 positions
static_assert(kSide == kWarps * kWarpRows);

// Of 8 x 8 positions, a multiprocessor, which has room for 8 or more.
constexpr std::int64_t kFewBlocks = 4, kManyBlocks = 8;

template <int kStride>
constexpr int kInputSide = (kSide - 1) * kStride + 3;

// kSteps: of 32 input channels. kTiles: of a warp. The tile in shared memory (tile.h) has the steps one after the
// other, as if they were more positions.
template <int kStride, int kTiles>
constexpr int kPositions = ((kTiles * kSide - 1) * kStride + 3) * kInputSide<kStride>;
template <int kSteps, int kStride, int kTiles>
constexpr int kHalf = half_bytes(kSteps * kPositions<kStride, kTiles>);
template <int kSteps, int kStride, int kTiles>
constexpr int kPlane = 2 * kHalf<kSteps, kStride, kTiles>;

template <int kSteps, int kStride, int kTiles>
__device__ void load_input(const std::int16_t* plane, int inputs, int height, int width, int row0, int column0,
                           std::uint8_t* tile) {
  constexpr int kParts = kSteps * kChannels / kOwned;
  constexpr int kCount = kPositions<kStride, kTiles> * kParts;
  for (int i = static_cast<int>(threadIdx.x); i < kCount; i += kWarps * kWarp) {
    const int position = i / kParts, part = i % kParts;
    const int row = row0 + position / kInputSide<kStride>, column = column0 + position % kInputSide<kStride>;
    Planes planes{};
    if (row >= 0 && row < height && column >= 0 && column < width && part * kOwned < inputs) {
      const std::int64_t at = (static_cast<std::int64_t>(row) * width + column) * inputs + part * kOwned;
      planes = split(__ldg(reinterpret_cast<const uint4*>(plane + at)));
    }
    const int index = part / 4 * kPositions<kStride, kTiles> + position;
    std::uint8_t* to = tile + owned_at(index, part % 4, kHalf<kSteps, kStride, kTiles>);
    *reinterpret_cast<uint2*>(to) = planes.low;
    *reinterpret_cast<uint2*>(to + kPlane<kSteps, kStride, kTiles>) = planes.high;
  }
}

// What a launch needs to know beside its parameters: how many groups of 32 outputs a block computes.
struct HyperLaunch {
  HyperParameters p;
  int groups_of_block;
};

template <int kSteps, int kStride, int kTiles, bool kLeaky, bool kShuffle>
__global__ void __launch_bounds__(kWarps* kWarp) hyper_kernel(const __grid_constant__ HyperLaunch call) {
  const HyperParameters& p = call.p;
  std::uint8_t* const tile = shared_memory();
  const Lane lane = this_lane();
  const int height = (p.height + kStride - 1) / kStride, width = (p.width + kStride - 1) / kStride;  // before a shuffle
  const int bottleneck = static_cast<int>(blockIdx.y) % kBottleneckCount;
  const int first_group = static_cast<int>(blockIdx.y) / kBottleneckCount * call.groups_of_block;
  const int end = min(p.outputs, kChannels * (first_group + call.groups_of_block));  // of the block's outputs
  const int across = (width + kSide - 1) / kSide;
  const int row0 = static_cast<int>(blockIdx.x) / across * (kTiles * kSide);
  const int column0 = static_cast<int>(blockIdx.x) % across * kSide;
  const Conv& conv = p.conv[bottleneck];
  const std::int64_t plane = static_cast<std::int64_t>(bottleneck) * p.images + blockIdx.z;
  load_input<kSteps, kStride, kTiles>(p.input + plane * p.height * p.width * p.inputs, p.inputs, p.height, p.width,
                                      kStride * row0 - 1, kStride * column0 - 1, tile);
  __syncthreads();

  // A warp's tile has two rows of 8 positions.
  const int first_row = static_cast<int>(threadIdx.x) / kWarp * (kTiles * kWarpRows);
  SharedRow rows[kTiles];
#pragma unroll
  for (int m = 0; m < kTiles; ++m) {
    rows[m] = operand_row(tile, kHalf<kSteps, kStride, kTiles>, lane, [&](int k) {
      return kStride * ((first_row + kWarpRows * m + k / kSide) * kInputSide<kStride> + k % kSide);
    });
  }
  const int scale = kShuffle ? 2 : 1, channels = p.outputs / (scale * scale);
  for (int group = first_group; group * kChannels < end; ++group) {
    Sums sums[kTiles];
    const auto column = [](SharedRow row, int k) {  // of k / kSteps, 32 channels
      return row + (k % kSteps * kPositions<kStride, kTiles> + k / kSteps) * kHalfRow;
    };
    convolve<true, 3, 3 * kSteps, kSteps == 1 && kTiles == 1>(sums, conv, group, rows, kPlane<kSteps, kStride, kTiles>,
                                                              lane, kInputSide<kStride> * kHalfRow, column);
    const int output = kChannels * group + kOwned * lane.t;  // the first of the lane's; in one phase of a shuffle
    if (output >= p.outputs) continue;
    const int phase = kShuffle ? output / channels : 0;
#pragma unroll
    for (int m = 0; m < kTiles; ++m) {
#pragma unroll
      for (int h = 0; h < kWarpRows; ++h) {
        const int row = row0 + first_row + kWarpRows * m + h, column = column0 + lane.g;
        if (row >= height || column >= width) continue;
        const std::int64_t y = scale * row + phase / 2, x = scale * column + phase % 2;
        const std::int64_t at = (plane * scale * height + y) * scale * width + x;
        *reinterpret_cast<uint4*>(p.output + at * channels + output - phase * channels) =
            pack_words(requantise<true, kLeaky>(sums[m], h, conv, group, lane.t, 0));
      }
    }
  }
}

template <int kSteps, int kStride, int kTiles, bool kLeaky, bool kShuffle>
void launch_hyper(const HyperParameters& p, bool share_groups, StreamHandle stream) {
  const auto tiles = [](int side, int of) { return ((side + kStride - 1) / kStride + of - 1) / of; };
  const int groups = (p.outputs + kChannels - 1) / kChannels;
  launch(hyper_kernel<kSteps, kStride, kTiles, kLeaky, kShuffle>,
         {.x = tiles(p.height, kTiles * kSide) * tiles(p.width, kSide),
          .y = kBottleneckCount * (share_groups ? groups : 1),
          .z = p.images,
          .threads = kWarps * kWarp,
          .shared_bytes = 2 * kPlane<kSteps, kStride, kTiles>},
         stream, HyperLaunch{p, share_groups ? 1 : groups});
}

template <int kSteps, int kStride, bool kLeaky, bool kShuffle>
void launch_hyper(const HyperParameters& p, StreamHandle stream) {
  const auto tiles = [](int side) { return std::int64_t{(side + kStride - 1) / kStride + kSide - 1} / kSide; };
  const std::int64_t blocks = tiles(p.height) * tiles(p.width) * kBottleneckCount * p.images;
  if (blocks >= kManyBlocks * p.multiprocessors) {
    return launch_hyper<kSteps, kStride, 2, kLeaky, kShuffle>(p, false, stream);
  }
  // Few blocks share the groups, though all of them load the same input then: small images would leave the device idle.
  const bool few = blocks < kFewBlocks * p.multiprocessors;
  launch_hyper<kSteps, kStride, 1, kLeaky, kShuffle>(p, few, stream);
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

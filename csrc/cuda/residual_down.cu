// The residual downsampling block (SPEC §2.5) in one launch for all nodes of a level. A block of threads works on a
// grid of kGrid x kGrid positions of the output:
//
//   input   (2 kGrid + 1)^2 positions in two planes of shared memory; of the image one word each, the last of its four
//           bytes without weight
//   middle  t = conv1: kGrid^2 positions in two planes of shared memory; where the input is not the image, over its
//           even rows, which the skip does not need: so two blocks fit into 164 KB (compute capability 8.0)
//   result  conv2, GDN and skip, all in registers: the inner (kGrid - 2)^2 positions go to global memory
#include "cuda/kernels.h"
#include "cuda/launch.h"
#include "cuda/tile.h"

namespace treenet::cuda {
namespace {

constexpr int kGrid = 16;
constexpr int kInner = kGrid - 2;
constexpr int kInputSide = 2 * kGrid + 1;
constexpr int kImageColumns = kInputSide + 1;  // a tap's row is read as four pixels
constexpr int kWarps = 8;
constexpr int kTiles = 2;  // of a warp at a time: the whole grid in one go
static_assert(kGrid * kGrid == kWarps * kTiles * kRows);

constexpr int kInputHalf = half_bytes(kInputSide * kInputSide);  // from a plane's first half to its second (tile.h)
constexpr int kInputPlane = 2 * kInputHalf;                      // from the low bytes to the high bytes

// Shared memory: the input, t behind it or in it, the sums over positions.
template <DownKind kKind>
constexpr bool kMiddleInInput = kKind != DownKind::kImage;
template <DownKind kKind>
constexpr int kMiddleAt = kMiddleInInput<kKind> ? 0 : (kInputSide * kImageColumns * 4 + 127) / 128 * 128;
template <DownKind kKind>
constexpr int kMiddlePitch = kMiddleInInput<kKind> ? 2 * kInputSide : kGrid;  // positions from row to row
template <DownKind kKind>
constexpr int kMiddleHalf = kMiddleInInput<kKind> ? kInputHalf : half_bytes(kGrid * kGrid);
template <DownKind kKind>
constexpr int kMiddlePlane = 2 * kMiddleHalf<kKind>;
template <DownKind kKind>
constexpr int kTotalsAt = kMiddleAt<kKind> + 2 * kMiddlePlane<kKind>;
template <DownKind kKind>
constexpr std::size_t kSharedBytes = kTotalsAt<kKind> + kChannels * sizeof(std::int32_t);

// Column c of the input tile: even ones first, so that the positions of a convolution of stride 2 are neighbours.
__device__ __forceinline__ int input_index(int row, int column) {
  return row * kInputSide + (column & 1) * (kGrid + 1) + column / 2;
}

struct Block {
  int row0, column0;  // of the grid, in the output
  int node, image;
  Lane lane;
  int warp;
};

// The image's tile (SPEC §3): beyond the pixels the last row and column, beyond the whole blocks the zero point.
__device__ void load_image(const ResidualDownParameters& p, const Block& block, std::uint32_t* tile) {
  const PixelPlane& pixels = p.pixels[block.image];
  const std::uint32_t zero = static_cast<std::uint32_t>(p.nodes[0].input_zero) * 0x010101u;
  for (int i = static_cast<int>(threadIdx.x); i < kInputSide * kImageColumns; i += kWarps * kWarp) {
    const int r = i / kImageColumns, c = i - r * kImageColumns;
    const int y = 2 * block.row0 - 1 + r, x = 2 * block.column0 - 1 + c;
    std::uint32_t word = zero;
    if (y >= 0 && y < 2 * p.height && x >= 0 && x < 2 * p.width) {
      const std::uint8_t* from =
          pixels.data + min(y, pixels.height - 1) * pixels.row + min(x, pixels.width - 1) * pixels.column;
      word = from[0] | static_cast<std::uint32_t>(from[pixels.channel]) << 8 |
             static_cast<std::uint32_t>(from[2 * pixels.channel]) << 16;
    }
    tile[i] = word;
  }
}

// Operands of the image's 3x3 window: lane t holds column t of the window's rows, the first two rows in `upper`.
__device__ __forceinline__ void image_operands(const std::uint32_t* tile, const int (&corner)[2], int t,
                                               FragmentA& upper, FragmentA& lower) {
#pragma unroll
  for (int h = 0; h < 2; ++h) {
    upper[h] = tile[corner[h] + t];
    upper[2 + h] = tile[corner[h] + kImageColumns + t];
    lower[h] = tile[corner[h] + 2 * kImageColumns + t];
    lower[2 + h] = 0;
  }
}

// A warp's tiles of 16 positions are rows of the grid, kTiles of them from its first on; what is outside the inner part
// repeats its neighbour when results are computed.
__device__ __forceinline__ int first_row(const Block& block) { return block.warp * kTiles; }
__device__ __forceinline__ int inner(int position) { return min(max(position, 1), kInner); }
__device__ __forceinline__ bool is_inner(int position) { return position == inner(position); }

template <DownKind kKind>
__device__ void compute_middle(const ResidualDownParameters& p, const ResidualBlockWeights& weights, const Block& block,
                               const std::uint8_t* input, std::uint8_t* middle) {
  const Lane& lane = block.lane;
  const int row0 = first_row(block);
  Sums sums[kTiles];
  if constexpr (kKind == DownKind::kImage) {
    const Owned<std::int32_t> bias = load_owned(weights.conv1.bias, lane.t);
    const GroupWeights first = load_weights(weights.conv1.weights, lane);
    const GroupWeights second = load_weights(weights.conv1.weights + kStepWords, lane);
#pragma unroll
    for (int m = 0; m < kTiles; ++m) {
      int corner[2];
#pragma unroll
      for (int h = 0; h < 2; ++h) corner[h] = 2 * (row0 + m) * kImageColumns + 2 * (lane.g + 8 * h);
      FragmentA upper, lower;
      image_operands(reinterpret_cast<const std::uint32_t*>(input), corner, lane.t, upper, lower);
      set_bias(sums[m], bias);
      multiply<Signedness::kU8>(sums[m], upper, first);
      multiply<Signedness::kU8>(sums[m], lower, second);
    }
  } else {
    SharedRow rows[kTiles];
    rows[0] = operand_row(input, kInputHalf, lane, [&](int k) { return input_index(2 * row0, 2 * k); });
#pragma unroll
    for (int m = 1; m < kTiles; ++m) rows[m] = rows[0] + m * input_index(2, 0) * kHalfRow;
    convolve<true, 3, 3, false>(sums, weights.conv1, 0, rows, kInputPlane, lane, input_index(1, 0) * kHalfRow,
                                [](SharedRow row, int v) { return row + input_index(0, v) * kHalfRow; });
    __syncthreads();  // nobody reads the input's even rows any more
  }
  std::uint8_t* const to = middle + owned_at(row0 * kMiddlePitch<kKind> + lane.g, lane.t, kMiddleHalf<kKind>);
#pragma unroll
  for (int m = 0; m < kTiles; ++m) {
    const int row = block.row0 + row0 + m;
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      const int column = block.column0 + lane.g + 8 * h;
      uint4 t = pack_words(requantise<true, true>(sums[m], h, weights.conv1, 0, lane.t, 0));
      if (row < 0 || row >= p.height || column < 0 || column >= p.width) t = {};  // padding of conv2
      store_packed(to + (m * kMiddlePitch<kKind> + 8 * h) * kHalfRow, kMiddlePlane<kKind>, t);
    }
  }
}

template <DownKind kKind>
__device__ void compute_result(const ResidualDownParameters& p, const ResidualBlockWeights& weights, const Block& block,
                               const std::uint8_t* input, const std::uint8_t* middle, Owned<std::int32_t>& total) {
  const Lane& lane = block.lane;
  const int row0 = 1 + first_row(block);
  if (row0 > kInner) return;  // the last warp
  static_assert(kInner % kTiles == 0);
  // The upper left one of the window around a tile's position k in t, which is an address in the input, too.
  const auto window = [&](int m, int k) { return (row0 - 1 + m) * kMiddlePitch<kKind> + inner(k) - 1; };
  // g before the skip: fewer values live at once.
  Owned<float> g[kTiles][2];
  {
    SharedRow rows[kTiles];
#pragma unroll
    for (int m = 0; m < kTiles; ++m) {
      rows[m] = operand_row(middle, kMiddleHalf<kKind>, lane, [&](int k) { return window(m, k); });
    }
    Sums sums[kTiles];
    convolve<true, 3, 3, false>(sums, weights.conv2, 0, rows, kMiddlePlane<kKind>, lane, kMiddlePitch<kKind> * kHalfRow,
                                [](SharedRow row, int v) { return row + v * kHalfRow; });
#pragma unroll
    for (int m = 0; m < kTiles; ++m) normalise<false>(sums[m], weights.gdn, lane, g[m]);
  }
  Sums skip[kTiles];
  if constexpr (kKind == DownKind::kImage) {
    const Owned<std::int32_t> bias = load_owned(weights.skip.bias, lane.t);
    const GroupWeights w = load_weights(weights.skip.weights, lane);
#pragma unroll
    for (int m = 0; m < kTiles; ++m) {
      int corner[2];
#pragma unroll
      for (int h = 0; h < 2; ++h) corner[h] = 2 * (row0 + m) * kImageColumns + 2 * inner(lane.g + 8 * h);
      FragmentA upper, lower;
      image_operands(reinterpret_cast<const std::uint32_t*>(input), corner, lane.t, upper, lower);
      set_bias(skip[m], bias);
      multiply<Signedness::kU8>(skip[m], upper, w);
    }
  } else {
    // Position (2 row + 1, 2 column + 1), from t's (row - 1, column - 1) on.
    static_assert(kMiddleAt<kKind> == 0 && kMiddlePitch<kKind> == 2 * kInputSide);
    SharedRow rows[kTiles];
#pragma unroll
    for (int m = 0; m < kTiles; ++m) {
      rows[m] = operand_row(input, kInputHalf, lane, [&](int k) { return window(m, k); });
    }
    convolve<true, 1, 1, true>(skip, weights.skip, 0, rows, kInputPlane, lane, 0,
                               [](SharedRow row, int) { return row + input_index(3, 3) * kHalfRow; });
  }
  const Owned<float> multiplier = load_owned(weights.skip.multiplier, lane.t);
  const std::int64_t plane = static_cast<std::int64_t>(block.node) * p.images + block.image;
#pragma unroll
  for (int m = 0; m < kTiles; ++m) {
    const int row = block.row0 + row0 + m;
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      const int column = block.column0 + lane.g + 8 * h;
      if (!is_inner(lane.g + 8 * h) || row >= p.height || column >= p.width) continue;
      Owned<std::int32_t> v;
#pragma unroll
      for (int c = 0; c < kOwned; ++c) {
        const float s = scaled(skip[m].at(h, c), multiplier.value[c]);
        v.value[c] = to_activation<true>(__fadd_rn(g[m][h].value[c], s), 0);
      }
      const uint4 packed = pack_words(v);
      add_packed(total, packed);
      store_activation(p.output, (plane * p.height + row) * p.width + column, lane.t, packed);
    }
  }
}

template <DownKind kKind>
__global__ void __launch_bounds__(kWarps* kWarp, 2)
    residual_down_kernel(const __grid_constant__ ResidualDownParameters p) {
  std::uint8_t* const input = shared_memory();
  std::uint8_t* const middle = input + kMiddleAt<kKind>;
  std::int32_t* const totals = reinterpret_cast<std::int32_t*>(input + kTotalsAt<kKind>);

  const int node = static_cast<int>(blockIdx.z) / p.images;
  // By a shuffle: so the compiler knows that all lanes have the same, for which there are other registers.
  const int warp = __shfl_sync(kAllLanes, static_cast<int>(threadIdx.x) / kWarp, 0);
  const Block block{static_cast<int>(blockIdx.y) * kInner - 1,
                    static_cast<int>(blockIdx.x) * kInner - 1,
                    node,
                    static_cast<int>(blockIdx.z) - node * p.images,
                    this_lane(),
                    warp};
  const ResidualBlockWeights& weights = p.nodes[block.node];
  if constexpr (kKind == DownKind::kImage) {
    load_image(p, block, reinterpret_cast<std::uint32_t*>(input));
  } else {
    const int height = 2 * p.height, width = 2 * p.width;  // of the input, whose sides are even
    const std::int64_t plane = (static_cast<std::int64_t>(block.node / 2) * p.images + block.image) * height * width;
    load_tile<true, kWarps * kWarp, kInputSide, kInputSide>(p.input + plane * kChannels, height, width,
                                                            2 * block.row0 - 1, 2 * block.column0 - 1, 0, input,
                                                            kInputHalf, input_index, Unchanged{});
  }
  if (threadIdx.x < kChannels) totals[threadIdx.x] = 0;
  __syncthreads();
  compute_middle<kKind>(p, weights, block, input, middle);
  __syncthreads();
  Owned<std::int32_t> total{};
  compute_result<kKind>(p, weights, block, input, middle, total);
  if constexpr (kKind == DownKind::kLeaf) {
    add_to_block(totals, total, block.lane);
    __syncthreads();
    add_to_image(p.sums + (static_cast<std::int64_t>(block.node) * p.images + block.image) * kChannels, totals);
  }
}

template <DownKind kKind>
void launch_down(int nodes, const ResidualDownParameters& p, StreamHandle stream) {
  static_assert(kSharedBytes<kKind> <= kMostSharedBytes);
  static_assert(2 * (kSharedBytes<kKind> + 1024) <= 164 * 1024);  // two blocks, with what each takes beside its own
  launch(residual_down_kernel<kKind>,
         {.x = (p.width + kInner - 1) / kInner,
          .y = (p.height + kInner - 1) / kInner,
          .z = nodes * p.images,
          .threads = kWarps * kWarp,
          .shared_bytes = kSharedBytes<kKind>},
         stream, p);
}

}  // namespace

void residual_down(DownKind kind, int nodes, const ResidualDownParameters& parameters, StreamHandle stream) {
  switch (kind) {
    case DownKind::kImage:
      return launch_down<DownKind::kImage>(nodes, parameters, stream);
    case DownKind::kInner:
      return launch_down<DownKind::kInner>(nodes, parameters, stream);
    case DownKind::kLeaf:
      return launch_down<DownKind::kLeaf>(nodes, parameters, stream);
  }
}

}  // namespace treenet::cuda

// The residual upsampling block (SPEC §2.6) in one launch for all nodes of a level, and with the output convolution
// (§6) for the last. A block of threads works on a grid of rows x columns positions of the input:
//
//   input   (rows + 2) x (columns + 2) positions in shared memory, s16 ones in two planes
//   middle  t = conv1, shuffled: 2 rows x 2 columns positions in shared memory
//   result  conv2, inverse GDN and skip: all in registers. Either the inner (2 rows - 4) x (2 columns - 4) positions go
//           to global memory, or (2 rows - 2) x (2 columns - 2) to two planes of shared memory, of which the output
//           convolution makes (2 rows - 4) x (2 columns - 4) pixels.
//
// Positions of twice the resolution are kept by phases (dy, dx): one phase of conv2 reads the same columns, shifted,
// for all of its positions, and adds the skip of the same phase in registers.
#include "cuda/kernels.h"
#include "cuda/launch.h"
#include "cuda/tile.h"

namespace treenet::cuda {
namespace {

// A warp has positions of one phase. Of a block; and how many blocks are to fit into a multiprocessor: with fewer warps
// each has the registers for s16 features, while the pixels' features take the shared memory.
constexpr int kPhases = 4;
template <UpKind kKind>
constexpr int kWarps = kKind == UpKind::kPixels ? 2 * kPhases : kPhases;
template <UpKind kKind>
constexpr int kBlocks = kKind == UpKind::kPixels ? 2 : 3;

template <UpKind kKind>
constexpr bool kReadsWide = kKind != UpKind::kPixels;
template <UpKind kKind>
constexpr bool kWritesWide = kKind != UpKind::kNarrow;

// Fewer rows where the features that become pixels are in shared memory, too.
template <UpKind kKind>
constexpr int kGridRows = kKind == UpKind::kPixels ? 12 : 16;
constexpr int kGridColumns = 16;
// Of the grid, what the block is for.
template <UpKind kKind>
constexpr int kInnerRows = kGridRows<kKind> - 2;
constexpr int kInnerColumns = kGridColumns - 2;
constexpr int kInputColumns = kGridColumns + 2;

// From the first half of a plane to its second (tile.h).
template <UpKind kKind>
constexpr int kInputHalf = half_bytes((kGridRows<kKind> + 2) * kInputColumns);
template <UpKind kKind>
constexpr int kMiddleHalf = half_bytes(4 * kGridRows<kKind> * kGridColumns);
// From a plane of low bytes to that of high bytes.
template <UpKind kKind>
constexpr int kInputPlane = 2 * kInputHalf<kKind>;
template <UpKind kKind>
constexpr int kMiddlePlane = 2 * kMiddleHalf<kKind>;

// Shared memory: the input's planes, t, the two planes of the features that become pixels, the sums over positions.
template <UpKind kKind>
constexpr int kMiddleAt = (kReadsWide<kKind> ? 2 : 1) * kInputPlane<kKind>;
template <UpKind kKind>
constexpr int kTotalsAt = kMiddleAt<kKind> + (kKind == UpKind::kPixels ? 3 : 1) * kMiddlePlane<kKind>;
template <UpKind kKind>
constexpr std::size_t kSharedBytes = kTotalsAt<kKind> + kChannels * sizeof(std::int32_t);

// Positions of the grid and around it in the input's tile; and t's, or the features', at phase 2 dy + dx of one:
// columns of one parity together.
__device__ __forceinline__ int input_index(int row, int column) { return row * kInputColumns + column; }
__device__ __forceinline__ int fine_index(int row, int column, int phase) {
  return (kPhases * row + phase) * kGridColumns + column;
}
// Bytes from row to row of these.
constexpr int kInputPitch = kInputColumns * kHalfRow;
constexpr int kFinePitch = kPhases * kGridColumns * kHalfRow;

// Column v of a window of 3x3 around a position of the input, whose upper left one is at `row`; and from row to row.
__device__ __forceinline__ SharedRow input_column(SharedRow row, int v) { return row + v * kHalfRow; }

// The same of a window around phase 2 dy + dx of a position, whose phase 0 is at `row`.
class FineColumn {
 public:
  __device__ __forceinline__ explicit FineColumn(int phase) {
#pragma unroll
    for (int v = 0; v < 3; ++v) {
      const int x = phase % 2 + v - 1;  // at twice the resolution, as is the window's upper row
      first_[v] = ((2 * (phase / 2 - 1) + (x & 1)) * kGridColumns + (x >> 1)) * kHalfRow;
    }
  }
  __device__ __forceinline__ SharedRow operator()(SharedRow row, int v) const { return row + first_[v]; }
  static constexpr int kPitch = kFinePitch / 2;

 private:
  int first_[3];
};

// Rows and columns of the grid. A tile of 16 positions is a whole row of it; where not all columns count, those that do
// not repeat their neighbour.
struct Region {
  int row0, column0, rows, columns;

  __device__ __forceinline__ int row(int tile) const { return row0 + min(tile, rows - 1); }
  __device__ __forceinline__ int column(int k) const { return min(max(k, column0), column0 + columns - 1); }
  __device__ __forceinline__ bool has_column(int k) const { return k >= column0 && k < column0 + columns; }
};

// What the block is for.
template <UpKind kKind>
__device__ __forceinline__ constexpr Region inner_region() {
  return {1, 1, kInnerRows<kKind>, kInnerColumns};
}

// The part of the grid where a phase's results are computed: its inner part, or all that the output convolution reads.
template <UpKind kKind>
__device__ __forceinline__ constexpr Region result_region(int phase) {
  if constexpr (kKind == UpKind::kPixels) {
    return {1 - phase / 2, 1 - phase % 2, kInnerRows<kKind> + 1, kInnerColumns + 1};
  } else {
    return inner_region<kKind>();
  }
}

struct Block {
  int row0, column0;  // of the grid, in the input
  int node, image;
  Lane lane;
  int warp;

  // A warp works on tiles of one phase, from its first by kTileStep on.
  __device__ __forceinline__ int phase() const { return warp % kPhases; }
  __device__ __forceinline__ int first_tile() const { return warp / kPhases; }
};
template <UpKind kKind>
constexpr int kTileStep = kWarps<kKind> / kPhases;

// t: every phase of every position of the grid.
template <UpKind kKind>
__device__ void compute_middle(const ResidualUpParameters& p, const ResidualBlockWeights& weights, const Block& block,
                               const std::uint8_t* input, std::uint8_t* middle) {
  constexpr int kTiles = 2;
  constexpr int kChunks = kGridRows<kKind> / kTiles;
  static_assert(kGridRows<kKind> % kTiles == 0 && kGridColumns == kRows);
  const int phase = block.phase();
  const std::uint32_t padding = static_cast<std::uint32_t>(weights.middle_zero) * 0x01010101u;  // of conv2
  const SharedRow first = operand_row(input, kInputHalf<kKind>, block.lane, [](int k) { return input_index(0, k); });
  for (int chunk = block.first_tile(); chunk < kChunks; chunk += kTileStep<kKind>) {
    const Lane lane = in_pass(block.lane, chunk);
    SharedRow rows[kTiles];
#pragma unroll
    for (int m = 0; m < kTiles; ++m) rows[m] = first + (chunk * kTiles + m) * kInputPitch;
    Sums sums[kTiles];
    convolve<kReadsWide<kKind>, 3, 3, kReadsWide<kKind>>(sums, weights.conv1, phase, rows, kInputPlane<kKind>, lane,
                                                         kInputPitch, input_column);
#pragma unroll
    for (int m = 0; m < kTiles; ++m) {
      const int row = chunk * kTiles + m;
      const bool row_inside = block.row0 + row >= 0 && block.row0 + row < p.height;
      std::uint8_t* const to = middle + owned_at(fine_index(row, lane.g, phase), lane.t, kMiddleHalf<kKind>);
#pragma unroll
      for (int h = 0; h < 2; ++h) {
        const int column = block.column0 + lane.g + 8 * h;
        uint2 t = pack_bytes(requantise<false, true>(sums[m], h, weights.conv1, phase, lane.t, weights.middle_zero));
        if (!row_inside || column < 0 || column >= p.width) t = {padding, padding};
        store_packed(to + 8 * h * kHalfRow, 0, t);
      }
    }
  }
}

// conv2, inverse GDN and skip.
template <UpKind kKind>
__device__ void compute_result(const ResidualUpParameters& p, const ResidualBlockWeights& weights, const Block& block,
                               const std::uint8_t* input, const std::uint8_t* middle, std::uint8_t* features,
                               Owned<std::int32_t>& total) {
  constexpr bool kWideOut = kWritesWide<kKind>;
  constexpr int kTiles = 2;
  constexpr int kChunks = (result_region<kKind>(0).rows + kTiles - 1) / kTiles;
  const int phase = block.phase();
  const Region region = result_region<kKind>(phase);
  const SharedRow first_middle =
      operand_row(middle, kMiddleHalf<kKind>, block.lane, [&](int k) { return fine_index(0, region.column(k), 0); });
  const SharedRow first_input =
      operand_row(input, kInputHalf<kKind>, block.lane, [&](int k) { return input_index(0, region.column(k)); });
  const FineColumn fine_column(phase);
  for (int chunk = block.first_tile(); chunk < kChunks; chunk += kTileStep<kKind>) {
    const Lane lane = in_pass(block.lane, chunk);
    // g before the skip: fewer values live at once.
    Owned<float> g[kTiles][2];
    SharedRow rows[kTiles];
    {
#pragma unroll
      for (int m = 0; m < kTiles; ++m) rows[m] = first_middle + region.row(chunk * kTiles + m) * kFinePitch;
      Sums sums[kTiles];
      convolve<false, 3, 3, false>(sums, weights.conv2, 0, rows, 0, lane, FineColumn::kPitch, fine_column);
#pragma unroll
      for (int m = 0; m < kTiles; ++m) normalise<true>(sums[m], weights.gdn, lane, g[m]);
    }
#pragma unroll
    for (int m = 0; m < kTiles; ++m) rows[m] = first_input + region.row(chunk * kTiles + m) * kInputPitch;
    Sums skip[kTiles];
    convolve<kReadsWide<kKind>, 3, 3, false>(skip, weights.skip, phase, rows, kInputPlane<kKind>, lane, kInputPitch,
                                             input_column);
    const Owned<float> multiplier = load_owned(weights.skip.multiplier + kChannels * phase, lane.t);
    const int x = 2 * (block.column0 + lane.g) + phase % 2;  // of the lane's first row
#pragma unroll
    for (int m = 0; m < kTiles; ++m) {
      const int row = region.row(chunk * kTiles + m);
      const int y = 2 * (block.row0 + row) + phase / 2;
      const bool row_valid = chunk * kTiles + m < region.rows, row_inside = y >= 0 && y < 2 * p.height;
      const std::int64_t plane = static_cast<std::int64_t>(block.node) * p.images + block.image;
      const std::int64_t position = (plane * 2 * p.height + y) * 2 * p.width + x;
      std::uint8_t* const to = features + owned_at(fine_index(row, lane.g, phase), lane.t, kMiddleHalf<kKind>);
#pragma unroll
      for (int h = 0; h < 2; ++h) {
        const bool inside = row_inside && x + 16 * h >= 0 && x + 16 * h < 2 * p.width;
        const bool valid = row_valid && region.has_column(lane.g + 8 * h);
        Owned<std::int32_t> v;
#pragma unroll
        for (int c = 0; c < kOwned; ++c) {
          const float s = scaled(skip[m].at(h, c), multiplier.value[c]);
          v.value[c] = to_activation<kWideOut>(__fadd_rn(g[m][h].value[c], s), weights.output_zero);
        }
        Packed<kWideOut> packed = pack<kWideOut>(v);
        if constexpr (kKind == UpKind::kPixels) {
          if (!inside) packed = {};  // padding of the output convolution
          if (valid) store_packed(to + 8 * h * kHalfRow, kMiddlePlane<kKind>, packed);
        } else if (inside && valid) {
          add_packed(total, packed);
          store_activation(p.output, position + 16 * h, lane.t, packed);
        }
      }
    }
  }
}

// The output convolution: columns 0 to 2 of one product are the colours.
__device__ void compute_pixels(const ResidualUpParameters& p, const Block& block, const std::uint8_t* features) {
  const Lane lane = in_pass(block.lane, block.warp);
  const int phase = block.phase();
  const PixelPlane pixels = p.pixels[block.image];
  constexpr Region region = inner_region<UpKind::kPixels>();
  constexpr int kTiles = region.rows;
  const uint2* weights = reinterpret_cast<const uint2*>(p.pixels_conv.weights) + lane.number();
  std::int32_t bias[2];
  float multiplier[2];
#pragma unroll
  for (int e = 0; e < 2; ++e) {
    bias[e] = __ldg(p.pixels_conv.bias + 2 * lane.t + e);
    multiplier[e] = __ldg(p.pixels_conv.multiplier + 2 * lane.t + e);
  }
  const FineColumn fine_column(phase);
  const SharedRow first = operand_row(features, kMiddleHalf<UpKind::kPixels>, lane,
                                      [&](int k) { return fine_index(0, region.column(k), 0); });
  for (int tile = block.first_tile(); tile < kTiles; tile += kTileStep<UpKind::kPixels>) {
    const int row = region.row0 + tile;
    FragmentD high{}, d{};
#pragma unroll
    for (int tap = 0; tap < 9; ++tap) {
      const uint2 w = __ldg(weights + tap * kWarp);
      const SharedRow at = fine_column(first + row * kFinePitch, tap % 3) + tap / 3 * FineColumn::kPitch;
      FragmentA a;
      load_matrices(a, at);
      mma_u8_s8(d, a, w.x, w.y);
      load_matrices(a, at + kMiddlePlane<UpKind::kPixels>);
      mma_s8_s8(high, a, w.x, w.y);
    }
    const int y = 2 * (block.row0 + row) + phase / 2;
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      const int column = lane.g + 8 * h, x = 2 * (block.column0 + column) + phase % 2;
      std::int32_t value[2];
#pragma unroll
      for (int e = 0; e < 2; ++e) {
        const int k = 2 * h + e;
        const std::uint32_t sum = (static_cast<std::uint32_t>(high[k]) << 8) + static_cast<std::uint32_t>(d[k]) +
                                  static_cast<std::uint32_t>(bias[e]);
        value[e] = rounded(scaled(static_cast<std::int32_t>(sum), multiplier[e]), 0, 0, 255);
      }
      const std::int32_t blue = __shfl_down_sync(kAllLanes, value[0], 1);  // lane t = 0 has red and green, t = 1 blue
      if (lane.t != 0 || !region.has_column(column) || y >= pixels.height || x >= pixels.width) continue;
      std::uint8_t* to = pixels.data + y * pixels.row + x * pixels.column;
      if (pixels.grey) {
        *to = static_cast<std::uint8_t>((2 * (value[0] + value[1] + blue) + 3) / 6);
      } else {
        to[0] = static_cast<std::uint8_t>(value[0]);
        to[pixels.channel] = static_cast<std::uint8_t>(value[1]);
        to[2 * pixels.channel] = static_cast<std::uint8_t>(blue);
      }
    }
  }
}

template <UpKind kKind>
__global__ void __launch_bounds__(kWarps<kKind>* kWarp, kBlocks<kKind>)
    residual_up_kernel(const __grid_constant__ ResidualUpParameters p) {
  constexpr bool kWide = kReadsWide<kKind>;
  std::uint8_t* const input = shared_memory();
  std::uint8_t* const middle = input + kMiddleAt<kKind>;
  std::uint8_t* const features = middle + kMiddlePlane<kKind>;  // of kPixels
  std::int32_t* const totals = reinterpret_cast<std::int32_t*>(input + kTotalsAt<kKind>);

  const int node = static_cast<int>(blockIdx.z) / p.images;
  // By a shuffle: so the compiler knows that all lanes have the same, for which there are other registers.
  const int warp = __shfl_sync(kAllLanes, static_cast<int>(threadIdx.x) / kWarp, 0);
  const Block block{static_cast<int>(blockIdx.y) * kInnerRows<kKind> - 1,
                    static_cast<int>(blockIdx.x) * kInnerColumns - 1,
                    node,
                    static_cast<int>(blockIdx.z) - node * p.images,
                    this_lane(),
                    warp};
  const ResidualBlockWeights& weights = p.nodes[block.node];

  const std::int64_t plane = (static_cast<std::int64_t>(block.node) * p.images + block.image) * p.height * p.width;
  const auto load = [&](auto convert) {
    load_tile<kWide, kWarps<kKind> * kWarp, kGridRows<kKind> + 2, kInputColumns>(
        static_cast<const std::uint8_t*>(p.input) + plane * kChannels * (kWide ? 2 : 1), p.height, p.width,
        block.row0 - 1, block.column0 - 1, weights.input_zero, input, kInputHalf<kKind>, input_index, convert);
  };
  if constexpr (kKind == UpKind::kFirst) {
    load(Gain{p.gain + (block.image * kBottleneckCount + block.node) * kChannels});
  } else {
    load(Unchanged{});
  }
  if (threadIdx.x < kChannels) totals[threadIdx.x] = 0;
  __syncthreads();
  compute_middle<kKind>(p, weights, block, input, middle);
  __syncthreads();
  Owned<std::int32_t> total{};
  compute_result<kKind>(p, weights, block, input, middle, features, total);
  if constexpr (kKind == UpKind::kPixels) {
    __syncthreads();
    compute_pixels(p, block, features);
  } else {
    add_to_block(totals, total, block.lane);
    __syncthreads();
    add_to_image(p.sums + (static_cast<std::int64_t>(block.node) * p.images + block.image) * kChannels, totals);
  }
}

template <UpKind kKind>
void launch_up(int nodes, const ResidualUpParameters& p, StreamHandle stream) {
  static_assert(kSharedBytes<kKind> <= kMostSharedBytes);
  // So many blocks fit into the 164 KB of compute capability 8.0, with what each takes beside its own.
  static_assert(kBlocks<kKind> * (kSharedBytes<kKind> + 1024) <= 164 * 1024);
  launch(residual_up_kernel<kKind>,
         {.x = (p.width + kInnerColumns - 1) / kInnerColumns,
          .y = (p.height + kInnerRows<kKind> - 1) / kInnerRows<kKind>,
          .z = nodes * p.images,
          .threads = kWarps<kKind> * kWarp,
          .shared_bytes = kSharedBytes<kKind>},
         stream, p);
}

}  // namespace

void residual_up(UpKind kind, int nodes, const ResidualUpParameters& parameters, StreamHandle stream) {
  switch (kind) {
    case UpKind::kFirst:
      return launch_up<UpKind::kFirst>(nodes, parameters, stream);
    case UpKind::kWide:
      return launch_up<UpKind::kWide>(nodes, parameters, stream);
    case UpKind::kNarrow:
      return launch_up<UpKind::kNarrow>(nodes, parameters, stream);
    case UpKind::kPixels:
      return launch_up<UpKind::kPixels>(nodes, parameters, stream);
  }
}

}  // namespace treenet::cuda

// The kernel table: what every instruction set provides, and the packed parameters that kernels read.
//
// An operation is written once, as a template over primitives: its schedule of lines and tiles is in residual_down.h,
// residual_up.h (with input_lines.h, conv3x3.h, conv_image.h, winograd*.h, gdn.h and output_*.h), fusion.h, hyper.h,
// parameters.h or latent_rows.h. The primitives (a block of a convolution, its requantisation, GDN, blending; channels'
// symbols) are written once for each instruction set, in isa_*.h, symbols_*.h and other files that end with its name;
// AMX has those of AVX-512, and convolutions of its own in conv_tiles.h, by products of matrix_tiles.h. kernels_*.cpp
// joins the two and is, beside benchmarks of its parts, the only file compiled with that instruction set's flags.
//
// This header is included by all of them, so it holds plain data only: no inline function whose copy from one file
// could end up in another.
//
// Geometry common to all kernels: they work on blocks of int32 accumulators, which are kBlockPixels pixels of 32
// channels (lines.h: 12, or 16 with matrix tiles), half as many of 64 (two neighbouring pixels of a subpixel
// convolution's output) or four times as many of 8 (the hidden layer of an attention).
#pragma once

#include <cstddef>
#include <cstdint>

#include "codec/rans_loops.h"

namespace treenet::cpu {

inline constexpr int kChannels = 32;  // of every transform activation

// A matrix register of AMX: 16 rows of 64 bytes, which are 16 sums (matrix_tiles.h).
inline constexpr int kTileRows = 16, kTileBytes = 64, kTileSums = kTileBytes / 4;
inline constexpr int kTileSize = kTileRows * kTileBytes;
inline constexpr int kMaximumTileSteps = 9;  // of a convolution (conv_tiles.h)

// 64 bytes of the input: from byte 64 * chunk on of a tap's pixel.
struct TileStep {
  std::uint8_t tap, chunk;
};

// A convolution with its weights in the order in which kernels consume them:
//   weights[block][tap][group][out in block][4 bytes]
// A group is four bytes of one input pixel: four u8 channels, or two s16 channels (but see conv_image.h). Where an
// instruction set works on widened u8 (KernelTable::u8_group is 2), its groups are two channels everywhere. `bias` has
// the input's zero point folded in: bias - z * sum(weights), modulo 2^32. All per-channel arrays follow the packed
// order of output channels and are padded to whole blocks.
struct PackedConv {
  const std::uint8_t* weights;
  const std::int32_t* bias;
  const float* multiplier;
  const float* multiplier_negative;  // multiplier * 0.01f (SPEC §2.2)
  std::int32_t taps;
  std::int32_t groups;
  std::int32_t blocks;         // of `block_outputs` output channels
  std::int32_t block_outputs;  // 8, 32 or 64
  std::int32_t outputs;        // before padding
  std::int32_t tap_bytes;      // weight bytes of a tap of a block
  std::int32_t block_bytes;    // weight bytes of a block
  // The same for matrix tiles (conv_tiles.h); null where the instruction set has none, or none that fit.
  const std::uint8_t* tiles;
  const TileStep* tile_steps;
  std::int32_t tile_step_count;
  std::int32_t tile_bytes;  // of 16 outputs
};

// A 3x3 convolution, and its weights in Winograd's form where an instruction set has use for them: 1x1 convolutions of
// s16, block n * b + p of point p to the outputs [32 b, 32 b + 32). An s16 has n = 16 points (winograd_2x2.h), or 35
// with stride 2 (winograd_strided.h), and a u8 36 (winograd_4x4.h).
struct Packed3x3 {
  PackedConv direct, winograd;
};
// With stride 2, how many rows of points are in each of their sums, one after the other, and columns; and the place of
// point (u, v): those that are in the same sum follow each other, and sums go row by row.
inline constexpr int kStridedRowParts[5] = {2, 1, 1, 1, 2}, kStridedColumnParts[3] = {2, 1, 2};
struct StridedPlaces {
  std::uint8_t of[7][5];
};
inline constexpr StridedPlaces kStridedPlaces = [] {
  StridedPlaces places{};
  std::uint8_t next = 0;
  int first_u = 0;
  for (const int rows : kStridedRowParts) {
    int first_v = 0;
    for (const int columns : kStridedColumnParts) {
      for (int u = first_u; u < first_u + rows; ++u) {
        for (int v = first_v; v < first_v + columns; ++v) places.of[u][v] = next++;
      }
      first_v += columns;
    }
    first_u += rows;
  }
  return places;
}();

// SPEC §2.4. `gamma` is a 1x1 convolution of s16 with beta as its bias.
struct PackedGdn {
  PackedConv gamma;
  const float* numerator;
  const float* magnitude;
};

// SPEC §2.5.
struct PackedResidualDown {
  Packed3x3 conv1, conv2;  // conv1 in Winograd's form where it reads s16
  PackedConv skip;
  PackedGdn gdn;
  std::int32_t input_zero_point;
};

// SPEC §2.6. conv1 and skip have two blocks of 64 outputs, one for each dy; output (dx, c) of a block is 32 * dx + c.
struct PackedResidualUp {
  Packed3x3 conv1, conv2, skip;
  PackedGdn igdn;
  std::int32_t input_zero_point, middle_zero_point, output_zero_point;
};

// SPEC §2.7, the part that runs at every position. local1 of the first attention has its weights twice: x and y are
// its two taps.
struct PackedAttention {
  PackedConv local1, local2;
};

// SPEC §6, the output convolution: as a 1x1 convolution to 27 numbers (tap * 3 + colour) whose shifted sum is the
// pixel; or, where an instruction set uses Winograd's algorithms, its taps and winograd_2x2.h's points, in the order in
// which output_lanes.h takes them: [row][pair of channels][column][colour][channel].
struct PackedOutput {
  PackedConv products;
  const std::int16_t *direct, *points;
  std::int32_t bias[4];
  float multiplier[4];
};

// SPEC §5, context and entropy parameters of one bottleneck.
struct PackedParameters {
  PackedConv context;  // 12 taps, those with u + v odd, in row order
  PackedConv entropy_parameters[3];
  // The indices of v: [32768], by v, and the 63 thresholds as a search meets them: [1], then after [i] one of [2i] and
  // [2i + 1].
  const std::uint8_t* scale_index;
  const std::int16_t* scale_search;
};

// What the fusion of x and y takes (SPEC §2.7), each dense positions of 32 channels. `out` may be x.
template <class T>
struct FusionTask {
  const PackedAttention *first, *second;
  const float *first_global, *second_global;  // fg[32] of both
  const std::uint8_t* sigmoid;                // the 128 bytes of the model
  const T *x, *y;
  T* out;
};

// A tensor [height, width, channels], dense.
struct Plane {
  void* data;
  std::int32_t height, width, channels;
};

// An image is read, and written, where the caller has it (SPEC §3): 8 bits in any order, so many bytes from one row,
// column or channel to the next.
struct PixelStrides {
  std::ptrdiff_t row, column, channel;
};
// RGB. What lies beyond it, up to whole blocks, repeats its last row and column.
struct InputPixels {
  const std::uint8_t* data;
  std::int32_t height, width;
  std::int32_t whole_height, whole_width;
  PixelStrides strides;
};
// RGB, or the one channel of a grey image.
struct OutputPixels {
  std::uint8_t* data;
  std::int32_t height, width;
  PixelStrides strides;
  bool grey;
};

// What a stage of a segment has of a row of a latent (SPEC §5): every other position from a first one on. A channel
// whose index is at least `skip`, 0..64, carries a symbol.
struct LatentRow {
  const std::int16_t* mean;
  const std::uint8_t* index;
  std::int16_t* decoded;
  std::int32_t positions, skip;
};
inline constexpr int kLatentBits = 6, kLatentStep = 1 << kLatentBits;  // units of means and latents a step
inline constexpr int kBeyond = kChannels;  // elements behind a row's symbols that kernels may write and read

// The rows of a kernel's output that a worker is to compute, handed out one by one (row_sharing.h).
class RowSharing;
struct Rows {
  RowSharing* sharing;
  int worker;
};
// The next row: from any on, each one more than the last. False if there is none left.
bool next_row(const Rows& rows, std::int32_t& row);

// A kernel's part of its output: some rows of columns [column_begin, column_end).
struct Tile {
  std::int32_t column_begin, column_end;
  Rows rows;
};

template <class Input>
using ResidualDownKernel = void (*)(const PackedResidualDown*, const Input& in, const Plane* outs, const Tile&,
                                    std::int64_t* sums, void* scratch);
using ResidualUpKernel = void (*)(const PackedResidualUp&, const Plane& in, const Plane& out, const Tile&,
                                  std::int64_t* sums, void* scratch);

// One entry an operation. All are pure functions of their arguments; `scratch` is at least KernelTable::scratch_bytes
// of 64-byte aligned memory. A kernel that has a tile writes that of the output and nothing else, so tiles may run at
// once.
struct KernelTable {
  const char* name;
  std::int32_t u8_group;      // channels a weight group of a u8 convolution: 4, or 2 where u8 is widened to s16
  bool image_groups;          // whether the image's 3x3 convolution has its weights by conv_image.h's groups
  bool winograd;              // whether 3x3 convolutions use Winograd's algorithms
  bool matrix_tiles;          // whether convolutions use PackedConv::tiles
  std::int32_t block_pixels;  // tiles have columns in whole blocks, but for the last ones
  std::size_t (*scratch_bytes)();
  // The widest output tile of a residual downsampling block, of the one that reads the image, and of an upsampling
  // block; even.
  std::int32_t down_tile_columns, down_image_tile_columns, up_tile_columns;

  // Where a kernel has `sums`, it adds to sums[c] the channel's outputs in its tile, zero points not removed: the
  // fusion that follows needs their averages.

  // Residual downsampling, of the image, and of s16 x 32 by the two children of a node: two blocks, outputs and `sums`,
  // one after the other.
  ResidualDownKernel<InputPixels> residual_down_image;
  ResidualDownKernel<Plane> residual_down_siblings;

  // Residual upsampling, named by the types of input and output. Tiles have even columns.
  ResidualUpKernel residual_up_s16_s16;
  ResidualUpKernel residual_up_s16_u8;
  ResidualUpKernel residual_up_u8_s16;
  // The last node with the output convolution.
  void (*residual_up_output)(const PackedResidualUp&, const PackedOutput&, const Plane& in, const OutputPixels& out,
                             const Tile&, void* scratch);

  // Fusion of positions [begin, end). The second attention's global branch needs the sums of what the first one gives,
  // so those are computed first, and again on the way to the output: to keep them would cost more.
  void (*fusion_sums_u8)(const FusionTask<std::uint8_t>&, std::int64_t begin, std::int64_t end, std::int64_t* sums,
                         void* scratch);
  void (*fusion_sums_s16)(const FusionTask<std::int16_t>&, std::int64_t begin, std::int64_t end, std::int64_t* sums,
                          void* scratch);
  void (*fusion_u8)(const FusionTask<std::uint8_t>&, std::int64_t begin, std::int64_t end, void* scratch);
  void (*fusion_s16)(const FusionTask<std::int16_t>&, std::int64_t begin, std::int64_t end, void* scratch);

  // clamp(rne(float(in) * gain[channel])) to s16 over positions [begin, end) of 32 channels (SPEC §4, §6).
  void (*gain_s16)(const std::int16_t* in, const float* gain, std::int16_t* out, std::int64_t begin, std::int64_t end);

  // 3x3 convolution of s16 to s16, stride 1 or 2, rows [row_begin, row_end) of the convolution's output. `shuffle`
  // writes output channel (dy, dx, c) of the packed order to (2i + dy, 2j + dx, c) of `out`.
  void (*conv3x3_s16)(const Packed3x3&, const Plane& in, const Plane& out, std::int32_t stride, bool leaky,
                      bool shuffle, std::int32_t row_begin, std::int32_t row_end, void* scratch);

  // Means and scale indices at the positions of rows [row_begin, row_end) with row + column of the given parity (0:
  // anchors, psi alone; 1: with the context of `decoded`). `psi` may be larger than the latent. mean: s16 x 32, index:
  // u8 x 32.
  void (*parameters_rows)(const PackedParameters&, const Plane& psi, const Plane& decoded, const Plane& mean,
                          const Plane& index, std::int32_t row_begin, std::int32_t row_end, std::int32_t parity,
                          void* scratch);

  // The tables of a row's symbols, in coding order; the symbols of the encoder's latents, and the decoded values; the
  // decoded values from symbols. Each returns how many symbols there are; lists are written and read up to kBeyond
  // further, so that a list's rows have to come one after the other.
  std::ptrdiff_t (*list_tables)(const LatentRow&, std::uint8_t* tables);
  std::ptrdiff_t (*quantise_row)(const LatentRow&, const std::int16_t* latents, std::int16_t* symbols);
  std::ptrdiff_t (*dequantise_row)(const LatentRow&, const std::int16_t* symbols);

  CoderLoops coder_loops;
};

// Null where this build has no such path; whether the machine can run it is the dispatcher's business. They are data,
// known when compiled: no function of an instruction set runs before the dispatcher has chosen it.
extern const KernelTable* const kernels_scalar;
extern const KernelTable* const kernels_avx2;
extern const KernelTable* const kernels_avx512vnni;
extern const KernelTable* const kernels_amx;

}  // namespace treenet::cpu

// The fused kernels, one launch for all nodes of a level and all images of a batch. An activation of a level is
// [node][image][height][width][32], u8 or s16. What a kernel needs is one structure of parameters, which the functions
// here complete and launch.
#pragma once

#include <cstdint>

#include "cuda/runtime.h"
#include "cuda/weights.h"

namespace treenet::cuda {

// Where an image's pixels lie, 8 bits: element (y, x, c) at data + y * row + x * column + c * channel. Pixels that are
// written may be grey (SPEC §3).
struct PixelPlane {
  std::uint8_t* data;
  std::int64_t row, column, channel;
  int height, width;
  bool grey;
};

// Sums over positions, [node][image][32], added to.
using ImageSums = unsigned long long*;

struct ResidualDownParameters {
  ResidualBlockWeights nodes[kMaxNodes];
  const PixelPlane* pixels;  // [image], the input of level 0, extended to whole blocks (SPEC §3)
  const std::int16_t* input;
  std::int16_t* output;
  ImageSums sums;             // of the outputs of kLeaf
  int images, height, width;  // of the output
};
// SPEC §2.5 on `nodes` nodes. kind: the image to s16, s16 to s16, the same with the sums of its outputs.
enum class DownKind { kImage, kInner, kLeaf };
void residual_down(DownKind kind, int nodes, const ResidualDownParameters& parameters, StreamHandle stream);

struct ResidualUpParameters {
  ResidualBlockWeights nodes[kMaxNodes];
  const void* input;
  const float* gain;  // level 0: [image][node][32], SPEC §6
  void* output;
  ImageSums sums;             // of the outputs
  const PixelPlane* pixels;   // [image], of the last level: where they go
  Conv pixels_conv;           // synthesis.output: 9 taps of one product each
  int images, height, width;  // of the input
};
// SPEC §2.6. kind: s16 to s16 with the gain before it, s16 to s16, s16 to u8, u8 to pixels.
enum class UpKind { kFirst, kWide, kNarrow, kPixels };
void residual_up(UpKind kind, int nodes, const ResidualUpParameters& parameters, StreamHandle stream);

struct FusionParameters {
  FusionWeights pairs[kBottleneckCount];
  const std::uint8_t* sigmoid;                            // [128]
  const void* input;                                      // of a level's nodes
  int first[kBottleneckCount], second[kBottleneckCount];  // the nodes of each pair
  const unsigned long long* input_sums;                   // [node][image][32]
  ImageSums middle_sums;                                  // [pair][image][32], of v
  const float* gain;                                      // analysis: [image][pair][32] (SPEC §4), or null
  void* output;                                           // [pair][image]...
  int images;
  std::int64_t positions;
};
// SPEC §2.7 on `count` pairs: the sums of v, then the output.
void fuse(bool wide, int count, const FusionParameters& parameters, StreamHandle stream);

struct HyperParameters {
  Conv conv[kBottleneckCount];
  const std::int16_t* input;  // [bottleneck][image][height][width][inputs]
  std::int16_t* output;       // likewise; of a shuffle twice the size and a quarter of the channels
  int images, height, width;  // of the input
  int inputs, outputs;        // channels, before the shuffle
  int multiprocessors;        // of the device
};
// One layer of the hyper transforms (SPEC §5), 3x3.
struct HyperShape {
  int stride;
  bool leaky, shuffle;
};
void hyper_convolution(const HyperShape& shape, const HyperParameters& parameters, StreamHandle stream);

// Latents, means and symbols are s16, indices u8: [bottleneck][image][height][width][32].
struct LatentParameters {
  Conv context[kBottleneckCount];  // the 12 taps with u + v odd, in row order
  Conv entropy_parameters[kBottleneckCount][3];
  const std::uint8_t* scale_index;  // [32768]
  const std::int16_t* psi;          // [bottleneck][image][psi_height][psi_width][64]
  std::int16_t* decoded;
  std::int16_t* mean;
  std::uint8_t* index;
  const std::int16_t* latents;  // of the encoder, or null
  std::int16_t* symbols;        // of the encoder
  int images, height, width, psi_height, psi_width;
  int skip;
};
// Means and scale indices at the positions of one parity (SPEC §5); in the encoder symbols and decoded latents, too.
void latent_parameters(int parity, const LatentParameters& parameters, StreamHandle stream);

// Symbols in the order of coding (SPEC §7.2). A row of one latent is a run of it; `row_begin` is where each run begins,
// [image][4 height + 1], runs in order of (segment, bottleneck, row).
struct SymbolParameters {
  const std::uint8_t* index;
  const std::int16_t* mean;     // of the decoder
  std::int16_t* decoded;        // of the decoder
  const std::int16_t* symbols;  // of the encoder: at every position
  std::int32_t* row_begin;
  std::int32_t* row_begin_host;
  std::uint8_t* coded_tables;  // [image][capacity], aligned to 16 bytes as are all four
  std::int16_t* coded_symbols;
  std::uint8_t* coded_tables_host;
  std::int16_t* coded_symbols_host;
  std::int64_t capacity;  // a multiple of 32
  int images, height, width, segment_rows;
  int skip;
};
// Tables of the coded symbols of one parity and, where `symbols` are given, these, to the host.
void gather_symbols(int parity, const SymbolParameters& parameters, StreamHandle stream);
// Decoded latents from the host's symbols.
void scatter_symbols(int parity, const SymbolParameters& parameters, StreamHandle stream);

struct HyperSymbolParameters {
  std::int16_t* hyper_latents;  // [bottleneck][image][height][width][32]
  std::int16_t* coded;          // [image][4 height width 32], in the order of coding
  int images, height, width, segment_rows;
};
void gather_hyper_symbols(const HyperSymbolParameters& parameters, StreamHandle stream);
void scatter_hyper_symbols(const HyperSymbolParameters& parameters, StreamHandle stream);

}  // namespace treenet::cuda

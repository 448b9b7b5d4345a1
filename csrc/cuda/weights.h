// The packed model as the kernels see it: pointers into device memory (packed_model.h fills them).
//
// Outputs come in groups of 32, padded with zeros. In the packed weights of a group, for one tap and 32 input channels
// (one k-step), lane (g, t) has the operands B of the four products of which product j gives output channels 8t' + 2j +
// e in column 2t' + e: two words each of output 8 (g / 2) + 2j + g % 2. Where operand A comes from a tile in shared
// memory (tile.h), as in all convolutions of 3x3 but the image's, these are of input channels 4t..4t+3 and
// 16+4t..16+4t+3; where it is what a lane owns (fragments.h), of 8t..8t+3 and 8t+4..8t+7. In a k-step of the image each
// word is of one pixel, in column t of one of two rows of the window.
#pragma once

#include <cstdint>

#include "cuda/platform.h"

namespace treenet::cuda {

inline constexpr int kMaxNodes = 8;  // of a level
inline constexpr int kBottleneckCount = 4;

// SPEC §2.1, the input's zero point folded into the bias.
struct Conv {
  const uint4* weights;  // [group][tap][k-step][2][32 lanes]: products 0 and 1, then 2 and 3
  const std::int32_t*
      bias;                 // [32 x groups]; of a subpixel convolution (SPEC §2.3) output n (2 dy + dx) + c, n channels
  const float* multiplier;  // likewise; null where a normalisation follows
  const float* negative;    // times 0.01 (SPEC §2.2)
};

// SPEC §2.4. gamma is packed as the weights of a 1x1 convolution.
struct Gdn {
  const uint4* gamma;
  const std::int32_t* beta;
  const float* numerator;
  const float* magnitude;
};

// SPEC §2.5, §2.6. Zero points of s16 activations are 0.
struct ResidualBlockWeights {
  Conv conv1, conv2, skip;
  Gdn gdn;
  std::int32_t input_zero, middle_zero, output_zero;
};

// SPEC §2.7. local1 has its 8 outputs in the columns of one product; local2's products have depth 16, lane (g, t)
// holding inputs 2t, 2t+1 and two zeros.
struct AttentionWeights {
  const uint2* local1;          // [32 lanes]
  const std::uint32_t* local2;  // [4 products][32 lanes]
  const std::int32_t* bias1;    // [8], the zero points of all inputs folded in
  const float* multiplier1;
  const std::int32_t* bias2;  // [32]
  const float* multiplier2;
  const std::int8_t* global1;  // [8][32]
  const std::int32_t* global_bias1;
  const float* global_multiplier1;
  const std::int8_t* global2;  // [32][8]
  const std::int32_t* global_bias2;
  const float* global_multiplier2;
};
struct FusionWeights {
  AttentionWeights first, second;
  std::int32_t zero_point, mean_bits;
};

}  // namespace treenet::cuda

// GDN and inverse GDN (SPEC §2.4): of blocks up to the roots, and of a row with all that follows.
#pragma once

#include "cpu/winograd.h"

namespace treenet::cpu::TREENET_ISA {

// The squares of the accumulators of `blocks` blocks.
template <class Sums>
inline void gdn_squares(const PackedGdn& gdn, const Sums& accumulators, std::int32_t blocks, std::int16_t* squares) {
  for (std::int32_t k = 0; k < blocks; ++k) {
    gdn_squares_block(accumulators + k * kBlock, gdn.magnitude, squares + k * kBlock);
  }
}

// Their norms n; `squares` is scratch for as many blocks.
template <class Sums>
inline void gdn_norms(const PackedGdn& gdn, const Sums& accumulators, std::int32_t blocks, std::int16_t* squares,
                      const Norms& norms) {
  gdn_squares(gdn, accumulators, blocks, squares);
  gamma_span(squares, gdn.gamma, blocks, norms);
}

// gdn_squares_block and gdn_add_skip_block of kGdnPart accumulators, by the instruction sets that have it, in pieces:
// make<piece>() for each of the kGdnPieces in order, with the block's arguments; kBeside where that is beside products.
template <int kPart>
class GdnSquares;
template <int kPart, bool kInverse, int kOutputs, bool kBeside>
class GdnAddSkip;

// The outputs of `columns` pixels, from their accumulators and the skip's, of which there are whole blocks. The
// products of a block are beside the squares of the next and the outputs of the one before, a piece at a time
// (winograd.h says why). kPart is a parameter only so that this stands where it is 0, too, and not used.
template <bool kInverse, int kOutputs, int kPart = kGdnPart, class Skip, class Out>
inline void gdn_add_skip_row(const PackedGdn& gdn, const std::int32_t* values, const Skip& skip,
                             const float* multiplier, std::int32_t zero_point, std::int32_t columns, Out* out) {
  constexpr int kParts = kTileBlock / kPart, kRuns = kBlock / kTileBlock;  // of conv_points, and those a block
  static_assert(kTileBlock % kPart == 0 && kBlock % kTileBlock == 0);
  alignas(64) std::int16_t squares[2][kBlock];
  alignas(64) std::int32_t norms[2][kBlock];
  const std::int32_t blocks = (columns + kBlockPixels - 1) / kBlockPixels;
  gdn_squares_block(values, gdn.magnitude, squares[0]);
  for (std::int32_t k = 0; k < blocks; ++k) {
    const std::ptrdiff_t before = static_cast<std::ptrdiff_t>(k - 1) * kBlock, after = before + 2 * kBlock;
    for (int run = 0; run < kRuns; ++run) {
      GdnSquares<kPart> squares_of_part;
      GdnAddSkip<kPart, kInverse, kOutputs, true> outputs_of_part;
      conv_points<kParts, kGdnPieces>(
          squares[k % 2] + run * kTileBlock, gdn.gamma, 0, norms[k % 2] + run * kTileBlock,
          [&](int, int part, auto piece) __attribute__((always_inline)) {
            const int i = run * kTileBlock + part * kPart;
            if (k > 0) {
              outputs_of_part.template make<piece()>(values + before + i, gdn.numerator, norms[(k - 1) % 2] + i,
                                                     skip + before + i, multiplier, zero_point, out + before + i);
            }
            if (k + 1 < blocks) {
              squares_of_part.template make<piece()>(values + after + i, gdn.magnitude, squares[(k + 1) % 2] + i);
            }
          },
          1);
    }
  }
  const std::int32_t last = blocks - 1;
  const std::ptrdiff_t at = static_cast<std::ptrdiff_t>(last) * kBlock;
  alignas(64) Out result[kBlock];
  gdn_add_skip_block<kInverse, kOutputs>(values + at, gdn.numerator, norms[last % 2], skip + at, multiplier, zero_point,
                                         result);
  std::memcpy(out + at, result, static_cast<std::size_t>(columns - last * kBlockPixels) * kChannels * sizeof(Out));
}

}  // namespace treenet::cpu::TREENET_ISA

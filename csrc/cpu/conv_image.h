// The 3x3 convolution of stride 2 of the image in seven groups of four bytes. Its 27 bytes would be nine groups, of the
// three of a pixel each; so a pixel of a line has a fourth byte, of the last tap, with which two groups are eight of a
// line's nine bytes, and what is left of three lines is a group of its own:
//
//   red, green and blue of tap 0 with red of tap 2; of tap 1 with green of tap 2, for each line; blue of tap 2 of all
//
// The first tap of outputs is an even pixel of its line. Weights are in that order: [group][32 outputs][4 bytes].
#pragma once

#include "cpu/lines.h"

namespace treenet::cpu::TREENET_ISA {

inline constexpr bool kUsesImageGroups = kImageGroups && !kMatrixTiles;

// Primitives of the instruction sets that have kImageGroups (isa_*.h).
//
// The fourth bytes of `count` pixels of a line, from the two behind each. Up to 15 pixels more are written, and up to
// 17 read.
void add_last_taps(std::uint8_t* line, std::int32_t count);
// Of every other pixel from the first on, the blue ones two pixels behind in three lines, and a zero: for `count`
// outputs and up to 15 more, which end with pixel 2 (count + 15) of the lines.
void gather_blues(const std::uint8_t* const (&lines)[3], std::int32_t count, std::uint8_t* blues);
// A block of accumulators, from those.
void conv_image_block(const std::uint8_t* const (&lines)[3], const std::uint8_t* blues, const PackedConv& conv,
                      std::int32_t* accumulators);

// A row of outputs.
class ImageConv {
 public:
  static ImageConv make(Arena& arena, std::int32_t columns) {
    ImageConv made;
    made.blues_ = arena.take<std::uint8_t>(scratch_bytes(columns));
    return made;
  }
  static constexpr std::size_t scratch_bytes(std::int32_t columns) {
    return kGroup * (static_cast<std::size_t>(columns) + 2 * kBlockPixels + 16);
  }

  // `columns` columns, whose first taps are the first pixels of three lines.
  void begin(const std::uint8_t* const (&lines)[3], std::int32_t columns) {
    for (int u = 0; u < 3; ++u) lines_[u] = lines[u];
    gather_blues(lines, columns, blues_);
  }
  // `count` blocks of accumulators, from column `column` on.
  void span(const PackedConv& conv, std::int32_t column, std::int32_t count, std::int32_t* accumulators) const {
    for (std::int32_t k = 0; k < count; ++k, column += kBlockPixels) {
      const std::ptrdiff_t at = 2 * kGroup * column;
      const std::uint8_t* const lines[3] = {lines_[0] + at, lines_[1] + at, lines_[2] + at};
      conv_image_block(lines, blues_ + kGroup * column, conv, accumulators + k * kBlock);
    }
  }

 private:
  static constexpr std::int32_t kGroup = 4;

  const std::uint8_t* lines_[3] = {};
  std::uint8_t* blues_ = nullptr;
};

}  // namespace treenet::cpu::TREENET_ISA

// The output convolution (SPEC §6) by a 1x1 convolution: every feature pixel is multiplied once with all nine taps (27
// products); a pixel is the sum of the nine neighbours' products for it.
#pragma once

#include "cpu/pixel_rows.h"

namespace treenet::cpu::TREENET_ISA {

// Of the instruction sets that use it (isa_*.h): `count` pixels of a row, RGB, from three lines of products.
void output_pixels(const std::int32_t* above, const std::int32_t* here, const std::int32_t* below,
                   const PackedOutput& output, std::int32_t count, std::uint8_t* out);

template <int kSpan>
class OutputByProducts {
 public:
  // For `columns` columns of features; pixels are of `pixels` of those, from column `first` on.
  OutputByProducts(Arena& arena, const PackedOutput& output, std::int32_t columns, std::int32_t first,
                   std::int32_t pixels)
      : output_(output),
        columns_(columns),
        first_(first),
        pixels_(pixels),
        features_(arena.take<std::int16_t>((columns + kBlockPixels) * kChannels)),
        lines_(LineRing<std::int32_t, 4>::make(arena, line_length(columns))) {}
  static constexpr std::size_t rgb_length(std::int32_t pixels) { return static_cast<std::size_t>(kColours) * pixels; }
  static constexpr std::size_t scratch_bytes(std::int32_t columns) {
    return (columns + kBlockPixels) * kChannels * sizeof(std::int16_t) +
           4 * line_length(columns) * sizeof(std::int32_t) + 2 * 63;
  }

  // The first and the last row of features that must be known for a row of pixels.
  static std::int32_t first_line(std::int32_t row) { return row - 1; }
  static std::int32_t last_line(std::int32_t row) { return row + 1; }

  // Rows are added one after the other: features() is filled before, or it lies outside the image.
  std::int16_t* features() const { return features_; }
  void add(std::int32_t row) {
    std::int32_t* line = lines_.at(row);
    for (std::int32_t i = 0, blocks; i < columns_; i += blocks * kBlockPixels) {
      blocks = span_blocks<kSpan>(columns_ - i);
      const std::uint8_t* tap = bytes(features_ + static_cast<std::ptrdiff_t>(i) * kChannels);
      conv_span<std::int16_t, 32, kChannels * sizeof(std::int16_t)>(
          &tap, output_.products, 0, 0, blocks, line + static_cast<std::ptrdiff_t>(i + 1) * kChannels);
    }
    fill(line, kChannels, 0);
    fill(line + static_cast<std::ptrdiff_t>(columns_ + 1) * kChannels, kChannels, 0);
  }
  void add_outside(std::int32_t row) { fill(lines_.at(row), static_cast<std::ptrdiff_t>(columns_ + 2) * kChannels, 0); }

  // The pixels of a row, RGB. Rows must be asked for in ascending order.
  void pixels(std::int32_t row, std::uint8_t* rgb) const {
    const std::ptrdiff_t offset = static_cast<std::ptrdiff_t>(first_) * kChannels;
    output_pixels(lines_.at(row - 1) + offset, lines_.at(row) + offset, lines_.at(row + 1) + offset, output_, pixels_,
                  rgb);
  }

 private:
  static constexpr std::ptrdiff_t line_length(std::int32_t columns) {
    return static_cast<std::ptrdiff_t>(columns + 2 + kBlockPixels) * kChannels;
  }

  const PackedOutput& output_;
  std::int32_t columns_, first_, pixels_;
  std::int16_t* features_;
  LineRing<std::int32_t, 4> lines_;  // of products, from the column before the first one on; outside they are zero
};

}  // namespace treenet::cpu::TREENET_ISA

// The output convolution (SPEC §6) by Winograd's F(2x2, 3x3) (winograd_2x2.h), with pixels in the lanes of a register:
// its three outputs would leave most of a register of outputs empty. A row is cut into as many segments as a register
// has lanes, one a lane, and all go along them together; so neighbours in a row are in neighbouring registers. A lane
// has two channels of a pixel, a pair, which a product of s16 takes at once.
//
// With 512 bits a pixel takes 12 products of registers, and by the shifted sum of nine pixels' products 32; twice as
// many with 256.
#pragma once

#include <algorithm>

#include "cpu/pixel_rows.h"
#include "cpu/winograd.h"

namespace treenet::cpu::TREENET_ISA {

inline constexpr int kLanes = kVectorBytes / 4, kPairs = kChannels / 2;

// Primitives of the instruction sets that use Winograd's algorithms (isa_*.h).
//
// kLanes pixels of 32 s16, `stride` elements from one to the next, to pairs in lanes, to[pair][pixel]. Their bits, or
// those of their complements where they are negative, are added to a register of bits, `seen`.
void pixels_to_lanes(const std::int16_t* pixels, std::ptrdiff_t stride, std::int32_t* to, std::int16_t* seen);
// `sums` and the products of pairs in lanes with a pair of weights.
template <class Sums, class Pairs>
Sums add_pair_products(Sums sums, Pairs pairs, const std::int16_t* weights);
// A colour of kLanes pixels (SPEC §6), from its sums.
template <class Sums>
void store_colour(Sums sums, std::int32_t bias, float multiplier, std::uint8_t* to);

class OutputByLanes {
 public:
  // For `columns` columns of features; pixels are of `pixels` of those, from column `first` on.
  OutputByLanes(Arena& arena, const PackedOutput& output, std::int32_t columns, std::int32_t first, std::int32_t pixels)
      : output_(output), first_(first), segment_(segment(pixels)) {
    const std::ptrdiff_t length = features_length(columns, pixels);
    features_ = arena.take<std::int16_t>(length);
    fill(features_, length, 0);  // what is beside the image, and nothing large beyond
    lines_ = LineRing<std::int32_t, 4>::make(arena, line_length(segment_));
    colours_ = arena.take<std::uint8_t>(2 * colours_length(segment_));
  }
  // Segments may end behind the pixels, and are written in whole sixteens.
  static constexpr std::size_t rgb_length(std::int32_t pixels) { return kColours * kLanes * segment(pixels) + 15; }
  static constexpr std::size_t scratch_bytes(std::int32_t columns) {
    return features_length(columns, columns) * sizeof(std::int16_t) +
           4 * line_length(segment(columns)) * sizeof(std::int32_t) + 2 * colours_length(segment(columns)) + 3 * 63;
  }

  // As OutputByProducts has them. Pairs of rows are computed together.
  static std::int32_t first_line(std::int32_t row) { return (row & -2) - 1; }
  static std::int32_t last_line(std::int32_t row) { return (row | 1) + 1; }

  std::int16_t* features() const { return features_ + kChannels; }
  void add(std::int32_t row) {
    std::int32_t* line = lines_.at(row);
    alignas(kVectorBytes) std::int16_t seen[Vector<std::int16_t>::kElements] = {};
    for (std::int32_t x = 0; x < segment_ + 2; ++x) {
      pixels_to_lanes(features_ + (first_ + x) * kChannels, segment_ * kChannels, line + x * kColumn, seen);
    }
    int bits = 0;
    for (const std::int16_t some : seen) bits |= some;
    fits_[row & 3] = have_14_bits(bits);
  }
  void add_outside(std::int32_t row) {
    fill(lines_.at(row), line_length(segment_), 0);
    fits_[row & 3] = true;
  }

  void pixels(std::int32_t row, std::uint8_t* rgb) {
    if (row / 2 != pair_) {
      pair_ = row / 2;
      compute(2 * pair_);
    }
    segments_from_lanes(colours_ + row % 2 * colours_length(segment_), rgb);
  }

 private:
  using Pairs = Vector<std::uint16_t>::Type;
  using Sum = Vector<std::uint32_t>::Type;
  static constexpr int kSide = 4, kTile = 2;
  static constexpr int kTogether = kVectorBytes == 64 ? 2 : 1;  // tiles, whose results fill the registers
  static constexpr std::int32_t kStep = kTogether * kTile;      // columns
  static constexpr std::ptrdiff_t kColumn = kPairs * kLanes;    // of a line

  // Columns of a segment.
  static constexpr std::int32_t segment(std::int32_t pixels) {
    return (pixels + kLanes * kStep - 1) / (kLanes * kStep) * kStep;
  }
  // A pixel is before the features, and the last segments may be longer.
  static constexpr std::ptrdiff_t features_length(std::int32_t columns, std::int32_t pixels) {
    return (2 + std::max(columns, kLanes * segment(pixels) + 2)) * kChannels;
  }
  static constexpr std::ptrdiff_t line_length(std::int32_t segment) { return (segment + 2) * kColumn; }
  static constexpr std::ptrdiff_t colours_length(std::int32_t segment) {
    return (kColours * segment + 15) / 16 * 16 * kLanes;
  }

  // Results of tiles, [colour][tile], for the outputs of both columns.
  struct Results {
    Sum of[kTile][kColours][kTogether];
  };

  // Rows `row` and the next to colours_.
  void compute(std::int32_t row) {
    const std::int32_t* lines[kSide];
    bool fit = true;
    for (int u = 0; u < kSide; ++u) {
      lines[u] = lines_.at(row - 1 + u);
      fit &= fits_[(row - 1 + u) & 3];
    }
    for (std::int32_t x = 0; x < segment_; x += kStep) {
      const std::int32_t* at[kSide];
      for (int u = 0; u < kSide; ++u) at[u] = lines[u] + x * kColumn;
      if (fit) {
        Results above, below;
        step<0>(at, above, below);
        step<1>(at, above, below);
        step<2>(at, above, below);
        step<3>(at, above, below);
        put<2>(above, x, 0);
        put<2>(below, x, 1);
      } else {
        for (int i = 0; i < 2; ++i) {
          const std::int32_t* const taps[3] = {at[i], at[i + 1], at[i + 2]};
          put<0>(directly(taps), x, i);
        }
      }
    }
  }

  // Row u of points, and its part of the outputs of both rows.
  template <int u>
  [[gnu::noinline]] void step(const std::int32_t* const (&lines)[kSide], Results& above, Results& below) const {
    constexpr int kColumns = kStep + 2;
    Sum m[kSide][kColours][kTogether]{};
    const std::int16_t* weights = output_.points + u * kPairs * kSide * kColours * 2;
#pragma GCC unroll 1
    for (int pair = 0; pair < kPairs; ++pair, weights += kSide * kColours * 2) {
      const auto line = [&](int k, int j) __attribute__((always_inline)) {
        return reinterpret_cast<Pairs>(load_vector(lines[k] + j * kColumn + pair * kLanes));
      };
      Pairs d[kColumns];
#pragma GCC unroll 6
      for (int j = 0; j < kColumns; ++j) {
        if constexpr (u == 0) d[j] = line(0, j) - line(2, j);
        if constexpr (u == 1) d[j] = line(1, j) + line(2, j);
        if constexpr (u == 2) d[j] = line(2, j) - line(1, j);
        if constexpr (u == 3) d[j] = line(3, j) - line(1, j);
      }
#pragma GCC unroll 4
      for (int v = 0; v < kSide; ++v) {
#pragma GCC unroll 2
        for (int tile = 0; tile < kTogether; ++tile) {
          const Pairs* at = d + kTile * tile;
          const Pairs point = v == 0 ? at[0] - at[2] : v == 1 ? at[1] + at[2] : v == 2 ? at[2] - at[1] : at[3] - at[1];
#pragma GCC unroll 3
          for (int colour = 0; colour < kColours; ++colour) {
            m[v][colour][tile] = add_pair_products(m[v][colour][tile], point, weights + (v * kColours + colour) * 2);
          }
        }
      }
    }
#pragma GCC unroll 3
    for (int colour = 0; colour < kColours; ++colour) {
#pragma GCC unroll 2
      for (int tile = 0; tile < kTogether; ++tile) {
        const auto at = [&](int v) __attribute__((always_inline)) { return m[v][colour][tile]; };
        const Sum row[kTile] = {at(0) + at(1) + at(2), at(1) - at(2) + at(3)};
#pragma GCC unroll 2
        for (int j = 0; j < kTile; ++j) {
          Sum &first = above.of[j][colour][tile], &second = below.of[j][colour][tile];
          if constexpr (u == 0) first = row[j];
          if constexpr (u == 1 || u == 2) first += row[j];
          if constexpr (u == 1) second = row[j];
          if constexpr (u == 2) second -= row[j];
          if constexpr (u == 3) second += row[j];
        }
      }
    }
  }

  // Where numbers do not fit: the sums of nine taps.
  [[gnu::noinline]] Results directly(const std::int32_t* const (&lines)[3]) const {
    Results results{};
    const std::int16_t* weights = output_.direct;
    for (const std::int32_t* line : lines) {
      for (int pair = 0; pair < kPairs; ++pair, line += kLanes) {
        for (int v = 0; v < 3; ++v, weights += kColours * 2) {
          for (int x = 0; x < kStep; ++x) {
            const auto value = load_vector(line + (x + v) * kColumn);
            for (int colour = 0; colour < kColours; ++colour) {
              Sum& sum = results.of[x % kTile][colour][x / kTile];
              sum = add_pair_products(sum, reinterpret_cast<Pairs>(value), weights + colour * 2);
            }
          }
        }
      }
    }
    return results;
  }

  // Sums times 2^kBits to colours, of row i, from column x on.
  template <int kBits>
  void put(const Results& results, std::int32_t x, int i) const {
    std::uint8_t* to = colours_ + i * colours_length(segment_) + x * kColours * kLanes;
#pragma GCC unroll 4
    for (int k = 0; k < kStep; ++k) {
#pragma GCC unroll 3
      for (int colour = 0; colour < kColours; ++colour, to += kLanes) {
        const auto sums = reinterpret_cast<Vector<std::int32_t>::Type>(results.of[k % kTile][colour][k / kTile]);
        store_colour(reinterpret_cast<Sum>(sums >> kBits), output_.bias[colour], output_.multiplier[colour], to);
      }
    }
  }

  // The segments' bytes one after the other. Sixteen are written of each at a time, from the last ones on, so that
  // what is written beyond a segment is written again.
  void segments_from_lanes(const std::uint8_t* colours, std::uint8_t* rgb) const {
    const std::int32_t length = kColours * segment_;
    for (std::int32_t k = (length - 1) / 16 * 16; k >= 0; k -= 16) {
      SixteenBytes from[kLanes], to[kLanes];
      for (int i = 0; i < kLanes; ++i) from[i] = load_sixteen(colours + k * kLanes + 16 * i);
      // An interleaving of the halves makes the first bit of bytes' numbers, [16][lane], the last one; four make it
      // [lane][16].
      for (int turn = 0; turn < 2; ++turn) {
        interleave(from, to);
        interleave(to, from);
      }
      for (int i = 0; i < kLanes; ++i) store_sixteen(from[i], rgb + static_cast<std::ptrdiff_t>(i) * length + k);
    }
  }
  static void interleave(const SixteenBytes (&from)[kLanes], SixteenBytes (&to)[kLanes]) {
#pragma GCC unroll 8
    for (int i = 0; i < kLanes / 2; ++i) {
      const SixteenBytes first = from[i], second = from[i + kLanes / 2];
      to[2 * i] = __builtin_shufflevector(first, second, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
      to[2 * i + 1] =
          __builtin_shufflevector(first, second, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
    }
  }

  const PackedOutput& output_;
  std::int32_t first_, segment_;
  std::int16_t* features_;
  // [column of a segment, from the one before it to the one behind it][pair][lane]; and whether they have 14 bits.
  LineRing<std::int32_t, 4> lines_;
  bool fits_[4] = {};
  std::int32_t pair_ = -1;
  std::uint8_t* colours_;  // of a pair of rows, [column of a segment][colour][lane]
};

}  // namespace treenet::cpu::TREENET_ISA

// Winograd's F(4x4, 3x3), for u8. A tile has 4 x 4 outputs, 6 x 6 inputs and as many points, which stay
// in -12750..17340 for any inputs.
//
//       [ 4  0 -5  0  1  0 ]           [ 6  0  0 ]            [ 1 -4 -4  1  1  0 ]
//       [ 0 -4 -4  1  1  0 ]           [ 1  1  1 ]            [ 0 -2  2  1 -1  0 ]
// B^T = [ 0  4 -4 -1  1  0 ]      G' = [ 1 -1  1 ]    A'^T =  [ 0 -1 -1  1  1  0 ]
//       [ 0 -2 -1  2  1  0 ]           [ 1  2  4 ]            [ 0 -1  1  2 -2  1 ]
//       [ 0  2 -1 -2  1  0 ]           [ 1 -2  4 ]
//       [ 0  4  0 -5  0  1 ]           [ 0  0  6 ]
//
// With these the four rows of A'^T m are the outputs times 24, 12, 6 and 6. So an output comes times 9 and a power of
// two up to 64, modulo 2^32: times the inverse of 9, and shifted, it is the sum of 288 products below 2^15, as that has
// less than the 26 bits that are left.
#pragma once

#include "cpu/winograd.h"

namespace treenet::cpu::TREENET_ISA {

class Winograd4x4 {
 public:
  static constexpr int kTile = 4, kSide = 6;
  static constexpr int kResults = 2 * kSide, kKept = 8, kSums = kResults + kKept;  // in blocks
  using Target = WinogradTarget<kTile>;

  static Winograd4x4 make(Arena& arena) {
    Winograd4x4 made;
    made.sums_ = {arena, kSums};
    return made;
  }

  // As Winograd2x2's.
  template <class Element>
  static void transform(const Element* const (&lines)[kSide], std::int16_t* points) {
    for (int i = 0; i < kTileBlock; i += Vector<std::int16_t>::kElements) {
      const int tile = i / kChannels;
      Points columns[kSide];
#pragma GCC unroll 6
      for (int v = 0; v < kSide; ++v) {
        Points d;
#pragma GCC unroll 6
        for (int u = 0; u < kSide; ++u) {
          d.at[u] = load_widened(lines[u] + (3 * tile + v) * kChannels + i);
        }
        columns[v] = transformed(d);
      }
#pragma GCC unroll 6
      for (int u = 0; u < kSide; ++u) {
        Points row;
#pragma GCC unroll 6
        for (int v = 0; v < kSide; ++v) row.at[v] = columns[v].at[u];
        row = transformed(row);
#pragma GCC unroll 6
        for (int v = 0; v < kSide; ++v) {
          store_vector<std::uint16_t>(reinterpret_cast<std::uint16_t*>(points + (kSide * u + v) * kTileBlock + i),
                                      row.at[v]);
        }
      }
    }
  }

  // As Winograd2x2's. Rows 1 and 2 of points, and 3 and 4, are in all outputs as sums and differences.
  template <class Multiply>
  void outputs(const Multiply& multiply, const Target& to) const {
    multiply(Anew{}, 1, 2, sums_.at(0));
    for (int i = 0; i < kTileBlock; i += WinogradSums::kElements) {
      const Row first = row(0, i), second = row(kSide, i);
#pragma GCC unroll 4
      for (int j = 0; j < kTile; ++j) {
        sums_.set(kResults + j, i, first.at[j] + second.at[j]);
        sums_.set(kResults + kTile + j, i, first.at[j] - second.at[j]);
      }
    }
    multiply(Anew{}, 3, 2, sums_.at(0));
    for (int i = 0; i < kTileBlock; i += WinogradSums::kElements) {
      const Row third = row(0, i), fourth = row(kSide, i);
#pragma GCC unroll 4
      for (int j = 0; j < kTile; ++j) {
        const auto sum = third.at[j] + fourth.at[j], difference = third.at[j] - fourth.at[j];
        const auto kept_sum = sums_.get(kResults + j, i), kept_difference = sums_.get(kResults + kTile + j, i);
        put(to, 1, j, i, difference - (kept_difference << 1));
        put(to, 2, j, i, sum - kept_sum);
        sums_.set(kResults + j, i, sum - (kept_sum << 2));
        sums_.set(kResults + kTile + j, i, (difference << 1) - kept_difference);
      }
    }
    multiply(Anew{}, 0, 1, sums_.at(0));
    for (int i = 0; i < kTileBlock; i += WinogradSums::kElements) {
      const Row above = row(0, i);
#pragma GCC unroll 4
      for (int j = 0; j < kTile; ++j) put(to, 0, j, i, sums_.get(kResults + j, i) + above.at[j]);
    }
    multiply(Anew{}, 5, 1, sums_.at(0));
    for (int i = 0; i < kTileBlock; i += WinogradSums::kElements) {
      const Row below = row(0, i);
#pragma GCC unroll 4
      for (int j = 0; j < kTile; ++j) put(to, 3, j, i, sums_.get(kResults + kTile + j, i) + below.at[j]);
    }
  }

 private:
  struct Points {
    Vector<std::uint16_t>::Type at[kSide];
  };
  // B^T d.
  static Points transformed(const Points& points) {
    const auto& d = points.at;
    const auto even = d[4] - (d[2] << 2), odd = d[3] - (d[1] << 2);
    const auto even_difference = d[4] - d[2], odd_difference = (d[3] - d[1]) << 1;
    return {{((d[0] - d[2]) << 2) + even_difference, even + odd, even - odd, even_difference + odd_difference,
             even_difference - odd_difference, d[5] - d[3] - (odd_difference << 1)}};
  }

  // m A' of a row of points, whose results are from result k on.
  struct Row {
    WinogradSums::Sum at[kTile];
  };
  Row row(int k, int i) const {
    const auto m = [&](int v) { return sums_.get(k + v, i); };
    const auto first = m(1), second = m(2), third = m(3), fourth = m(4);
    const auto inner = first + second, inner_difference = first - second;
    const auto outer = third + fourth, outer_difference = third - fourth;
    return {{m(0) + outer - (inner << 2), outer_difference - (inner_difference << 1), outer - inner,
             (outer_difference << 1) - inner_difference + m(5)}};
  }
  static void put(const Target& to, int i, int j, int element, WinogradSums::Sum sums) {
    constexpr std::uint32_t kInverseOf9 = 0x38e38e39;
    constexpr int kBits[kTile] = {3, 2, 1, 1};
    to.put(i, j, element, reinterpret_cast<WinogradSums::Signed>(sums * kInverseOf9) >> (kBits[i] + kBits[j]));
  }

  WinogradSums sums_;
};

}  // namespace treenet::cpu::TREENET_ISA

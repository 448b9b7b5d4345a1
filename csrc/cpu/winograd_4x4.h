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

// Its outputs are accumulators or activations, `Out`, which lie kStride apart. Rows 1 and 2 of points, and 3 and 4, are
// in all outputs as sums and differences, and so come first.
template <class Out, int kStride>
class Winograd4x4
    : public WinogradSteps<Winograd4x4<Out, kStride>, WinogradTarget<Out, 4, kStride>, 16, 1, 2, 3, 4, 0, 5> {
 public:
  static constexpr int kTile = 4, kSide = 6;
  using Target = WinogradTarget<Out, kTile, kStride>;

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

  // As Winograd2x2's.
  template <int kRow>
  [[gnu::always_inline]] static void use(const WinogradSums& sums, int results, int i, const Target& to) {
    constexpr int kKeptSums = 2 * kSide, kKeptDifferences = kKeptSums + kTile, kThird = kKeptDifferences + kTile,
                  kFourth = kThird + kTile;
    const auto m = [&](int v) __attribute__((always_inline)) { return sums.get(results + v, i); };
    const auto first = m(1), second = m(2), third = m(3), fourth = m(4);
    const auto inner = first + second, inner_difference = first - second;
    const auto outer = third + fourth, outer_difference = third - fourth;
    const WinogradSums::Sum row[kTile] = {m(0) + outer - (inner << 2), outer_difference - (inner_difference << 1),
                                          outer - inner, (outer_difference << 1) - inner_difference + m(5)};
#pragma GCC unroll 4
    for (int j = 0; j < kTile; ++j) {
      const int kept_sum_at = kKeptSums + j, kept_difference_at = kKeptDifferences + j;
      if constexpr (kRow == 1) {
        sums.set(kept_sum_at, i, row[j]);
      } else if constexpr (kRow == 2) {
        const auto above = sums.get(kept_sum_at, i);
        sums.set(kept_sum_at, i, above + row[j]);
        sums.set(kept_difference_at, i, above - row[j]);
      } else if constexpr (kRow == 3) {
        sums.set(kThird + j, i, row[j]);
      } else if constexpr (kRow == 4) {
        const auto above = sums.get(kThird + j, i), sum = above + row[j], difference = above - row[j];
        sums.set(kThird + j, i, sum);
        sums.set(kFourth + j, i, difference);
      } else if constexpr (kRow == 0) {
        const auto kept = sums.get(kept_sum_at, i), sum = sums.get(kThird + j, i);
        put(to, 0, j, i, sum - (kept << 2) + row[j]);
        put(to, 2, j, i, sum - kept);
      } else {
        const auto kept = sums.get(kept_difference_at, i), difference = sums.get(kFourth + j, i);
        put(to, 1, j, i, difference - (kept << 1));
        put(to, 3, j, i, (difference << 1) - kept + row[j]);
      }
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

  [[gnu::always_inline]] static void put(const Target& to, int i, int j, int element, WinogradSums::Sum value) {
    constexpr std::uint32_t kInverseOf9 = 0x38e38e39;
    constexpr int kBits[kTile] = {3, 2, 1, 1};
    to.put(i, j, element, reinterpret_cast<WinogradSums::Signed>(value * kInverseOf9) >> (kBits[i] + kBits[j]));
  }
};

}  // namespace treenet::cpu::TREENET_ISA

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

// Its outputs are accumulators or activations, `Out`, which lie kStride apart.
template <class Out, int kStride>
class Winograd4x4 {
 public:
  static constexpr int kTile = 4, kSide = 6;
  static constexpr int kSums = 2 * kSide + 3 * kTile;  // in blocks
  using Target = WinogradTarget<Out, kTile, kStride>;

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
  void outputs(const Multiply& multiply, const Target& to) {
    if (begun_) {
      step<1, 5>(multiply, last_);
    } else {
      step<1, kNone>(multiply, to);
    }
    step<2, 1>(multiply, to);
    step<3, 2>(multiply, to);
    step<4, 3>(multiply, to);
    step<0, 4>(multiply, to);
    step<5, 0>(multiply, to);
    last_ = to;
    begun_ = true;
  }
  void finish() {
    if (begun_) {
      for (int i = 0; i < kTileBlock; i += WinogradSums::kElements) use<5>(i, last_);
    }
    begun_ = false;
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

  static constexpr int kNone = -1;
  // In turn, as those of a row are used beside the products of the next.
  static constexpr int results_of(int row) { return row == 2 || row == 4 || row == 5 ? kSide : 0; }
  static constexpr int kKeptSums = 2 * kSide, kKeptDifferences = kKeptSums + kTile, kThird = kKeptDifferences + kTile;

  // The products of row kRow of points; beside them row kDone's are used.
  template <int kRow, int kDone, class Multiply>
  [[gnu::noinline]] void step(const Multiply& multiply, const Target& to) const {
    multiply(kRow, sums_.at(results_of(kRow)), [&](int part) __attribute__((always_inline)) {
      if constexpr (kDone != kNone) use<kDone>(part * WinogradSums::kElements, to);
    });
  }

  // Row kRow's results are made m A', and added up over rows.
  template <int kRow>
  [[gnu::always_inline]] void use(int i, const Target& to) const {
    const auto m = [&](int v) __attribute__((always_inline)) { return sums_.get(results_of(kRow) + v, i); };
    const auto first = m(1), second = m(2), third = m(3), fourth = m(4);
    const auto inner = first + second, inner_difference = first - second;
    const auto outer = third + fourth, outer_difference = third - fourth;
    const WinogradSums::Sum row[kTile] = {m(0) + outer - (inner << 2), outer_difference - (inner_difference << 1),
                                          outer - inner, (outer_difference << 1) - inner_difference + m(5)};
#pragma GCC unroll 4
    for (int j = 0; j < kTile; ++j) {
      const int sums = kKeptSums + j, differences = kKeptDifferences + j;
      if constexpr (kRow == 1) {
        sums_.set(sums, i, row[j]);
      } else if constexpr (kRow == 2) {
        const auto above = sums_.get(sums, i);
        sums_.set(sums, i, above + row[j]);
        sums_.set(differences, i, above - row[j]);
      } else if constexpr (kRow == 3) {
        sums_.set(kThird + j, i, row[j]);
      } else if constexpr (kRow == 4) {
        const auto above = sums_.get(kThird + j, i), sum = above + row[j], difference = above - row[j];
        const auto kept_sum = sums_.get(sums, i), kept_difference = sums_.get(differences, i);
        put(to, 1, j, i, difference - (kept_difference << 1));
        put(to, 2, j, i, sum - kept_sum);
        sums_.set(sums, i, sum - (kept_sum << 2));
        sums_.set(differences, i, (difference << 1) - kept_difference);
      } else if constexpr (kRow == 0) {
        put(to, 0, j, i, sums_.get(sums, i) + row[j]);
      } else {
        put(to, 3, j, i, sums_.get(differences, i) + row[j]);
      }
    }
  }
  [[gnu::always_inline]] static void put(const Target& to, int i, int j, int element, WinogradSums::Sum sums) {
    constexpr std::uint32_t kInverseOf9 = 0x38e38e39;
    constexpr int kBits[kTile] = {3, 2, 1, 1};
    to.put(i, j, element, reinterpret_cast<WinogradSums::Signed>(sums * kInverseOf9) >> (kBits[i] + kBits[j]));
  }

  WinogradSums sums_;
  Target last_{};  // of the block whose row 5 is still to be used, if one is begun
  bool begun_ = false;
};

}  // namespace treenet::cpu::TREENET_ISA

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
  using Sum = WinogradSums::Sum;

  // As Winograd2x2's.
  template <class Element>
  static void transform(const Element* const (&lines)[kSide], std::int16_t* points) {
    for (int channel = 0; channel < kChannels; channel += kElements) {
      transform_half<0>(lines, channel, points);
      transform_half<kHalf>(lines, channel, points);
    }
  }

  // As Winograd2x2's.
  template <class M>
  [[gnu::always_inline]] static void columns(const M& m, Sum (&of)[kTile]) {
    const Sum first = m(1), second = m(2), third = m(3), fourth = m(4);
    const Sum inner = first + second, inner_difference = first - second;
    const Sum outer = third + fourth, outer_difference = third - fourth;
    of[0] = m(0) + outer - (inner << 2);
    of[1] = outer_difference - (inner_difference << 1);
    of[2] = outer - inner;
    of[3] = (outer_difference << 1) - inner_difference + m(5);
  }
  // The outputs' rows come one by one, so that each has other products to be beside. The third and the second are made
  // of sums and of differences alone, and so are left to rows 1 and 2 of the next block, each of which then takes a
  // place that they needed.
  template <int kRow, int kColumn, class Put>
  [[gnu::always_inline]] static void use(const WinogradSums& sums, int i, Sum of, const Put& put) {
    constexpr Kept kept(kColumn);
    if constexpr (kRow == 1) sums.set(kept.inner, i, of);
    if constexpr (kRow == 2) keep_both(sums, i, kept.inner, kept.inner_difference, of);
    if constexpr (kRow == 3) sums.set(kept.outer, i, of);
    if constexpr (kRow == 4) keep_both(sums, i, kept.outer, kept.outer_difference, of);
    if constexpr (kRow == 0) {
      put_divided<0, kColumn>(put, sums.get(kept.outer, i) - (sums.get(kept.inner, i) << 2) + of);
    }
    if constexpr (kRow == 5) {
      put_divided<3, kColumn>(put, (sums.get(kept.outer_difference, i) << 1) - sums.get(kept.inner_difference, i) + of);
    }
  }
  static constexpr bool leaves_to(int row) { return row == 1 || row == 2; }
  template <int kRow, int kColumn, class Put>
  [[gnu::always_inline]] static void use_before(const WinogradSums& sums, int i, const Put& put) {
    constexpr Kept kept(kColumn);
    if constexpr (kRow == 1) put_divided<2, kColumn>(put, sums.get(kept.outer, i) - sums.get(kept.inner, i));
    if constexpr (kRow == 2) {
      put_divided<1, kColumn>(put, sums.get(kept.outer_difference, i) - (sums.get(kept.inner_difference, i) << 1));
    }
  }

 private:
  using Element16 = Vector<std::uint16_t>::Type;
  static constexpr int kElements = Vector<std::uint16_t>::kElements, kHalf = kSide / 2;
  struct Half {
    Element16 at[kHalf];
  };

  // Rows kFirst to kFirst + 2 of B^T d.
  template <int kFirst, class D>
  [[gnu::always_inline]] static Half half(const D& d) {
    const Element16 second = d(1), third = d(2), fourth = d(3), fifth = d(4), even_difference = fifth - third;
    if constexpr (kFirst == 0) {
      const Element16 even = fifth - (third << 2), odd = fourth - (second << 2);
      return {{((d(0) - third) << 2) + even_difference, even + odd, even - odd}};
    } else {
      const Element16 odd_difference = (fourth - second) << 1;
      return {
          {even_difference + odd_difference, even_difference - odd_difference, d(5) - fourth - (odd_difference << 1)}};
    }
  }

  // Rows kFirst to kFirst + 2 of points: half of them, so that a tile's numbers stay in registers, and from one tile to
  // the next those of the columns that they share.
  template <int kFirst, class Element>
  static void transform_half(const Element* const (&lines)[kSide], int channel, std::int16_t* points) {
    const auto column = [&](int v) __attribute__((always_inline)) {
      return half<kFirst>(
          [&](int u) __attribute__((always_inline)) { return load_widened(lines[u] + v * kChannels + channel); });
    };
    Half columns[kSide];
    columns[kTile] = column(0);
    columns[kTile + 1] = column(1);
    for (int tile = 0; tile < kTiles; ++tile) {
      columns[0] = columns[kTile];
      columns[1] = columns[kTile + 1];
#pragma GCC unroll 4
      for (int v = 2; v < kSide; ++v) columns[v] = column(kTile * tile + v);
#pragma GCC unroll 3
      for (int u = 0; u < kHalf; ++u) {
        auto* const to =
            reinterpret_cast<std::uint16_t*>(points + kSide * (kFirst + u) * kTileBlock + tile * kChannels + channel);
        const auto d = [&](int v) __attribute__((always_inline)) { return columns[v].at[u]; };
        const Half left = half<0>(d), right = half<kHalf>(d);
#pragma GCC unroll 3
        for (int v = 0; v < kHalf; ++v) {
          store_vector<std::uint16_t>(to + v * kTileBlock, left.at[v]);
          store_vector<std::uint16_t>(to + (kHalf + v) * kTileBlock, right.at[v]);
        }
      }
    }
  }

  // The places of what is kept of a column.
  struct Kept {
    int inner, inner_difference, outer, outer_difference;
    explicit constexpr Kept(int column)
        : inner(2 * kSide + column),
          inner_difference(inner + kTile),
          outer(inner + 2 * kTile),
          outer_difference(inner + 3 * kTile) {}
  };
  // Of two rows of points, of which the first is there already.
  [[gnu::always_inline]] static void keep_both(const WinogradSums& sums, int i, int sum, int difference, Sum second) {
    const Sum first = sums.get(sum, i);
    sums.set(sum, i, first + second);
    sums.set(difference, i, first - second);
  }

  template <int kRow, int kColumn, class Put>
  [[gnu::always_inline]] static void put_divided(const Put& put, Sum value) {
    constexpr std::uint32_t kInverseOf9 = 0x38e38e39;
    constexpr int kBits[kTile] = {3, 2, 1, 1};
    put(kRow, reinterpret_cast<WinogradSums::Signed>(value * kInverseOf9) >> (kBits[kRow] + kBits[kColumn]));
  }
};

}  // namespace treenet::cpu::TREENET_ISA

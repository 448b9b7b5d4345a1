// Winograd's F(2x2, 3x3), for s16. A tile has 2 x 2 outputs, 4 x 4 inputs and as many points, which are sums of four
// inputs each: they fit 16 bits where inputs have 14.
//
//       [ 1  0 -1  0 ]           [ 2  0  0 ]          [ 1  1  1  0 ]
// B^T = [ 0  1  1  0 ]      2G = [ 1  1  1 ]    A^T = [ 0  1 -1  1 ]
//       [ 0 -1  1  0 ]           [ 1 -1  1 ]
//       [ 0 -1  0  1 ]           [ 0  0  2 ]
//
// Up to 48 times nine inputs of 14 bits times weights of 8 stay below 2^29, so four times their sum is a number of 32
// bits.
#pragma once

#include "cpu/winograd.h"

namespace treenet::cpu::TREENET_ISA {

// Whether it can take all of `count` inputs: whether they have 14 bits.
inline bool fit_winograd_2x2(const std::int16_t* inputs, std::ptrdiff_t count) {
  std::int16_t bits = 0;  // of the inputs, or of their complements where they are negative
  for (std::ptrdiff_t i = 0; i < count; ++i) {
    bits = static_cast<std::int16_t>(bits | (inputs[i] ^ (inputs[i] >> 15)));
  }
  return have_14_bits(bits);
}

// Its outputs are accumulators or activations, `Out`, which lie kStride apart.
template <class Out, int kStride>
class Winograd2x2 : public WinogradSteps<Winograd2x2<Out, kStride>, WinogradTarget<Out, 2, kStride>, 4, 0, 1, 2, 3> {
 public:
  static constexpr int kTile = 2, kSide = 4;
  using Target = WinogradTarget<Out, kTile, kStride>;
  using Sum = WinogradSums::Sum;

  // The points of a block of tiles, [point][tile][channel], of kInputs channels. `lines` begin at the left neighbour of
  // the first tile's first position.
  template <int kInputs = kChannels>
  static void transform(const std::int16_t* const (&lines)[kSide], std::int16_t* points) {
    constexpr int kElements = Vector<std::int16_t>::kElements, kPoint = kTiles * kInputs;
    static_assert(kInputs >= kElements);
    for (int tile = 0; tile < kTiles; ++tile) {
#pragma GCC unroll 4
      for (int k = 0; k < kInputs; k += kElements) {
        // The last channels may be made twice.
        const int channel = k + kElements <= kInputs ? k : kInputs - kElements;
        // Unsigned, because nothing is known of lines beyond the columns that count.
        const auto d = [&](int u, int v) {
          return load_vector(reinterpret_cast<const std::uint16_t*>(lines[u] + (kTile * tile + v) * kInputs + channel));
        };
        const auto row = [&](int u, auto at) {  // `at` gives B^T d
          auto* to = reinterpret_cast<std::uint16_t*>(points + kSide * u * kPoint + tile * kInputs + channel);
          const auto first = at(0), second = at(1), third = at(2), fourth = at(3);
          store_vector<std::uint16_t>(to, first - third);
          store_vector<std::uint16_t>(to + kPoint, second + third);
          store_vector<std::uint16_t>(to + 2 * kPoint, third - second);
          store_vector<std::uint16_t>(to + 3 * kPoint, fourth - second);
        };
        row(0, [&](int v) { return d(0, v) - d(2, v); });
        row(1, [&](int v) { return d(1, v) + d(2, v); });
        row(2, [&](int v) { return d(2, v) - d(1, v); });
        row(3, [&](int v) { return d(3, v) - d(1, v); });
      }
    }
  }

  // m A.
  template <class M>
  [[gnu::always_inline]] static void columns(const M& m, Sum (&of)[kTile]) {
    const Sum second = m(1), third = m(2);
    of[0] = m(0) + second + third;
    of[1] = second - third + m(3);
  }
  // They are added up over rows.
  template <int kRow, int kColumn, class Put>
  [[gnu::always_inline]] static void use(const WinogradSums& sums, int i, Sum of, const Put& put) {
    constexpr int kAbove = 2 * kSide + kColumn, kBelow = kAbove + kTile;  // sums for both rows of outputs
    const auto put_divided = [&](int row, Sum value) __attribute__((always_inline)) {
      put(row, reinterpret_cast<WinogradSums::Signed>(value) >> 2);
    };
    if constexpr (kRow == 0) {
      sums.set(kAbove, i, of);
    } else if constexpr (kRow == 1) {
      sums.set(kAbove, i, sums.get(kAbove, i) + of);
      sums.set(kBelow, i, of);
    } else if constexpr (kRow == 2) {
      put_divided(0, sums.get(kAbove, i) + of);
      sums.set(kBelow, i, sums.get(kBelow, i) - of);
    } else {
      put_divided(1, sums.get(kBelow, i) + of);
    }
  }
  static constexpr bool leaves_to(int) { return false; }
};

}  // namespace treenet::cpu::TREENET_ISA

// Winograd's F(2x2, 3x3), for s16. A tile has 2 x 2 outputs, 4 x 4 inputs and as many points, which are sums of four
// inputs each: they fit 16 bits where inputs have 14.
//
//       [ 1  0 -1  0 ]           [ 2  0  0 ]          [ 1  1  1  0 ]
// B^T = [ 0  1  1  0 ]      2G = [ 1  1  1 ]    A^T = [ 0  1 -1  1 ]
//       [ 0 -1  1  0 ]           [ 1 -1  1 ]
//       [ 0 -1  0  1 ]           [ 0  0  2 ]
//
// 288 inputs of 14 bits times weights of 8 stay below 2^29, so four times their sum is a number of 32 bits.
#pragma once

#include "cpu/winograd.h"

namespace treenet::cpu::TREENET_ISA {

class Winograd2x2 {
 public:
  static constexpr int kTile = 2, kSide = 4;
  static constexpr int kSums = 2 * kSide;  // in blocks
  using Target = WinogradTarget<kTile>;

  static Winograd2x2 make(Arena& arena) {
    Winograd2x2 made;
    made.sums_ = {arena, kSums};
    return made;
  }

  // Whether it can take all of `count` inputs: whether they have 14 bits.
  static bool takes(const std::int16_t* inputs, std::ptrdiff_t count) {
    std::int16_t bits = 0;  // of the inputs, or of their complements where they are negative
    for (std::ptrdiff_t i = 0; i < count; ++i) {
      bits = static_cast<std::int16_t>(bits | (inputs[i] ^ (inputs[i] >> 15)));
    }
    return bits < 1 << 13;
  }

  // The points of a block of tiles, [point][tile][channel]. `lines` begin at the left neighbour of the first tile's
  // first position.
  static void transform(const std::int16_t* const (&lines)[kSide], std::int16_t* points) {
    for (int i = 0; i < kTileBlock; i += Vector<std::int16_t>::kElements) {
      const int tile = i / kChannels;
      // Unsigned, because nothing is known of lines beyond the columns that count.
      const auto d = [&](int u, int v) {
        return load_vector(reinterpret_cast<const std::uint16_t*>(lines[u] + (tile + v) * kChannels + i));
      };
      const auto row = [&](int u, auto at) {  // `at` gives B^T d
        auto* to = reinterpret_cast<std::uint16_t*>(points + kSide * u * kTileBlock + i);
        const auto first = at(0), second = at(1), third = at(2), fourth = at(3);
        store_vector<std::uint16_t>(to, first - third);
        store_vector<std::uint16_t>(to + kTileBlock, second + third);
        store_vector<std::uint16_t>(to + 2 * kTileBlock, third - second);
        store_vector<std::uint16_t>(to + 3 * kTileBlock, fourth - second);
      };
      row(0, [&](int v) { return d(0, v) - d(2, v); });
      row(1, [&](int v) { return d(1, v) + d(2, v); });
      row(2, [&](int v) { return d(2, v) - d(1, v); });
      row(3, [&](int v) { return d(3, v) - d(1, v); });
    }
  }

  // The accumulators. multiply(Anew or Onto, first, count, results) computes the results of so many rows of points.
  // Rows 1 and 2 are in both rows of outputs, as their sums and as their differences, to which those of rows 0 and 3
  // are added as they come. That keeps them few enough for the first cache.
  template <class Multiply>
  void outputs(const Multiply& multiply, const Target& to) const {
    multiply(Anew{}, 1, 2, sums_.at(0));
    for (int k = 0; k < kSide; ++k) {
      for (int i = 0; i < kTileBlock; i += WinogradSums::kElements) {
        const auto first = sums_.get(k, i), second = sums_.get(kSide + k, i);
        sums_.set(k, i, first + second);
        sums_.set(kSide + k, i, first - second);
      }
    }
    for (int row = 0; row < kTile; ++row) {
      const int first = kSide * row;
      multiply(Onto{}, row == 0 ? 0 : kSide - 1, 1, sums_.at(first));
      for (int i = 0; i < kTileBlock; i += WinogradSums::kElements) {
        const auto second = sums_.get(first + 1, i), third = sums_.get(first + 2, i);
        put(to, row, 0, i, sums_.get(first, i) + second + third);
        put(to, row, 1, i, second - third + sums_.get(first + 3, i));
      }
    }
  }

 private:
  static void put(const Target& to, int i, int j, int element, WinogradSums::Sum sums) {
    to.put(i, j, element, reinterpret_cast<WinogradSums::Signed>(sums) >> 2);
  }

  WinogradSums sums_;
};

}  // namespace treenet::cpu::TREENET_ISA

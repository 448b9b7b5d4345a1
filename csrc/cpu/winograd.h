// 3x3 convolutions of s16 by Winograd's F(2x2, 3x3) (Lavin and Gray, "Fast Algorithms for Convolutional Neural
// Networks", 2015): 16 products a channel for a tile of 2 x 2 positions instead of 36. Whole numbers all the way, so
// the sums are those of SPEC §2.1.
//
// A tile's 4 x 4 inputs d are transformed to the 16 points of B^T d B, which are sums of four inputs each: they fit 16
// bits where inputs have 14. The weights g come transformed as the points of 4 G g G^T (packed_model.cpp). At each
// point the convolution is a 1x1 convolution over tiles, and A^T m A of its 16 results m is four times the outputs:
//
//       [ 1  0 -1  0 ]          [ 1    0   0  ]          [ 1  1  1  0 ]
// B^T = [ 0  1  1  0 ]      G = [ 1/2  1/2 1/2]    A^T = [ 0  1 -1 -1 ]
//       [ 0 -1  1  0 ]          [ 1/2 -1/2 1/2]
//       [ 0  1  0 -1 ]          [ 0    0   1  ]
//
// 288 inputs of 14 bits times weights of 8 stay below 2^29, so four times their sum is a number of 32 bits; what is
// added up before may wrap.
#pragma once

#include "cpu/lines.h"

namespace treenet::cpu::TREENET_ISA {

inline constexpr int kPoints = 16;
inline constexpr int kTiles = kBlockPixels;  // of a block

// A register of T.
template <class T>
struct Vector {
  typedef T Type [[gnu::vector_size(kVectorBytes)]];
  static constexpr int kElements = kVectorBytes / sizeof(T);
};
template <class T>
typename Vector<T>::Type load_vector(const T* from) {
  typename Vector<T>::Type vector;
  std::memcpy(&vector, from, sizeof(vector));
  return vector;
}
template <class T>
void store_vector(T* to, typename Vector<T>::Type vector) {
  std::memcpy(to, &vector, sizeof(vector));
}

// The points of `kTiles` tiles side by side, [point][tile][channel]. `lines` begin at the left neighbour of the first
// tile's first position.
inline void winograd_input(const std::int16_t* const (&lines)[4], std::int16_t* points) {
  for (int i = 0; i < kTiles * kChannels; i += Vector<std::int16_t>::kElements) {
    const int tile = i / kChannels;
    // Unsigned, because nothing is known of lines beyond the columns that count.
    const auto d = [&](int u, int v) {
      return load_vector(reinterpret_cast<const std::uint16_t*>(lines[u] + (tile + v) * kChannels + i));
    };
    const auto row = [&](int u, auto at) {  // `at` gives B^T d
      auto* to = reinterpret_cast<std::uint16_t*>(points + 4 * u * kBlock + i);
      const auto first = at(0), second = at(1), third = at(2), fourth = at(3);
      store_vector<std::uint16_t>(to, first - third);
      store_vector<std::uint16_t>(to + kBlock, second + third);
      store_vector<std::uint16_t>(to + 2 * kBlock, third - second);
      store_vector<std::uint16_t>(to + 3 * kBlock, second - fourth);
    };
    row(0, [&](int v) { return d(0, v) - d(2, v); });
    row(1, [&](int v) { return d(1, v) + d(2, v); });
    row(2, [&](int v) { return d(2, v) - d(1, v); });
    row(3, [&](int v) { return d(1, v) - d(3, v); });
  }
}

// The outputs of a block of tiles, 32 of them a position, of the points' results. Points come by rows of the 4 x 4, so
// that their results stay in the first cache: first rows 1 and 2, which both rows of outputs are made of, then row 0,
// which completes the outputs above, and row 3, for those below.
class WinogradOutput {
 public:
  static WinogradOutput make(Arena& arena) {
    WinogradOutput output;
    output.results_ = arena.take<std::int32_t>(8 * kBlock);
    output.sums_ = arena.take<std::int32_t>(4 * kBlock);
    return output;
  }

  // Of the four points of a row, and of row 2 behind those of row 1: [point][tile][32].
  std::int32_t* results() const { return results_; }

  void add_rows_1_2() const {
    for (int i = 0; i < kBlock; i += kElements) {
      const Pair first = pair(results_, i), second = pair(results_ + 4 * kBlock, i);
      keep(0, i, first.left + second.left);
      keep(1, i, first.right + second.right);
      keep(2, i, first.left - second.left);
      keep(3, i, first.right - second.right);
    }
  }
  // Writes the accumulators of tile t's positions above to to[(2 t + b) * stride].
  void add_row_0(const std::int32_t* bias, std::int32_t* to, std::ptrdiff_t stride) const {
    for (int i = 0; i < kBlock; i += kElements) {
      const Pair row = pair(results_, i);
      finish(i, {kept(0, i) + row.left, kept(1, i) + row.right}, bias, to, stride);
    }
  }
  // And those below.
  void add_row_3(const std::int32_t* bias, std::int32_t* to, std::ptrdiff_t stride) const {
    for (int i = 0; i < kBlock; i += kElements) {
      const Pair row = pair(results_, i);
      finish(i, {kept(2, i) - row.left, kept(3, i) - row.right}, bias, to, stride);
    }
  }

 private:
  // Unsigned, because what is added up may wrap; so may a folded zero point, but not the total (SPEC §9).
  using Sum = Vector<std::uint32_t>::Type;
  using Signed = Vector<std::int32_t>::Type;
  static constexpr int kElements = Vector<std::int32_t>::kElements;

  // A row's share of a tile's two positions.
  struct Pair {
    Sum left, right;
  };

  // For elements [tile][32] from i on.
  static Pair pair(const std::int32_t* results, int i) {
    const auto m = [&](int v) { return reinterpret_cast<Sum>(load_vector(results + v * kBlock + i)); };
    const Sum second = m(1), third = m(2);
    return {m(0) + second + third, second - third - m(3)};
  }
  void keep(int k, int i, Sum sum) const {
    store_vector<std::int32_t>(sums_ + k * kBlock + i, reinterpret_cast<Signed>(sum));
  }
  Sum kept(int k, int i) const { return reinterpret_cast<Sum>(load_vector(sums_ + k * kBlock + i)); }

  static void finish(int i, const Pair& sums, const std::int32_t* bias, std::int32_t* to, std::ptrdiff_t stride) {
    const int tile = i / 32, o = i % 32;
    const Sum added = reinterpret_cast<Sum>(load_vector(bias + o));
    const auto store = [&](int b, Sum sum) {
      const Sum quarter = reinterpret_cast<Sum>(reinterpret_cast<Signed>(sum) >> 2);
      store_vector<std::int32_t>(to + (2 * tile + b) * stride + o, reinterpret_cast<Signed>(quarter + added));
    };
    store(0, sums.left);
    store(1, sums.right);
  }

  std::int32_t* results_ = nullptr;
  std::int32_t* sums_ = nullptr;
};

// Whether all of `count` numbers have 14 bits.
inline bool fits_winograd(const std::int16_t* numbers, std::ptrdiff_t count) {
  std::int16_t bits = 0;  // of the numbers, or of their complements where they are negative
  for (std::ptrdiff_t i = 0; i < count; ++i) {
    bits = static_cast<std::int16_t>(bits | (numbers[i] ^ (numbers[i] >> 15)));
  }
  return bits < 1 << 13;
}

}  // namespace treenet::cpu::TREENET_ISA

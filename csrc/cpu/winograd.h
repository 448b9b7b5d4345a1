// What Winograd's algorithms for stride 1 have in common (Lavin and Gray, "Fast Algorithms for Convolutional Neural
// Networks", 2015): a tile's inputs d are transformed to the points of B^T d B, at each of which the 3x3 convolution is
// a 1x1 convolution over tiles, and the points' results m to the tile's outputs A^T m A. The weights g come
// transformed, as the points of G g G^T times a whole number (packed_model.cpp), which the outputs are divided by: in
// whole numbers all the way, so the sums are those of SPEC §2.1.
//
// F(2x2, 3x3) (winograd_2x2.h) has 16 products a channel for 4 outputs instead of 36, and takes inputs of 14 bits.
// F(4x4, 3x3) (winograd_4x4.h) has 36 for 16 outputs instead of 144, and takes u8.
//
// A block of tiles goes by steps, one a row of points. Instructions that multiply leave others' places in a cycle free;
// so what is to be done with the results of a row is done beside the products of the next, a part at a time, close
// enough for the processor to overlap them.
#pragma once

#include <type_traits>
#include <utility>

#include "cpu/lines.h"

namespace treenet::cpu::TREENET_ISA {

inline constexpr int kTileBlock = kTiles * kChannels;  // of tiles side by side, at one point, of 32 channels

// Primitives of the instruction sets that use these algorithms (isa_*.h).
//
// The results of a block at a point, or the sum of those at several that follow each other, each with a block of
// weights: 32 outputs of each tile, of kInputs channels. Meanwhile, or after it where nothing would be gained,
// beside(k) is called for all k below kParts * count.
template <int kParts, int kInputs = kChannels, class Beside>
void conv_points(const std::int16_t* points, const PackedConv& conv, std::int32_t block, std::int32_t* results,
                 const Beside& beside, int count);
// A register of sums, not to be read back at once.
template <class Sums>
void store_sums(std::int32_t* to, Sums sums);
// A register of a pixel's sums by requantise_leaky (SPEC §2.2) to an `Activation`; `negative` is multiplier * 0.01f.
template <class Activation, class Sums, class Out>
void requantise_leaky_sums(Sums sums, const float* multiplier, const float* negative, std::int32_t zero_point, Out* to);

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

// Elements of a line as numbers of 16 bits. Unsigned, because nothing is known of lines beyond the columns that count.
template <class Element>
Vector<std::uint16_t>::Type load_widened(const Element* from) {
  if constexpr (sizeof(Element) == sizeof(std::uint16_t)) {
    return load_vector(reinterpret_cast<const std::uint16_t*>(from));
  } else {
    return reinterpret_cast<Vector<std::uint16_t>::Type>(load_pixel(from));  // whose channels fill a register
  }
}

// Whether numbers have 14 bits, of which all bits are in `bits`, or those of their complements where they are negative:
// sums of four of them have 16.
inline bool have_14_bits(int bits) { return bits < 1 << 13; }

// The points' results, and sums of them between steps, for a block of tiles: [point or sum][tile][32 outputs].
// Unsigned, because what is added up may wrap; so may a folded zero point, but not the total (SPEC §9).
class WinogradSums {
 public:
  using Sum = Vector<std::uint32_t>::Type;
  using Signed = Vector<std::int32_t>::Type;
  static constexpr int kElements = Vector<std::int32_t>::kElements;

  WinogradSums() = default;
  WinogradSums(Arena& arena, int count) : sums_(arena.take<std::int32_t>(count * kTileBlock)) {}

  std::int32_t* at(int k) const { return sums_ + k * kTileBlock; }
  // Elements [tile][output] from i on.
  Sum get(int k, int i) const { return reinterpret_cast<Sum>(load_vector(at(k) + i)); }
  void set(int k, int i, Sum sum) const { store_sums(at(k) + i, sum); }

 private:
  std::int32_t* sums_ = nullptr;
};

// Where the outputs of a block of tiles go, accumulators, or activations by requantise_leaky: output (i, j) of tile t
// is at rows[i] + (kTile * t + j) * kStride, 32 of them.
template <class Out, int kTile, int kStride, class Activation = std::uint8_t, int kTileRows = kTile>
struct WinogradTarget {
  Out* rows[kTileRows];
  const std::int32_t* bias;
  const float *multiplier, *negative;  // of activations, and their zero point
  std::int32_t zero_point;

  WinogradTarget beyond(std::int32_t columns) const {
    WinogradTarget target = *this;
    for (Out*& row : target.rows) row += columns * kStride;
    return target;
  }

  // Outputs [tile][32] from `element` on.
  [[gnu::always_inline]] void put(int i, int j, int element, WinogradSums::Signed sums) const {
    const int tile = element / 32, o = element % 32;
    const auto added = reinterpret_cast<WinogradSums::Sum>(load_vector(bias + o));
    const auto total = reinterpret_cast<WinogradSums::Signed>(reinterpret_cast<WinogradSums::Sum>(sums) + added);
    Out* to = rows[i] + (kTile * tile + j) * kStride + o;
    if constexpr (std::is_same_v<Out, std::int32_t>) {
      store_sums(to, total);
    } else {
      requantise_leaky_sums<Activation>(total, multiplier + o, negative + o, zero_point, to);
    }
  }
};

// An algorithm's steps from block to block, for the algorithm to derive from: it takes its rows of points in the order
// of kRows. Its use<kRow>(sums, results, i, to) does what there is to do with elements from i on of row kRow's results,
// which are the sums from `results` on; kKept more sums, behind those of two rows, are its own.
template <class Algorithm, class To, int kKept, int... kRows>
class WinogradSteps {
 public:
  using Target = To;
  static constexpr int kSide = sizeof...(kRows);
  static constexpr int kSums = 2 * kSide + kKept;  // in blocks

  static Algorithm make(Arena& arena) {
    Algorithm made;
    made.sums_ = {arena, kSums};
    return made;
  }

  // The outputs of a block. multiply(row, results, beside) computes the results of a row of points, and calls
  // beside(part) for all parts of a step. Those that the last row of points is in are made beside the products of the
  // next block, or by finish().
  template <class Multiply>
  void outputs(const Multiply& multiply, const Target& to) {
    if (begun_) {
      step<0, kSide - 1>(multiply, last_);
    } else {
      step<0, kNone>(multiply, to);
    }
    steps(multiply, to, std::make_integer_sequence<int, kSide - 1>());
    last_ = to;
    begun_ = true;
  }
  void finish() {
    if (begun_) {
      for (int i = 0; i < kTileBlock; i += WinogradSums::kElements) use_kth<kSide - 1>(i, last_);
    }
    begun_ = false;
  }

  // The parts of a step beside a point: in all of them together each register of a block's sums has its turn.
  static constexpr int parts() {
    constexpr int kRegisters = kTileBlock / WinogradSums::kElements;
    static_assert(kRegisters % kSide == 0);
    return kRegisters / kSide;
  }

 private:
  static constexpr int kNone = -1, kOrder[] = {kRows...};
  // Of two rows at a time, which take turns, also from one block to the next.
  static_assert(kSide % 2 == 0);
  static constexpr int results_of(int k) { return k % 2 * kSide; }

  template <class Multiply, int... k>
  void steps(const Multiply& multiply, const Target& to, std::integer_sequence<int, k...>) const {
    (step<k + 1, k>(multiply, to), ...);
  }
  // The products of the k-th row; beside them the results of the kDone-th are used.
  template <int k, int kDone, class Multiply>
  [[gnu::noinline]] void step(const Multiply& multiply, const Target& to) const {
    multiply(kOrder[k], sums_.at(results_of(k)), [&](int part) __attribute__((always_inline)) {
      if constexpr (kDone != kNone) use_kth<kDone>(part * WinogradSums::kElements, to);
    });
  }
  template <int k>
  [[gnu::always_inline]] void use_kth(int i, const Target& to) const {
    Algorithm::template use<kOrder[k]>(sums_, results_of(k), i, to);
  }

  WinogradSums sums_;
  Target last_{};  // of the block whose last row is still to be used, if one is begun
  bool begun_ = false;
};

}  // namespace treenet::cpu::TREENET_ISA

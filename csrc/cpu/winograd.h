// What Winograd's algorithms have in common (Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks",
// 2015): a tile's inputs d are transformed to the points of B^T d B, at each of which the 3x3 convolution is a 1x1
// convolution over tiles, and the points' results m to the tile's outputs A^T m A. The weights g come transformed, as
// the points of G g G^T times a whole number (packed_model.cpp), which the outputs are divided by: in whole numbers all
// the way, so the sums are those of SPEC §2.1.
//
// F(2x2, 3x3) (winograd_2x2.h) has 16 products a channel for 4 outputs instead of 36, and takes inputs of 14 bits.
// F(4x4, 3x3) (winograd_4x4.h) has 36 for 16 outputs instead of 144, and takes u8.
#pragma once

#include <type_traits>

#include "cpu/lines.h"

namespace treenet::cpu::TREENET_ISA {

inline constexpr int kTileBlock = kTiles * kChannels;  // of tiles side by side, at one point

// The results of a block at a point: 32 outputs of each tile, of 32 channels. With kOnto what is there is added to.
// Defined by the instruction sets that use these algorithms (isa_*.h).
template <bool kOnto>
void conv_points(const std::int16_t* points, const PackedConv& conv, std::int32_t block, std::int32_t* results);

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

// The points' results, and sums of them between two steps, for a block of tiles: [point or sum][tile][32 outputs].
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
  void set(int k, int i, Sum sum) const { store_vector<std::int32_t>(at(k) + i, reinterpret_cast<Signed>(sum)); }

 private:
  std::int32_t* sums_ = nullptr;
};

// Whether points' results take the place of what is there, or are added to it.
using Anew = std::false_type;
using Onto = std::true_type;

// Where a block of tiles has its accumulators: output (i, j) of tile t at rows[i] + (kTile * t + j) * stride.
template <int kTile>
struct WinogradTarget {
  std::int32_t* rows[kTile];
  std::ptrdiff_t stride;
  const std::int32_t* bias;  // [32]

  // The outputs of elements [tile][32] from `element` on.
  void put(int i, int j, int element, WinogradSums::Signed sums) const {
    const int tile = element / 32, o = element % 32;
    const auto added = reinterpret_cast<WinogradSums::Sum>(load_vector(bias + o));
    const auto total = reinterpret_cast<WinogradSums::Sum>(sums) + added;
    store_vector<std::int32_t>(rows[i] + (kTile * tile + j) * stride + o,
                               reinterpret_cast<WinogradSums::Signed>(total));
  }
};

}  // namespace treenet::cpu::TREENET_ISA

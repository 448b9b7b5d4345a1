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
// so what is to be done with the results of a row is done beside the products of later ones, in pieces so small that
// the processor always has products at hand while it does one.
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
// beside(k, unit, piece) is called for all kUnits units, in kPieces pieces, of all k below `count`. A piece is a
// std::integral_constant, so that what one leaves to the next can stay in registers.
template <int kUnits, int kPieces, int kInputs = kChannels, class Beside>
void conv_points(const std::int16_t* points, const PackedConv& conv, std::int32_t block, std::int32_t* results,
                 Beside&& beside, int count);
// A register of sums, not to be read back at once.
template <class Sums>
void store_sums(std::int32_t* to, Sums sums);
// requantise_leaky (SPEC §2.2) up to the zero point, of a register of sums; `negative` is multiplier * 0.01f.
template <class Sums, class Floats>
Sums leaky_rounded(Sums sums, Floats multiplier, Floats negative);
// Adds the zero point and clamps to an `Activation`: a register of kColumns neighbouring columns each, whose outputs
// lie kStride apart.
template <class Activation, int kColumns, int kStride, class Sums, class Out>
void store_columns(const Sums (&rounded)[kColumns], std::int32_t zero_point, Out* to);

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
  static constexpr int kColumns = kTile;  // of a tile
  static constexpr bool kRequantises = !std::is_same_v<Out, std::int32_t>;

  Out* rows[kTileRows];
  const std::int32_t* bias;
  const float *multiplier, *negative;  // of activations, and their zero point
  std::int32_t zero_point;

  WinogradTarget beyond(std::int32_t columns) const {
    WinogradTarget target = *this;
    for (Out*& row : target.rows) row += columns * kStride;
    return target;
  }

  // A register of outputs [tile][32], from `element` on: what is the same for all columns, and those that came already.
  struct Register {
    int element;
    WinogradSums::Sum bias;
    Vector<float>::Type multiplier, negative;
    WinogradSums::Signed rounded[kTile];
  };
  [[gnu::always_inline]] void begin(int element, Register& of) const {
    const int o = element % 32;
    of.element = element;
    of.bias = reinterpret_cast<WinogradSums::Sum>(load_vector(bias + o));
    if constexpr (kRequantises) {
      of.multiplier = load_vector(multiplier + o);
      of.negative = load_vector(negative + o);
    }
  }
  // The columns of a row come one after the other.
  template <int kColumn>
  [[gnu::always_inline]] void put(int row, WinogradSums::Signed sums, Register& of) const {
    const auto total = reinterpret_cast<WinogradSums::Signed>(reinterpret_cast<WinogradSums::Sum>(sums) + of.bias);
    const int tile = of.element / 32;
    Out* const to = rows[row] + kTile * tile * kStride + of.element % 32;
    if constexpr (!kRequantises) {
      store_sums(to + kColumn * kStride, total);
    } else {
      of.rounded[kColumn] = leaky_rounded(total, of.multiplier, of.negative);
      if constexpr (kColumn == kTile - 1) store_columns<Activation, kTile, kStride>(of.rounded, zero_point, to);
    }
  }
};

// An algorithm's steps from block to block, for the algorithm to derive from: it takes its rows of points in the order
// of kRows. What there is to do with the results of a row is done a register of the block's sums after the other, and
// of each an output column of its tile after the other:
//   columns(m, of) computes what the row's results m(v) add to each column;
//   use<row, column>(sums, i, of, put) does with that what is possible, with elements from i on: put(row, sum) makes
//     outputs. kKept sums, behind the results of two rows, are the algorithm's own;
//   use_before<row, column>(sums, i, put) makes outputs of the block before, where leaves_to(row) says so, as long as
//     the sums are still there that `use` then replaces.
template <class Algorithm, class To, int kKept, int... kRows>
class WinogradSteps {
 public:
  using Target = To;
  static constexpr int kSide = sizeof...(kRows);
  static constexpr int kSums = 2 * kSide + kKept;  // in blocks
  // Units of a step beside each of its points, and their pieces: a unit is a register, and in all of them together each
  // of a block's sums has its turn.
  static constexpr int kRegisters = kTileBlock / WinogradSums::kElements / kSide, kPieces = 1 + To::kColumns;

  static Algorithm make(Arena& arena) {
    Algorithm made;
    made.sums_ = {arena, kSums};
    return made;
  }

  // The outputs of a block. multiply(row, results, beside) computes the results of a row of points, and calls
  // beside(point, unit, piece) for all pieces of kRegisters units beside each point, as conv_points does. What is left
  // of a block is done beside the products of the next one, or by finish().
  template <class Multiply>
  void outputs(const Multiply& multiply, const Target& to) {
    static_assert(kTileBlock % (kSide * WinogradSums::kElements) == 0);
    constexpr auto kOthers = std::make_integer_sequence<int, kSide - 1>();
    if (begun_) {
      step<0, kSide - 1, false>(multiply, last_);
      steps<true>(multiply, to, kOthers);
    } else {
      step<0, kNone, false>(multiply, to);
      steps<false>(multiply, to, kOthers);
    }
    last_ = to;
    begun_ = true;
  }
  void finish() {
    if (!begun_) return;
    all_of(Use<kSide - 1, false>(sums_, last_, last_));
    unrolled<kSide>([&](auto k) {
      constexpr int kRow = kOrder[k()];
      if constexpr (Algorithm::leaves_to(kRow)) all_of(UseBefore<kRow>(sums_, last_));
    });
    begun_ = false;
  }

 private:
  static constexpr int kNone = -1, kOrder[] = {kRows...};
  // Of two rows at a time, which take turns, also from one block to the next.
  static_assert(kSide % 2 == 0);
  static constexpr int results_of(int k) { return k % 2 * kSide; }

  static constexpr int element_of(int point, int unit) { return (point * kRegisters + unit) * WinogradSums::kElements; }

  // What there is to do with a unit: first what all its columns need, then a column a piece. Both have copies and
  // members alone, which so stay in registers.
  template <int kRow>
  class UseBefore {
   public:
    UseBefore(const WinogradSums& sums, const Target& before) : sums_(sums), before_(before) {}
    template <class Piece>
    [[gnu::always_inline]] void operator()(int point, int unit, Piece) {
      const int i = element_of(point, unit);
      constexpr int kColumn = Piece::value - 1;
      if constexpr (kColumn < 0) {
        before_.begin(i, outputs_);
      } else {
        Algorithm::template use_before<kRow, kColumn>(
            sums_, i, [&](int row, WinogradSums::Signed sum) __attribute__((always_inline)) {
              before_.template put<kColumn>(row, sum, outputs_);
            });
      }
    }

   private:
    const WinogradSums sums_;
    const Target before_;
    typename Target::Register outputs_;
  };
  // Of the k-th row, whose block's outputs go `to`.
  template <int k, bool kBefore>
  class Use {
   public:
    Use(const WinogradSums& sums, const Target& to, const Target& before)
        : sums_(sums), to_(to), use_before_(sums, before) {}
    template <class Piece>
    [[gnu::always_inline]] void operator()(int point, int unit, Piece piece) {
      const int i = element_of(point, unit);
      constexpr int kColumn = Piece::value - 1;
      if constexpr (kBefore) use_before_(point, unit, piece);
      if constexpr (kColumn < 0) {
        to_.begin(i, outputs_);
        Algorithm::columns([&](int v) __attribute__((always_inline)) { return sums_.get(results_of(k) + v, i); },
                           columns_);
      } else {
        Algorithm::template use<kOrder[k], kColumn>(
            sums_, i, columns_[kColumn], [&](int row, WinogradSums::Signed sum) __attribute__((always_inline)) {
              to_.template put<kColumn>(row, sum, outputs_);
            });
      }
    }

   private:
    const WinogradSums sums_;
    const Target to_;
    UseBefore<kOrder[k]> use_before_;
    WinogradSums::Sum columns_[Target::kColumns];
    typename Target::Register outputs_;
  };
  template <class Work>
  static void all_of(Work work) {
    for (int unit = 0; unit < kSide * kRegisters; ++unit) {
      unrolled<kPieces>([&](auto piece) __attribute__((always_inline)) { work(0, unit, piece); });
    }
  }

  template <bool kBegun, class Multiply, int... k>
  void steps(const Multiply& multiply, const Target& to, std::integer_sequence<int, k...>) const {
    (step<k + 1, k, (kBegun && Algorithm::leaves_to(kOrder[k]))>(multiply, to), ...);
  }
  // The products of the k-th row. Beside them the results of the kDone-th are used, of the block that `to` is of.
  template <int k, int kDone, bool kBefore, class Multiply>
  [[gnu::noinline]] void step(const Multiply& multiply, const Target& to) const {
    std::int32_t* const results = sums_.at(results_of(k));
    if constexpr (kDone == kNone) {
      multiply(kOrder[k], results, [](int, int, auto) __attribute__((always_inline)) {});
    } else {
      multiply(kOrder[k], results, Use<kDone, kBefore>(sums_, to, last_));
    }
  }

  WinogradSums sums_;
  Target last_{};  // of the block that is still to be finished, if one is begun
  bool begun_ = false;
};

}  // namespace treenet::cpu::TREENET_ISA

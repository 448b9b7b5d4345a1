// Winograd's algorithm for 3x3 convolutions of stride 2, for s16. Along a line, output i has the first tap g0 on input
// 2 i, the last, g2, on input 2 i + 2, and the middle one, g1, on 2 i + 1. So with the inputs of even number, e, and
// the odd ones, o, it is a convolution of stride 1 by two taps on e, and one by a single tap on o. Of two outputs that
// of two taps takes three products instead of four:
//
//   A + B and B + C    A = (e0 - e1) g0 + o0 g1    B = e1 (g0 + g2)    C = (e2 - e1) g2 + o1 g1
//
// and of three outputs, which come twice as large, four instead of six:
//
//   P + Q - R, Q + R + T and Q - R + S     P = (e0 - e2) 2 g0 + o0 2 g1    R = (e1 - e2) (g0 - g2)
//                                          Q = (e1 + e2) (g0 + g2)         T = o1 2 g1    S = (e3 - e1) 2 g2 + o2 2 g1
//
// A tile has the first along its rows, which go into three sums, and the second along its columns, into five: 35 points
// for 3 x 2 outputs that have 54 products directly. Points are sums of four inputs at most: they fit 16 bits where
// inputs have 14 (winograd_2x2.h).
#pragma once

#include <iterator>

#include "cpu/winograd.h"

namespace treenet::cpu::TREENET_ISA {

// The inputs of three rows, which are read in the plane itself: only blocks at its edges are copied. Outside they
// are zero.
class StridedInput {
 public:
  static constexpr int kRows = 7;                                          // of inputs
  static constexpr std::int32_t kStep = 4 * kTiles, kColumns = kStep + 1;  // from block to block, and of a block

  static StridedInput make(Arena& arena, const Plane& in) {
    StridedInput made;
    made.in_ = &in;
    for (std::int16_t*& edge : made.edges_) edge = arena.take<std::int16_t>(kRows * kLine);
    made.zeros_ = arena.take<std::int16_t>(kLine);
    fill(made.zeros_, kLine, 0);
    return made;
  }
  static constexpr std::size_t scratch_bytes() { return (2 * kRows + 1) * kLine * sizeof(std::int16_t); }

  // Input rows from `row` on, of blocks of which the first one begins at `column`, up to that of the last column.
  void begin(std::int32_t row, std::int32_t column, std::int32_t blocks) {
    row_ = row;
    column_ = column;
    for (int last = 0; last <= (blocks > 1 ? 1 : 0); ++last) {
      const std::int32_t first = column + (last == 0 ? 0 : blocks - 1) * kStep;
      if (is_inside(first)) continue;
      for (int u = 0; u < kRows; ++u) {
        load_line<std::int16_t>(*in_, row + u, first, kColumns, 0, kChannels, edges_[last] + u * kLine,
                                CopyS16Features{});
      }
    }
  }
  // Where block k's are.
  void lines(std::int32_t k, const std::int16_t* (&lines)[kRows]) const {
    const std::int32_t first = column_ + k * kStep;
    for (int u = 0; u < kRows; ++u) {
      const std::int32_t row = row_ + u;
      if (!is_inside(first)) {
        lines[u] = edges_[k > 0 ? 1 : 0] + u * kLine;
      } else if (row < 0 || row >= in_->height) {
        lines[u] = zeros_;
      } else {
        lines[u] = static_cast<const std::int16_t*>(in_->data) +
                   (static_cast<std::ptrdiff_t>(row) * in_->width + first) * kChannels;
      }
    }
  }

 private:
  static constexpr std::int32_t kLine = kColumns * kChannels;

  bool is_inside(std::int32_t first) const { return first >= 0 && first + kColumns <= in_->width; }

  const Plane* in_ = nullptr;
  std::int32_t row_ = 0, column_ = 0;
  std::int16_t* edges_[2] = {};    // of the first block, and the last
  std::int16_t* zeros_ = nullptr;  // of rows outside
};

// Its outputs are accumulators or s16 activations, `Out`. Rows go three at a time by blocks of tiles, and for several
// convolutions of the same input at once, whose points are made once, beside the products of the block before.
template <class Out, int kConvolutions>
class WinogradStrided {
 public:
  static constexpr int kRows = 3, kTile = 2;                // outputs of a tile
  static constexpr std::int32_t kColumns = kTile * kTiles;  // of the output, of a block
  using Target = WinogradTarget<Out, kTile, kChannels, std::int16_t, kRows>;

  static WinogradStrided make(Arena& arena) {
    WinogradStrided made;
    for (std::int16_t*& points : made.points_) points = arena.take<std::int16_t>(kPoints * kTileBlock);
    for (WinogradSums& sums : made.sums_) sums = WinogradSums(arena, kRowParts * kColumnParts);
    return made;
  }
  static constexpr std::size_t scratch_bytes() {
    return 2 * kPoints * kTileBlock * sizeof(std::int16_t) +
           kConvolutions * kRowParts * kColumnParts * kTileBlock * sizeof(std::int32_t);
  }

  // kRows rows, of blocks whose inputs are input.lines(k, lines). A convolution's target is that of the first block.
  // False if there are inputs of more than 14 bits, and then the outputs mean nothing.
  template <class Input>
  bool rows(const Input& input, const PackedConv* const (&convs)[kConvolutions], const Target (&targets)[kConvolutions],
            std::int32_t blocks) {
    for (std::uint16_t& bits : seen_) bits = 0;
    Next next;
    input.lines(0, next.lines);
    next.points = points_[0];
    for (int tile = 0; tile < kTiles; ++tile) {
      transform<0>(next, tile);
      transform<1>(next, tile);
      transform<2>(next, tile);
      transform<3>(next, tile);
      transform<4>(next, tile);
      transform<5>(next, tile);
      transform<6>(next, tile);
    }
    for (std::int32_t k = 0; k < blocks; ++k) {
      const std::int16_t* points = points_[k % 2];
      next.points = nullptr;
      if (k + 1 < blocks) {
        input.lines(k + 1, next.lines);
        next.points = points_[(k + 1) % 2];
      }
      for (int i = 0; i < kConvolutions; ++i) {
        const Target to = targets[i].beyond(k * kColumns);
        if (i > 0) next.points = nullptr;
        if (k > 0) {
          step<kP, 2>(*convs[i], points, i, targets[i].beyond((k - 1) * kColumns), next);
        } else {
          step<kP, kNone>(*convs[i], points, i, to, next);
        }
        step<kR, kNone>(*convs[i], points, i, to, next);
        step<kQ, kNone>(*convs[i], points, i, to, next);
        step<kT, 0>(*convs[i], points, i, to, next);
        step<kS, 1>(*convs[i], points, i, to, next);
      }
    }
    for (int i = 0; i < kConvolutions; ++i) {
      for (int element = 0; element < kTileBlock; element += WinogradSums::kElements) {
        use<2>(sums_[i], element, targets[i].beyond((blocks - 1) * kColumns));
      }
    }
    std::uint16_t seen = 0;
    for (const std::uint16_t bits : seen_) seen = static_cast<std::uint16_t>(seen | bits);
    return have_14_bits(seen);
  }

 private:
  enum RowPart { kP, kR, kQ, kT, kS, kRowParts };
  static constexpr int kColumnParts = 3;  // A, B and C
  static_assert(std::size(kStridedRowParts) == kRowParts && std::size(kStridedColumnParts) == kColumnParts);
  static constexpr int kPointRows = StridedInput::kRows, kPointColumns = 5, kPoints = kPointRows * kPointColumns;
  static constexpr int kFirstRow[kRowParts] = {0, 2, 3, 4, 5}, kFirstColumn[kColumnParts] = {0, 2, 3};
  static constexpr int kNone = -1;
  static constexpr int kSites = 4;  // places for other work beside a point

  // The block whose points are to be made, if they are.
  struct Next {
    const std::int16_t* lines[kPointRows];
    std::int16_t* points;
  };

  // Row u of the points of a tile. On its way the bits of one of the lines are seen, and its next block asked for.
  template <int u>
  [[gnu::always_inline]] void transform(const Next& next, int tile) {
    using Points = Vector<std::uint16_t>::Type;
    constexpr int kElements = Vector<std::int16_t>::kElements;
    constexpr int kSeen = u == 3 ? 4 : u == 4 ? 3 : u == 5 ? 6 : u == 6 ? 5 : u;
#pragma GCC unroll 2
    for (int channel = 0; channel < kChannels; channel += kElements) {
      const auto at = [&](int of, int v) __attribute__((always_inline)) {
        return next.lines[of] + (4 * tile + v) * kChannels + channel;
      };
      Points seen = load_vector(seen_);
      // Unsigned, because whether inputs fit is known only behind them.
      const auto line = [&](int of, int v) __attribute__((always_inline)) {
        const auto values = load_vector(at(of, v));
        if (of == kSeen) seen |= reinterpret_cast<Points>(values ^ (values >> 15));
        return reinterpret_cast<Points>(values);
      };
      const auto d = [&](int v) __attribute__((always_inline)) -> Points {
        if constexpr (u == 0) return line(0, v) - line(4, v);
        if constexpr (u == 1) return line(1, v);
        if constexpr (u == 2) return line(2, v) - line(4, v);
        if constexpr (u == 3) return line(2, v) + line(4, v);
        if constexpr (u == 4) return line(3, v);
        if constexpr (u == 5) return line(6, v) - line(2, v);
        if constexpr (u == 6) return line(5, v);
      };
      const auto put = [&](int v, Points point) __attribute__((always_inline)) {
        auto* const to = next.points + kStridedPlaces.of[u][v] * kTileBlock + tile * kChannels + channel;
        store_vector<std::uint16_t>(reinterpret_cast<std::uint16_t*>(to), point);
      };
      const Points middle = d(2);
      put(0, d(0) - middle);
      put(1, d(1));
      put(2, middle);
      put(3, d(4) - middle);
      put(4, d(3));
      store_vector<std::uint16_t>(seen_, seen);
#pragma GCC unroll 4
      for (int v = 0; v < 4; ++v) __builtin_prefetch(at(kSeen, 4 * kTiles + v), 0, 2);
    }
  }

  // The products of a row of the sums. Beside them line kUsed of the outputs, which the rows before make possible,
  // those of the block before beside the first row; and a part of the next block's points.
  template <RowPart kRow, int kUsed>
  [[gnu::noinline]] void step(const PackedConv& conv, const std::int16_t* points, int convolution, const Target& to,
                              const Next& next) {
    const WinogradSums& sums = sums_[convolution];
    constexpr int kOfRow = kStridedRowParts[kRow], kRowPoints = kOfRow * kPointColumns;
    constexpr int kUnits = (kTiles + kRowPoints - 1) / kRowPoints;  // tiles a point
    constexpr int kHalf = kChannels / 2;
    int begin = 0;
    for (int part = 0; part < kColumnParts; ++part) {
      const int place = kStridedPlaces.of[kFirstRow[kRow]][kFirstColumn[part]];
      const int count = kOfRow * kStridedColumnParts[part];
      conv_points<1, kSites>(
          points + place * kTileBlock, conv, place, sums.at(kColumnParts * kRow + part),
          [&](int k, int, auto piece) __attribute__((always_inline)) {
            constexpr int site = piece;
            const int first = (begin + k) * kUnits;
            for (int tile = first; tile < first + kUnits && tile < kTiles; ++tile) {
              if constexpr (site % 2 == 0) {
                if (next.points == nullptr) continue;
                if constexpr (site == 0) transform<kFirstRow[kRow]>(next, tile);
                if constexpr (kOfRow == 2) {
                  if (site == 2) transform<kFirstRow[kRow] + 1>(next, tile);
                }
              } else if constexpr (kUsed != kNone) {
                const int i = tile * kChannels + (site == 1 ? 0 : kHalf);
#pragma GCC unroll 2
                for (int more = 0; more < kHalf; more += WinogradSums::kElements) use<kUsed>(sums, i + more, to);
              }
            }
          },
          count);
      begin += count;
    }
  }

  // Line i of the outputs, of elements from `element` on.
  template <int i>
  [[gnu::always_inline]] static void use(const WinogradSums& sums, int element, const Target& to) {
    WinogradSums::Sum of[kColumnParts];
#pragma GCC unroll 3
    for (int part = 0; part < kColumnParts; ++part) {
      const auto sum = [&](RowPart row)
                           __attribute__((always_inline)) { return sums.get(kColumnParts * row + part, element); };
      if constexpr (i == 0) of[part] = sum(kP) + sum(kQ) - sum(kR);
      if constexpr (i == 1) of[part] = sum(kT) + sum(kQ) + sum(kR);
      if constexpr (i == 2) of[part] = sum(kS) + sum(kQ) - sum(kR);
    }
    typename Target::Register outputs;
    to.begin(element, outputs);
    unrolled<kTile>([&](auto j) __attribute__((always_inline)) {
      to.template put<j()>(i, reinterpret_cast<WinogradSums::Signed>(of[j] + of[j + 1]) >> 1, outputs);
    });
  }

  std::int16_t* points_[2] = {};  // of a block and the next
  alignas(
      kVectorBytes) std::uint16_t seen_[Vector<std::uint16_t>::kElements] = {};  // bits of inputs, or of complements
  WinogradSums sums_[kConvolutions];
};

}  // namespace treenet::cpu::TREENET_ISA

// Winograd's algorithm for 3x3 convolutions of stride 2, for s16. Along a line, outputs 0 and 1 have taps g on inputs 0
// to 2 and 2 to 4. Their first and last taps are a convolution of stride 1 on inputs 0, 2 and 4, for which three
// products do instead of four, and the middle ones are on inputs 1 and 3:
//
//   outputs 0 and 1 = A + B and B + C    A = (d0 - d2) g0 + d1 g1    B = d2 (g0 + g2)    C = (d4 - d2) g2 + d3 g1
//
// So five points, d0 - d2, d1, d2, d4 - d2 and d3, go into three sums; and in both directions 25 points into nine, for
// 2 x 2 outputs that have 36 products directly. Points are sums of four inputs at most: they fit 16 bits where inputs
// have 14 (winograd_2x2.h). Nothing has to be divided.
#pragma once

#include "cpu/winograd.h"

namespace treenet::cpu::TREENET_ISA {

// The inputs of a pair of rows, which are read in the plane itself: only blocks at its edges are copied. Outside they
// are zero.
class StridedInput {
 public:
  static constexpr int kRows = 5;                                          // of inputs
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

// Its outputs are accumulators or s16 activations, `Out`. Pairs of rows go by blocks of tiles, and for several
// convolutions of the same input at once, whose points are made once, beside the products of the block before.
template <class Out, int kConvolutions>
class WinogradStrided {
 public:
  static constexpr int kTile = 2, kSide = 5;
  static constexpr std::int32_t kColumns = kTile * kTiles;  // of the output, of a block
  using Target = WinogradTarget<Out, kTile, kChannels, std::int16_t>;

  static WinogradStrided make(Arena& arena) {
    WinogradStrided made;
    for (std::int16_t*& points : made.points_) points = arena.take<std::int16_t>(kPoints * kTileBlock);
    for (WinogradSums& sums : made.sums_) sums = WinogradSums(arena, kParts * kParts);
    return made;
  }
  static constexpr std::size_t scratch_bytes() {
    return 2 * kPoints * kTileBlock * sizeof(std::int16_t) +
           kConvolutions * kParts * kParts * kTileBlock * sizeof(std::int32_t);
  }

  // A pair of rows, of blocks whose inputs are input.lines(k, lines). A convolution's target is that of the first
  // block. False if there are inputs of more than 14 bits, and then the outputs mean nothing.
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
          step<0, true>(*convs[i], points, i, targets[i].beyond((k - 1) * kColumns), next);
        } else {
          step<0, false>(*convs[i], points, i, to, next);
        }
        step<1, false>(*convs[i], points, i, to, next);
        step<2, true>(*convs[i], points, i, to, next);
      }
    }
    for (int i = 0; i < kConvolutions; ++i) {
      for (int element = 0; element < kTileBlock; element += WinogradSums::kElements) {
        use<1>(sums_[i], element, targets[i].beyond((blocks - 1) * kColumns));
      }
    }
    std::uint16_t seen = 0;
    for (const std::uint16_t bits : seen_) seen = static_cast<std::uint16_t>(seen | bits);
    return have_14_bits(seen);
  }

 private:
  static constexpr int kPoints = kSide * kSide;
  static constexpr int kParts = 3;               // A, B and C
  static constexpr int kOf[kParts] = {2, 1, 2};  // how many points are in each, one after the other
  static constexpr int kFirst[kParts] = {0, kOf[0], kOf[0] + kOf[1]};
  static constexpr int kSites = 4;  // places for other work beside a point

  // Whether kStridedPlace has the points of a sum together, and sums row by row.
  static constexpr bool follow_each_other() {
    int next = 0;
    for (int row = 0; row < kParts; ++row) {
      for (int part = 0; part < kParts; ++part) {
        for (int u = kFirst[row]; u < kFirst[row] + kOf[row]; ++u) {
          for (int v = kFirst[part]; v < kFirst[part] + kOf[part]; ++v) {
            if (kStridedPlace[u][v] != next++) return false;
          }
        }
      }
    }
    return next == kPoints;
  }

  // The block whose points are to be made, if they are.
  struct Next {
    const std::int16_t* lines[kSide];
    std::int16_t* points;
  };

  // Row u of the points of a tile. On its way the bits of one of the five lines are seen, and its next block asked for.
  template <int u>
  [[gnu::always_inline]] void transform(const Next& next, int tile) {
    using Points = Vector<std::uint16_t>::Type;
    constexpr int kElements = Vector<std::int16_t>::kElements, kSeen = u == 3 ? 4 : u == 4 ? 3 : u;
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
        if constexpr (u == 0) return line(0, v) - line(2, v);
        if constexpr (u == 1) return line(1, v);
        if constexpr (u == 2) return line(2, v);
        if constexpr (u == 3) return line(4, v) - line(2, v);
        if constexpr (u == 4) return line(3, v);
      };
      const auto put = [&](int v, Points point) __attribute__((always_inline)) {
        auto* const to = next.points + kStridedPlace[u][v] * kTileBlock + tile * kChannels + channel;
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

  // The products of row kRow of the sums. Beside them, the outputs that the rows before make possible, if kUses: after
  // the last row those of the first line, and beside the first row those of the second line of the block before; and a
  // part of the next block's points.
  template <int kRow, bool kUses>
  [[gnu::noinline]] void step(const PackedConv& conv, const std::int16_t* points, int convolution, const Target& to,
                              const Next& next) {
    const WinogradSums& sums = sums_[convolution];
    static_assert(follow_each_other());
    constexpr int kRowPoints = kOf[kRow] * kSide, kUnits = (kTiles + kRowPoints - 1) / kRowPoints;  // tiles a point
    constexpr int kHalf = kChannels / 2;
    int begin = 0;
    for (int part = 0; part < kParts; ++part) {
      const int place = kStridedPlace[kFirst[kRow]][kFirst[part]];
      conv_points<kSites>(
          points + place * kTileBlock, conv, place, sums.at(kParts * kRow + part),
          [&](int k) __attribute__((always_inline)) {
            const int site = k % kSites;
            const int first = (begin + k / kSites) * kUnits;
            for (int tile = first; tile < first + kUnits && tile < kTiles; ++tile) {
              if (site % 2 == 0) {
                if (next.points == nullptr) continue;
                if (kRow == 0) site == 0 ? transform<0>(next, tile) : transform<1>(next, tile);
                if (kRow == 1 && site == 0) transform<2>(next, tile);
                if (kRow == 2) site == 0 ? transform<3>(next, tile) : transform<4>(next, tile);
              } else if constexpr (kUses) {
                const int i = tile * kChannels + (site == 1 ? 0 : kHalf);
#pragma GCC unroll 2
                for (int more = 0; more < kHalf; more += WinogradSums::kElements) use<kRow == 0>(sums, i + more, to);
              }
            }
          },
          kOf[kRow] * kOf[part]);
      begin += kOf[kRow] * kOf[part];
    }
  }

  // Line i of the outputs, of elements from `element` on.
  template <int i>
  [[gnu::always_inline]] static void use(const WinogradSums& sums, int element, const Target& to) {
    WinogradSums::Sum of[kParts];
#pragma GCC unroll 3
    for (int part = 0; part < kParts; ++part) {
      of[part] = sums.get(kParts * i + part, element) + sums.get(kParts * (i + 1) + part, element);
    }
#pragma GCC unroll 2
    for (int j = 0; j < kTile; ++j) to.put(i, j, element, reinterpret_cast<WinogradSums::Signed>(of[j] + of[j + 1]));
  }

  std::int16_t* points_[2] = {};  // of a block and the next
  alignas(
      kVectorBytes) std::uint16_t seen_[Vector<std::uint16_t>::kElements] = {};  // bits of inputs, or of complements
  WinogradSums sums_[kConvolutions];
};

}  // namespace treenet::cpu::TREENET_ISA

// The probability tables of the entropy coder (SPEC §7.1), checked, and laid out twice: for decoding and for encoding.
//
// Everything is in flat arrays of small plain records, so that a loop over vectors of lanes can gather from them.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace treenet {

inline constexpr int kFrequencyBits = 16;  // the frequencies of a table add up to 2^16
inline constexpr int kMinimumFrequency = 32;
inline constexpr int kCellBits = 5;  // 32 slots a cell: no more than one boundary in each, by the minimum frequency
inline constexpr int kCellsPerTable = 1 << (kFrequencyBits - kCellBits);
inline constexpr int kTableStride = 256;    // frequencies a table in the constructor's argument; count + 1 of them used
inline constexpr int kMaximumTables = 256;  // a table index is a byte

// What a table is, apart from its frequencies.
struct TableInfo {
  uint32_t first;  // index of the table's first interval in `intervals()`, and of its first record in `divisors()`
  int16_t offset;  // the smallest value
  uint16_t count;  // of values; also the index of the escape among the table's intervals
};

// The slots cumulative .. cumulative + frequency - 1 of one value or of the escape.
struct Interval {
  uint16_t cumulative;
  uint16_t frequency;
};

// An interval with the reciprocal of its frequency, ⌊2^32 / frequency⌋: what the encoder needs of a symbol.
struct Divisor {
  uint32_t reciprocal;
  Interval interval;
};

class EntropyTables {
 public:
  // `frequencies` has a row of 256 for each table, zero after the escape. Throws Error(kInvalidArgument) that names
  // the table and the rule of SPEC §7.1 that it breaks.
  EntropyTables(std::span<const int32_t> offsets, std::span<const int32_t> counts,
                std::span<const uint16_t> frequencies);

  int size() const { return static_cast<int>(infos_.size()); }

  // Throws Error(kInvalidArgument) unless every index names a table.
  void check_indices(std::span<const uint8_t> indices) const;

  const TableInfo* infos() const { return infos_.data(); }  // [table]
  const uint8_t* cells() const { return cells_.data(); }    // [table][slot >> 5]: interval of the cell's first slot
  const Interval* intervals() const { return intervals_.data(); }  // [info.first + k]
  const Divisor* divisors() const { return divisors_.data(); }     // [info.first + k]

 private:
  std::vector<TableInfo> infos_;
  std::vector<uint8_t> cells_;
  std::vector<Interval> intervals_;
  std::vector<Divisor> divisors_;
};

}  // namespace treenet

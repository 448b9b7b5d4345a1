// The loops of the entropy coder over whole groups of symbols, one symbol for each lane (SPEC §7.3), and the records
// that they read. They are written plainly in rans_loops.cpp and, for eight lanes and more, once for each vector
// instruction set in cpu/rans_*.h; all of them give the same words, symbols and states.
//
// Files for different instruction sets include this header, so it holds plain data only: no inline function whose copy
// from one file could end up in another.
#pragma once

#include <cstddef>
#include <cstdint>

namespace treenet {

inline constexpr int kMaximumLog2Lanes = 5;
inline constexpr int kMaximumLanes = 1 << kMaximumLog2Lanes;
inline constexpr uint32_t kLowerBound = 1u << 16;  // states are kLowerBound .. 2^32 - 1 between symbols

inline constexpr int kFrequencyBits = 16;  // the frequencies of a table add up to 2^16
inline constexpr int kCellBits = 5;        // 32 slots a cell: no more than one boundary in each (SPEC §7.1)
inline constexpr int kCellsPerTable = 1 << (kFrequencyBits - kCellBits);
inline constexpr int kTableBits = 8;
inline constexpr int kTableStride = 1 << kTableBits;  // records a table; count + 1 of them are used

// What a table is, apart from its frequencies.
struct TableInfo {
  int16_t offset;  // the smallest value
  uint16_t count;  // of values; also the number k of the escape
};

// The slots cumulative .. cumulative + frequency - 1 of one value or of the escape, as cumulative + (frequency << 16).
using Interval = uint32_t;

// An interval with the reciprocal of its frequency, ⌊2^32 / frequency⌋: what the encoder needs of a symbol.
struct Divisor {
  uint32_t reciprocal;
  Interval interval;
};

// What the decoder needs of all tables.
struct DecodingTables {
  const TableInfo* infos;  // [table]
  const uint8_t* cells;    // [table][slot >> 5]: number of the interval of the cell's first slot; 3 bytes more follow
  const Interval* intervals;  // [table][k]; one more follows
};

struct CoderLoops {
  // Encodes groups of symbols, last to first. Puts words before `words`, where the block has room for all that the
  // groups can need and kWordSlack bytes more; returns their begin.
  using Encode = uint8_t* (*)(uint32_t* states, const Divisor* symbols, size_t groups, uint8_t* words);

  // Decodes groups of symbols, symbol i with table tables[i], until all are decoded, or a group has an escape, or the
  // next one may want more words than lie between `words` and `end`. Returns how many groups were decoded; only the
  // last of them can have escapes, whose symbols are then the first value after their table, modulo 2^16.
  using Decode = size_t (*)(const DecodingTables& all, uint32_t* states, const uint8_t* tables, int16_t* symbols,
                            size_t groups, const uint8_t*& words, const uint8_t* end);

  Encode encode[kMaximumLog2Lanes + 1];  // [log2 of the number of lanes]
  Decode decode[kMaximumLog2Lanes + 1];
};

inline constexpr size_t kWordSlack = 32;  // a vector of words is stored whole, whatever is due of it

// The plain loops, of L lanes (rans_loops.cpp). Tables of loops are constants, known when compiled (cpu/kernels.h).
template <int L>
uint8_t* encode_groups(uint32_t* states, const Divisor* symbols, size_t groups, uint8_t* words);
template <int L>
size_t decode_groups(const DecodingTables& all, uint32_t* states, const uint8_t* tables, int16_t* symbols,
                     size_t groups, const uint8_t*& words, const uint8_t* end);

inline constexpr CoderLoops kScalarLoops = {
    .encode = {encode_groups<1>, encode_groups<2>, encode_groups<4>, encode_groups<8>, encode_groups<16>,
               encode_groups<32>},
    .decode = {decode_groups<1>, decode_groups<2>, decode_groups<4>, decode_groups<8>, decode_groups<16>,
               decode_groups<32>},
};

}  // namespace treenet

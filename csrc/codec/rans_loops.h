// The loops of the entropy coder over whole groups of symbols, one symbol for each lane (SPEC §7.3), and the records
// that they read. They are written plainly in rans_loops.cpp and, for encoding on eight lanes and more, once for each
// vector instruction set in cpu/rans_*.h; all of them give the same words and states.
//
// Decoding has the plain loops only. It is look-ups more than arithmetic, and gathers are slow on many CPUs, above all
// where microcode guards them: loops that gathered took longer than these with eight lanes and with sixteen.
//
// Files for different instruction sets include this header, so it holds plain data only: no inline function whose copy
// from one file could end up in another.
#pragma once

#include <cstddef>
#include <cstdint>

#include "codec/crc32_fold.h"

namespace treenet {

inline constexpr int kMaximumLog2Lanes = 5;
inline constexpr int kMaximumLanes = 1 << kMaximumLog2Lanes;
inline constexpr uint32_t kLowerBound = 1u << 16;  // states are kLowerBound .. 2^32 - 1 between symbols

inline constexpr int kFrequencyBits = 16;  // the frequencies of a table add up to 2^16
inline constexpr int kCellBits = 8;        // 256 slots a cell of the decoder's look-up
inline constexpr int kCellsPerTable = 1 << (kFrequencyBits - kCellBits);
inline constexpr int kTableBits = 8;
inline constexpr int kTableStride = 1 << kTableBits;  // records a table; count + 1 of them are used

// What a table is, apart from its frequencies.
struct TableInfo {
  int16_t offset;  // the smallest value
  uint16_t count;  // of values; also the number k of the escape
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

// What the decoder needs of a table: all in one place, and small, so that the tables in use stay near the core.
struct alignas(64) DecodingTable {
  uint8_t cells[kCellsPerTable];         // [slot >> kCellBits]: number of the interval of the cell's first slot
  Interval intervals[kTableStride + 1];  // [k]; one can look beyond the last of them
  TableInfo info;
};

// What an instruction set has its own loops for.
struct CoderLoops {
  // Encodes groups of symbols, last to first. Puts words before `words`, where the block has room for all that the
  // groups can need and kWordSlack bytes more; returns their begin.
  using Encode = uint8_t* (*)(uint32_t* states, const Divisor* symbols, size_t groups, uint8_t* words);

  Encode encode[kMaximumLog2Lanes + 1];  // [log2 of the number of lanes]
  CrcFold fold_crc;                      // or null
};

inline constexpr size_t kWordSlack = 32;  // a vector of words is stored whole, whatever is due of it

// The plain loops, of L lanes (rans_loops.cpp). Tables of loops are constants, known when compiled (cpu/kernels.h).
template <int L>
uint8_t* encode_groups(uint32_t* states, const Divisor* symbols, size_t groups, uint8_t* words);

inline constexpr CoderLoops kScalarLoops = {
    .encode = {encode_groups<1>, encode_groups<2>, encode_groups<4>, encode_groups<8>, encode_groups<16>,
               encode_groups<32>},
    .fold_crc = nullptr,
};

// Decodes groups of symbols, symbol i with table tables[i], until all are decoded, or a group has an escape, or the
// next one may want more words than lie between `words` and `end`. Returns how many groups were decoded; only the last
// of them can have escapes, whose symbols are then the first value after their table, modulo 2^16.
using Decode = size_t (*)(const DecodingTable* all, uint32_t* states, const uint8_t* tables, int16_t* symbols,
                          size_t groups, const uint8_t*& words, const uint8_t* end);

extern const Decode kDecode[kMaximumLog2Lanes + 1];  // [log2 of the number of lanes]

}  // namespace treenet

// The loops of the entropy coder over whole groups of symbols, one symbol for each lane (SPEC §7.3), and the records
// that they read. They are written plainly in rans_loops.cpp and, for encoding on many lanes, once for each vector
// instruction set in cpu/rans_*.h; all of them give the same words and states.
//
// A plain loop waits for its states: what looks up the next symbols is done meanwhile, as long as one loop has both.
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
inline constexpr int kLeastCellBits = 8;   // a cell of the decoder's look-up has 2^8 slots,
inline constexpr int kMostCellBits = 13;   // or up to 2^13, where intervals are wide
inline constexpr int kMaximumCells = 1 << (kFrequencyBits - kLeastCellBits);
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

// An interval with the reciprocal of its frequency f, ⌈2^64 / f⌉: what the plain encoder needs of a symbol.
struct Divisor {
  uint64_t reciprocal;
  Interval interval;
};

// The same with r = ⌊2^32 / f⌋, which is the upper half of ⌈2^64 / f⌉ for every f from 2 to 2^16 - 1: what vectors
// take. The quotient ⌊state * r / 2^32⌋ is right or one too small, because
//     0 <= state / f - state * r / 2^32 = state / 2^32 * (2^32 / f - r) < 1.
struct NarrowDivisor {
  uint32_t reciprocal;
  Interval interval;
};

struct EncodingRecords {
  const TableInfo* infos;   // [table]
  const Divisor* divisors;  // [table][k]
};

// Where the decoder begins to look: the interval of a cell's first slot, and the frequency of the one after it.
struct Cell {
  uint16_t cumulative;
  uint16_t frequency;
  uint16_t next_frequency;
  int16_t symbol;  // that the interval stands for
};

// What the decoder needs of a table: all in one place, and what it mostly reads at the front, so that the tables in use
// stay near the core. In symbols an escape is the first value after the table, modulo 2^16, which is no value of the
// table even so.
struct alignas(64) DecodingTable {
  TableInfo info;
  int16_t escape;
  uint8_t cell_bits;
  Cell cells[kMaximumCells];               // [slot >> cell_bits]
  uint16_t frequencies[kTableStride + 1];  // [k]; one can look beyond the last of them
};

// Encodes groups of symbols, symbol i with table tables[i], last group to first, until all are encoded or a group has
// an escape. Returns how many groups are left; only the last one encoded can have escapes. Puts words before `words`,
// where there is room for one a symbol.
using Encode = size_t (*)(const EncodingRecords& all, uint32_t* states, const uint8_t* tables, const int16_t* symbols,
                          size_t groups, uint8_t*& words);

extern const Encode kEncode[kMaximumLog2Lanes + 1];  // [log2 of the number of lanes]

// Decodes groups of symbols, symbol i with table tables[i], until all are decoded, or a group has an escape, or the
// next one may want more words than lie between `words` and `end`. Returns how many groups were decoded; only the last
// of them can have escapes.
using Decode = size_t (*)(const DecodingTable* all, uint32_t* states, const uint8_t* tables, int16_t* symbols,
                          size_t groups, const uint8_t*& words, const uint8_t* end);

extern const Decode kDecode[kMaximumLog2Lanes + 1];  // [log2 of the number of lanes]

// What an instruction set has its own loops for.
struct CoderLoops {
  // Encodes groups of symbols, last to first. Puts words before `words`, where the block has room for all that the
  // groups can need and kWordSlack bytes more; returns their begin.
  using EncodeVectors = uint8_t* (*)(uint32_t* states, const NarrowDivisor* symbols, size_t groups, uint8_t* words);

  EncodeVectors encode[kMaximumLog2Lanes + 1];  // [log2 of the number of lanes], or null: the plain loop does it
  CrcFold fold_crc;                             // or null
};

inline constexpr size_t kWordSlack = 32;  // a vector of words is stored whole, whatever is due of it

inline constexpr CoderLoops kScalarLoops = {};

}  // namespace treenet

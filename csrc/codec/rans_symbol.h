// One symbol of the entropy coder (SPEC §7.3). Of the platform's baseline files only.
#pragma once

#include "codec/bytes.h"
#include "codec/rans_loops.h"

namespace treenet {

inline uint32_t cumulative_of(Interval interval) { return interval & 0xFFFF; }
inline uint32_t frequency_of(Interval interval) { return interval >> 16; }

// Encodes a symbol onto a state. The word is stored in any case, in the two bytes before `words`, and counts if it was
// due: no branch, since nothing predicts it.
inline uint32_t encode_symbol(uint32_t state, const Divisor& divisor, uint8_t*& words) {
  const uint32_t frequency = frequency_of(divisor.interval);
  const uint32_t full = state >= frequency << 16;
  store_le16(words - 2, static_cast<uint16_t>(state));
  words -= 2 * full;
  state >>= 16 * full;
  // With the reciprocal r = ⌊2^32 / f⌋, the quotient ⌊state * r / 2^32⌋ is right or one too small, because
  //     0 <= state / f - state * r / 2^32 = state / 2^32 * (2^32 / f - r) < 1.
  uint32_t quotient = static_cast<uint32_t>(static_cast<uint64_t>(state) * divisor.reciprocal >> 32);
  uint32_t remainder = state - quotient * frequency;
  const uint32_t small = remainder >= frequency;
  quotient += small;
  remainder -= frequency & (0 - small);
  return (quotient << 16) + remainder + cumulative_of(divisor.interval);
}

// What a symbol decodes to before escapes are read: a value of the table, or the first one after it for an escape.
// That may wrap around 16 bits, and is no value of the table even so.
inline int16_t value_of(const TableInfo& info, uint32_t k) { return static_cast<int16_t>(info.offset + k); }

// `b` where `which` is 1, `a` where it is 0. Arithmetic in place of a branch: nothing predicts what a symbol needs.
inline uint32_t choose(uint32_t which, uint32_t a, uint32_t b) { return a ^ ((a ^ b) & (0 - which)); }

// Decodes a symbol from a state, which may then want a word.
inline int16_t decode_symbol(const DecodingTables& all, uint32_t table, uint32_t& state) {
  const uint32_t slot = state & 0xFFFF, rest = state >> 16;
  const uint32_t first = all.cells[table * kCellsPerTable + (slot >> kCellBits)];
  // Both intervals that a cell can have are tried at once, since a second look-up would wait for the comparison.
  const Interval* intervals = &all.intervals[table * kTableStride + first];
  const uint32_t above0 = slot - cumulative_of(intervals[0]), above1 = slot - cumulative_of(intervals[1]);
  const uint32_t next = above0 >= frequency_of(intervals[0]);
  state = choose(next, frequency_of(intervals[0]) * rest + above0, frequency_of(intervals[1]) * rest + above1);
  return value_of(all.infos[table], first + next);
}

// A state that took in the word, if it wanted one.
inline uint32_t filled(uint32_t state, uint32_t due, uint16_t word) { return choose(due, state, state << 16 | word); }

}  // namespace treenet

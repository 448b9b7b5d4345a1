// One symbol of the entropy coder (SPEC §7.3). Of the platform's baseline files only.
#pragma once

#include "codec/bytes.h"
#include "codec/rans_loops.h"

namespace treenet {

// `yes` where a < b, else `no`. Nothing predicts what a symbol needs, and compilers make branches even of what should
// be moves under a condition.
inline uint32_t if_less(uint32_t a, uint32_t b, uint32_t yes, uint32_t no) {
#if defined(__x86_64__)
  __asm__("cmp %2, %1\n\tcmovb %3, %0" : "+r"(no) : "r"(a), "ri"(b), "r"(yes) : "cc");
  return no;
#else
  return a < b ? yes : no;
#endif
}

// Encodes a symbol onto a state. The word is stored in any case, in the two bytes before `words`, and counts if it was
// due.
inline uint32_t encode_symbol(uint32_t state, const Divisor& divisor, uint8_t*& words) {
  const uint32_t frequency = divisor.interval.frequency;
  const uint32_t full = frequency << 16;
  store_le16(words - 2, static_cast<uint16_t>(state));
  words -= 2 * (state >= full);
  state = if_less(state, full, state, state >> 16);
  // With the reciprocal r = ⌊2^32 / f⌋, the quotient ⌊state * r / 2^32⌋ is right or one too small, because
  //     0 <= state / f - state * r / 2^32 = state / 2^32 * (2^32 / f - r) < 1.
  const auto quotient = static_cast<uint32_t>(static_cast<uint64_t>(state) * divisor.reciprocal >> 32);
  const uint32_t remainder = state - quotient * frequency;
  // (q << 16) + state - q * f + cumulative, for the quotient or for one more.
  const uint32_t step = (1u << 16) - frequency;
  const uint32_t encoded = state + divisor.interval.cumulative + quotient * step;
  return encoded + if_less(remainder, frequency, 0, step);
}

// What a symbol decodes to before escapes are read: a value of the table, or the first one after it for an escape.
// That may wrap around 16 bits, and is no value of the table even so.
inline int16_t value_of(const TableInfo& info, size_t k) { return static_cast<int16_t>(info.offset + k); }

// Decodes a symbol's k from a state, which may then want a word.
inline size_t decode_symbol(const DecodingTable& table, uint32_t& state) {
  const uint32_t slot = state & 0xFFFF, rest = state >> 16;
  size_t k = table.cells[slot >> kCellBits];
  uint32_t above = slot - table.intervals[k].cumulative;
  uint32_t frequency = table.intervals[k].frequency, second = table.intervals[k + 1].frequency;
  // Cells with more than one boundary are narrow intervals', so that few symbols come here.
  while (above >= frequency + second) [[unlikely]] {
    above -= frequency;
    ++k;
    frequency = second;
    second = table.intervals[k + 1].frequency;
  }
  // Both intervals that are left are tried at once, since a second look-up would wait for the comparison.
  state = if_less(above, frequency, frequency * rest + above, second * rest + (above - frequency));
  return k + (above >= frequency);
}

// Takes the next word into a state that wants one.
inline void fill(uint32_t& state, const uint8_t*& words) {
  const uint32_t filled = state << 16 | load_le16(words);
#if defined(__x86_64__)
  size_t due = 0;  // counted by the carry of the comparison
  __asm__("cmp $0x10000, %0\n\tcmovb %2, %0\n\tadc $0, %1" : "+r"(state), "+r"(due) : "r"(filled) : "cc");
  words += 2 * due;
#else
  words += 2 * (state < kLowerBound);
  state = state < kLowerBound ? filled : state;
#endif
}

}  // namespace treenet

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
  __extension__ using Product = unsigned __int128;
  const uint32_t frequency = divisor.interval.frequency;
  const uint32_t full = frequency << 16;
  store_le16(words - 2, static_cast<uint16_t>(state));
  words -= 2 * (state >= full);
  state = if_less(state, full, state, state >> 16);
  // With the reciprocal r = (2^64 + e) / f, 0 <= e < f, the quotient ⌊state * r / 2^64⌋ is right, because
  //     0 <= state * r / 2^64 - state / f = state * e / (f * 2^64) < 2^32 * 2^16 / (f * 2^64) < 1 / f.
  const auto quotient = static_cast<uint32_t>(static_cast<Product>(state) * divisor.reciprocal >> 64);
  // (q << 16) + state - q * f + cumulative
  return state + divisor.interval.cumulative + quotient * ((1u << 16) - frequency);
}

inline bool is_escape(const TableInfo& info, int symbol) {
  return static_cast<uint32_t>(symbol - info.offset) >= info.count;  // huge for symbols below the table
}

// Looks a symbol up and encodes it. One outside its table is an escape, and sets `escapes`.
inline __attribute__((always_inline)) uint32_t encode_next(const EncodingRecords& all, uint8_t table, int16_t symbol,
                                                           uint32_t state, uint8_t*& words, bool& escapes) {
  const TableInfo& info = all.infos[table];
  auto k = static_cast<uint32_t>(symbol - info.offset);
  if (is_escape(info, symbol)) [[unlikely]] {
    k = info.count;
    escapes = true;
  }
  return encode_symbol(state, all.divisors[table * kTableStride + k], words);
}

// Decodes a symbol from a state, which may then want a word.
inline int16_t decode_symbol(const DecodingTable& table, uint32_t& state) {
  const uint32_t slot = state & 0xFFFF, rest = state >> 16;
  const Cell& cell = table.cells[slot >> table.cell_bits];
  uint32_t above = slot - cell.cumulative;
  uint32_t frequency = cell.frequency, next = cell.next_frequency;
  int symbol = cell.symbol;
  while (above >= frequency + next)
      [[unlikely]] {  // few slots, except where all intervals are narrow (entropy_tables.cpp)
    above -= frequency;
    ++symbol;
    frequency = next;
    next = table.frequencies[symbol - table.info.offset + 1];
  }
  // Both intervals that are left are tried at once, since a second look-up would wait for the comparison.
  state = if_less(above, frequency, frequency * rest + above, next * rest + (above - frequency));
  return static_cast<int16_t>(symbol + (above >= frequency));
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

// Decodes a symbol with the word that it takes, where there is one. An escape sets `escapes`.
inline __attribute__((always_inline)) int16_t decode_next(const DecodingTable& table, uint32_t& state,
                                                          const uint8_t*& words, bool& escapes) {
  const int16_t symbol = decode_symbol(table, state);
  if (symbol == table.escape) [[unlikely]]
    escapes = true;
  fill(state, words);
  return symbol;
}

}  // namespace treenet

#include "codec/rans_loops.h"

#include <algorithm>

#include "codec/rans_symbol.h"

namespace treenet {

template <int L>
uint8_t* encode_groups(uint32_t* states, const Divisor* symbols, size_t groups, uint8_t* words) {
  uint32_t x[L];
  std::copy_n(states, L, x);
  for (size_t group = groups; group-- > 0;) {
#pragma GCC unroll 8
    for (int lane = L - 1; lane >= 0; --lane) x[lane] = encode_symbol(x[lane], symbols[group * L + lane], words);
  }
  std::copy_n(x, L, states);
  return words;
}

template <int L>
size_t decode_groups(const DecodingTables& all, uint32_t* states, const uint8_t* tables, int16_t* symbols,
                     size_t groups, const uint8_t*& words, const uint8_t* end) {
  const DecodingTables records = all;
  const uint8_t* next_word = words;
  uint32_t x[L];
  std::copy_n(states, L, x);
  size_t group = 0;
  bool escapes = false;
  for (; group < groups && !escapes && end - next_word >= 2 * L; ++group, tables += L, symbols += L) {
#pragma GCC unroll 8
    for (int lane = 0; lane < L; ++lane) {
      const TableInfo& info = records.infos[tables[lane]];
      uint32_t state = x[lane];
      const int16_t symbol = decode_symbol(records, tables[lane], state);
      const uint32_t due = state < kLowerBound;
      x[lane] = filled(state, due, load_le16(next_word));
      next_word += 2 * due;
      symbols[lane] = symbol;
      escapes |= symbol == value_of(info, info.count);
    }
  }
  std::copy_n(x, L, states);
  words = next_word;
  return group;
}

// All that kScalarLoops names.
#define TREENET_LOOPS(L)                                                                               \
  template uint8_t* encode_groups<L>(uint32_t*, const Divisor*, size_t, uint8_t*);                     \
  template size_t decode_groups<L>(const DecodingTables&, uint32_t*, const uint8_t*, int16_t*, size_t, \
                                   const uint8_t*&, const uint8_t*);
TREENET_LOOPS(1)
TREENET_LOOPS(2)
TREENET_LOOPS(4)
TREENET_LOOPS(8)
TREENET_LOOPS(16)
TREENET_LOOPS(32)

}  // namespace treenet

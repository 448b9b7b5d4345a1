#include "codec/rans_loops.h"

#include <algorithm>
#include <utility>

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

// All that kScalarLoops names.
template uint8_t* encode_groups<1>(uint32_t*, const Divisor*, size_t, uint8_t*);
template uint8_t* encode_groups<2>(uint32_t*, const Divisor*, size_t, uint8_t*);
template uint8_t* encode_groups<4>(uint32_t*, const Divisor*, size_t, uint8_t*);
template uint8_t* encode_groups<8>(uint32_t*, const Divisor*, size_t, uint8_t*);
template uint8_t* encode_groups<16>(uint32_t*, const Divisor*, size_t, uint8_t*);
template uint8_t* encode_groups<32>(uint32_t*, const Divisor*, size_t, uint8_t*);

namespace {

// A symbol with the word that it takes, where there is one.
inline __attribute__((always_inline)) int16_t decode_next(const DecodingTable& table, uint32_t& state,
                                                          const uint8_t*& next_word, bool& escapes) {
  const size_t k = decode_symbol(table, state);
  if (k == table.info.count) [[unlikely]]
    escapes = true;
  fill(state, next_word);
  return value_of(table.info, k);
}

// Named one by one, lanes are registers to the compiler; in a loop over them they are memory.
template <size_t... kLane>
size_t decode_groups(std::index_sequence<kLane...>, const DecodingTable* all, uint32_t* states, const uint8_t* tables,
                     int16_t* symbols, size_t groups, const uint8_t*& words, const uint8_t* end) {
  constexpr int kLanes = sizeof...(kLane);
  const uint8_t* next_word = words;
  uint32_t x[] = {states[kLane]...};
  size_t group = 0;
  bool escapes = false;
  for (; group < groups && !escapes && end - next_word >= 2 * kLanes; ++group, tables += kLanes, symbols += kLanes) {
    ((symbols[kLane] = decode_next(all[tables[kLane]], x[kLane], next_word, escapes)), ...);
  }
  ((states[kLane] = x[kLane]), ...);
  words = next_word;
  return group;
}

template <int L>
size_t decode_groups(const DecodingTable* all, uint32_t* states, const uint8_t* tables, int16_t* symbols, size_t groups,
                     const uint8_t*& words, const uint8_t* end) {
  return decode_groups(std::make_index_sequence<L>(), all, states, tables, symbols, groups, words, end);
}

}  // namespace

const Decode kDecode[] = {decode_groups<1>, decode_groups<2>,  decode_groups<4>,
                          decode_groups<8>, decode_groups<16>, decode_groups<32>};

}  // namespace treenet

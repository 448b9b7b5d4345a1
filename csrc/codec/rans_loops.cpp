#include "codec/rans_loops.h"

#include <utility>

#include "codec/rans_symbol.h"

namespace treenet {
namespace {

// Named one by one, lanes are registers to the compiler; in a loop over them they are memory.
template <size_t... kLane>
size_t encode_groups(std::index_sequence<kLane...>, const EncodingRecords& all, uint32_t* states, const uint8_t* tables,
                     const int16_t* symbols, size_t groups, uint8_t*& words) {
  constexpr size_t kLanes = sizeof...(kLane);
  const EncodingRecords records = all;
  uint8_t* begin = words;
  uint32_t x[] = {states[kLane]...};
  bool escapes = false;
  while (groups > 0 && !escapes) {
    --groups;
    const uint8_t* table = tables + groups * kLanes;
    const int16_t* symbol = symbols + groups * kLanes;
    ((x[kLanes - 1 - kLane] = encode_next(records, table[kLanes - 1 - kLane], symbol[kLanes - 1 - kLane],
                                          x[kLanes - 1 - kLane], begin, escapes)),
     ...);
  }
  ((states[kLane] = x[kLane]), ...);
  words = begin;
  return groups;
}

template <int L>
size_t encode_groups(const EncodingRecords& all, uint32_t* states, const uint8_t* tables, const int16_t* symbols,
                     size_t groups, uint8_t*& words) {
  return encode_groups(std::make_index_sequence<L>(), all, states, tables, symbols, groups, words);
}

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

const Encode kEncode[] = {encode_groups<1>, encode_groups<2>,  encode_groups<4>,
                          encode_groups<8>, encode_groups<16>, encode_groups<32>};

const Decode kDecode[] = {decode_groups<1>, decode_groups<2>,  decode_groups<4>,
                          decode_groups<8>, decode_groups<16>, decode_groups<32>};

}  // namespace treenet

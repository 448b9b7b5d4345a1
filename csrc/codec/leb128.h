// LEB128 (SPEC §7.3): 7 bits a byte, least significant first, the top bit set on all bytes but the last, and no more
// bytes than needed, so that every number has one form.
#pragma once

#include <cassert>
#include <cstdint>
#include <optional>
#include <vector>

namespace treenet {

inline constexpr int kLeb128MaximumBytes = 4;

struct Leb128 {
  uint8_t bytes[kLeb128MaximumBytes];
  int size;
};

// `value` is below 2^28.
inline Leb128 to_leb128(uint32_t value) {
  assert(value < 1u << (7 * kLeb128MaximumBytes));
  Leb128 result{};
  while (value >= 0x80) {
    result.bytes[result.size++] = static_cast<uint8_t>(value | 0x80);
    value >>= 7;
  }
  result.bytes[result.size++] = static_cast<uint8_t>(value);
  return result;
}

inline void append_leb128(std::vector<uint8_t>& out, uint32_t value) {
  const Leb128 number = to_leb128(value);
  for (int i = 0; i < number.size; ++i) out.push_back(number.bytes[i]);
}

// Takes bytes from `next_byte()`, which throws where there are none. Nothing if the number is longer than
// `maximum_bytes` (at most 4) or than it has to be.
template <typename NextByte>
std::optional<uint32_t> read_leb128(int maximum_bytes, NextByte next_byte) {
  uint32_t value = 0;
  for (int i = 0; i < maximum_bytes; ++i) {
    const uint8_t byte = next_byte();
    value |= static_cast<uint32_t>(byte & 0x7F) << (7 * i);
    if (byte < 0x80) {
      if (byte == 0 && i > 0) return std::nullopt;
      return value;
    }
  }
  return std::nullopt;
}

}  // namespace treenet

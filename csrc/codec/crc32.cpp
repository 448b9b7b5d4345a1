#include "codec/crc32.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>

#include "codec/bytes.h"

namespace treenet {
namespace {

constexpr uint32_t kPolynomial = 0xEDB88320u;  // 0x04C11DB7, bits reflected

// Slicing by 8: table[n][b] is the remainder of byte b followed by n zero bytes, so eight bytes at a time take eight
// independent look-ups.
using Tables = std::array<std::array<uint32_t, 256>, 8>;

constexpr Tables make_tables() {
  Tables table{};
  for (uint32_t byte = 0; byte < 256; ++byte) {
    uint32_t remainder = byte;
    for (int bit = 0; bit < 8; ++bit) remainder = remainder >> 1 ^ (remainder & 1 ? kPolynomial : 0);
    table[0][byte] = remainder;
  }
  for (size_t n = 1; n < 8; ++n) {
    for (size_t byte = 0; byte < 256; ++byte) {
      const uint32_t before = table[n - 1][byte];
      table[n][byte] = before >> 8 ^ table[0][before & 0xFF];
    }
  }
  return table;
}

constexpr Tables kTable = make_tables();

uint32_t remainder_after(uint32_t remainder, std::span<const uint8_t> bytes) {
  const uint8_t* p = bytes.data();
  size_t left = bytes.size();
  for (; left >= 8; left -= 8, p += 8) {
    const uint32_t low = load_le32(p) ^ remainder;
    const uint32_t high = load_le32(p + 4);
    remainder = kTable[7][low & 0xFF] ^ kTable[6][low >> 8 & 0xFF] ^ kTable[5][low >> 16 & 0xFF] ^
                kTable[4][low >> 24] ^ kTable[3][high & 0xFF] ^ kTable[2][high >> 8 & 0xFF] ^
                kTable[1][high >> 16 & 0xFF] ^ kTable[0][high >> 24];
  }
  for (; left > 0; --left, ++p) remainder = remainder >> 8 ^ kTable[0][(remainder ^ *p) & 0xFF];
  return remainder;
}

}  // namespace

void Crc32::update(std::span<const uint8_t> bytes) {
  const size_t blocks = fold_ == nullptr ? 0 : bytes.size() / kCrcFoldBlock;
  if (blocks > 0) {
    std::array<uint8_t, kCrcFolded> folded;
    fold_(remainder_, bytes.data(), blocks, folded.data());
    remainder_ = remainder_after(0, folded);
  }
  remainder_ = remainder_after(remainder_, bytes.subspan(blocks * kCrcFoldBlock));
}

void Crc32::update(std::span<const int16_t> symbols) {
  if constexpr (std::endian::native == std::endian::little) {
    update(std::span(reinterpret_cast<const uint8_t*>(symbols.data()), symbols.size_bytes()));
  } else {
    std::array<uint8_t, 512> buffer;
    while (!symbols.empty()) {
      const auto part = symbols.first(std::min(symbols.size(), buffer.size() / 2));
      for (size_t i = 0; i < part.size(); ++i) store_le16(&buffer[2 * i], static_cast<uint16_t>(part[i]));
      update(std::span<const uint8_t>(buffer).first(2 * part.size()));
      symbols = symbols.subspan(part.size());
    }
  }
}

}  // namespace treenet

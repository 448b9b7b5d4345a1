#include <cstdint>
#include <string_view>
#include <vector>

#include "check.h"
#include "codec/crc32.h"
#include "rans_oracle.h"

namespace treenet {
namespace {

std::vector<uint8_t> bytes_of(std::string_view text) { return {text.begin(), text.end()}; }

TEST("the check value of CRC-32/ISO-HDLC") {
  CHECK_EQUAL(crc32(bytes_of("123456789")), 0xCBF43926u);
  CHECK_EQUAL(crc32({}), 0u);
  CHECK_EQUAL(crc32(bytes_of("The quick brown fox jumps over the lazy dog")), 0x414FA339u);
}

TEST("in parts of any size as in one") {
  std::vector<uint8_t> bytes(1000);
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<uint8_t>(i * i + 7 * i);
  const std::span<const uint8_t> all(bytes);
  for (size_t cut = 0; cut <= 40; ++cut) {
    Crc32 crc;
    crc.update(all.first(cut));
    crc.update(all.subspan(cut));
    CHECK_EQUAL(crc.value(), crc32(all));
  }
}

TEST("every instruction set gives the same, of any length and alignment, in parts or in one") {
  testing::Random random(1);
  std::vector<uint8_t> bytes(700);
  for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random.below(256));
  for (const CoderLoops* loops : testing::all_loops()) {
    for (size_t begin = 0; begin < 64; ++begin) {
      for (size_t size = 0; begin + size <= bytes.size(); ++size) {
        const auto part = std::span<const uint8_t>(bytes).subspan(begin, size);
        Crc32 whole(loops->fold_crc), halves(loops->fold_crc);
        whole.update(part);
        halves.update(part.first(size / 2));
        halves.update(part.subspan(size / 2));
        CHECK_EQUAL(whole.value(), crc32(part));
        CHECK_EQUAL(halves.value(), crc32(part));
      }
    }
  }
}

TEST("symbols count as little-endian 16-bit numbers") {
  const std::vector<int16_t> symbols = {0x3231, 0x3433, -1, -32768};
  const std::vector<uint8_t> bytes = {'1', '2', '3', '4', 0xFF, 0xFF, 0x00, 0x80};
  Crc32 crc;
  crc.update(std::span<const int16_t>(symbols));
  CHECK_EQUAL(crc.value(), crc32(bytes));
}

}  // namespace
}  // namespace treenet

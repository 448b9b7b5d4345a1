// CRC-32/ISO-HDLC, the checksum of zlib and PNG (SPEC §8).
#pragma once

#include <cstdint>
#include <span>

namespace treenet {

class Crc32 {
 public:
  void update(std::span<const uint8_t> bytes);

  // The symbols' bytes, little-endian on every machine.
  void update(std::span<const int16_t> symbols);

  uint32_t value() const { return ~remainder_; }

 private:
  uint32_t remainder_ = 0xFFFFFFFFu;  // of the bytes so far, reflected, before the final complement
};

inline uint32_t crc32(std::span<const uint8_t> bytes) {
  Crc32 crc;
  crc.update(bytes);
  return crc.value();
}

}  // namespace treenet

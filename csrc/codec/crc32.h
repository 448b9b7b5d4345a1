// CRC-32/ISO-HDLC, the checksum of zlib and PNG (SPEC §8).
#pragma once

#include <cstdint>
#include <span>

#include "codec/crc32_fold.h"

namespace treenet {

class Crc32 {
 public:
  // Without a fold, in plain arithmetic. The value is the same.
  explicit Crc32(CrcFold fold = nullptr) : fold_(fold) {}

  void update(std::span<const uint8_t> bytes);

  // The symbols' bytes, little-endian on every machine.
  void update(std::span<const int16_t> symbols);

  uint32_t value() const { return ~remainder_; }

 private:
  CrcFold fold_;
  uint32_t remainder_ = 0xFFFFFFFFu;  // of the bytes so far, reflected, before the final complement
};

inline uint32_t crc32(std::span<const uint8_t> bytes) {
  Crc32 crc;
  crc.update(bytes);
  return crc.value();
}

}  // namespace treenet

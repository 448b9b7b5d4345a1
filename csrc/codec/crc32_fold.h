// The part of the checksum that an instruction set may have an instruction for. Plain data only, as in rans_loops.h.
#pragma once

#include <cstddef>
#include <cstdint>

namespace treenet {

inline constexpr size_t kCrcFoldBlock = 64;
inline constexpr size_t kCrcFolded = 16;

// Folds blocks of 64 bytes, one at least, that follow a remainder (Crc32's, before the final complement), into the 16
// bytes which have the same remainder after 0.
using CrcFold = void (*)(uint32_t remainder, const uint8_t* bytes, size_t blocks, uint8_t* folded);

}  // namespace treenet

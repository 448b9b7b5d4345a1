// The probability tables of the entropy coder (SPEC §7.1), checked, and laid out twice: for decoding and for encoding.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "codec/rans_loops.h"

namespace treenet {

inline constexpr int kMinimumFrequency = 32;
inline constexpr int kMaximumTables = 256;  // a table index is a byte

class EntropyTables {
 public:
  // `frequencies` has a row of 256 for each table, zero after the escape. Throws Error(kInvalidArgument) that names
  // the table and the rule of SPEC §7.1 that it breaks.
  EntropyTables(std::span<const int32_t> offsets, std::span<const int32_t> counts,
                std::span<const uint16_t> frequencies);

  int size() const { return static_cast<int>(infos_.size()); }

  // Throws Error(kInvalidArgument) unless every index names a table.
  void check_indices(std::span<const uint8_t> indices) const;

  const TableInfo* infos() const { return infos_.data(); }            // [table]
  const DecodingTable* decoding() const { return decoding_.data(); }  // [table]
  // What the encoder divides by, plainly and by vectors: [table][k].
  const Divisor* divisors() const { return divisors_.data(); }
  const NarrowDivisor* narrow_divisors() const { return narrow_divisors_.data(); }

 private:
  std::vector<TableInfo> infos_;
  std::vector<DecodingTable> decoding_;
  std::vector<Divisor> divisors_;
  std::vector<NarrowDivisor> narrow_divisors_;
};

}  // namespace treenet

// The entropy coder (SPEC §7.3): interleaved rANS lanes with escapes, one segment at a time.
//
// Encoding runs backwards through a segment, so it is one call with all stages; decoding runs forwards, a stage at a
// time, because the tables of a stage follow from the symbols of those before it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "codec/crc32.h"
#include "codec/entropy_tables.h"
#include "codec/rans_loops.h"

namespace treenet {

inline constexpr size_t kSymbolsPerLane = 16384;  // a lane more has to be worth its three bytes

// The symbols of one stage in coding order and, for each of them, the index of its table.
struct StageSymbols {
  std::span<const int16_t> symbols;
  std::span<const uint8_t> tables;
};

// Appends one segment to `out`. Throws Error(kInvalidArgument) on table indices that do not exist and on spans of
// different lengths.
void encode_segment(const EntropyTables& tables, const CoderLoops& loops, std::span<const StageSymbols> stages,
                    std::vector<uint8_t>& out);

// Reads one segment, stage after stage. The bytes and the tables have to outlive it. Whatever the bytes are,
// it never reads outside them and throws Error(kCorrupt) where they cannot be a segment.
class SegmentDecoder {
 public:
  SegmentDecoder(const EntropyTables& tables, const CoderLoops& loops, std::span<const uint8_t> bytes);

  // Decodes symbols.size() symbols, symbol i with table tables[i]. Each stage starts with lane 0.
  void decode_stage(std::span<const uint8_t> tables, std::span<int16_t> symbols);

  // After the last stage: whether the symbols have the checksum of those that were coded. Throws Error(kCorrupt) if
  // bytes are left over.
  [[nodiscard]] bool finish() const;

  int lanes() const { return 1 << log2_lanes_; }

 private:
  const EntropyTables& tables_;
  int log2_lanes_;
  std::array<uint32_t, kMaximumLanes> states_;  // of the lanes in use, each at least 2^16 between symbols
  Crc32 crc_;                                   // of the symbols so far
  const uint8_t* words_;                        // the next word
  const uint8_t* escapes_;                      // one past the next escape byte, which are read backwards; >= words_
};

}  // namespace treenet

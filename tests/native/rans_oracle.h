// SPEC §7.3 word for word, one symbol at a time, with division and a search: what the coder is compared with. And
// tables and symbols to compare on.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <random>
#include <span>
#include <vector>

#include "codec/bytes.h"
#include "codec/crc32.h"
#include "codec/entropy_tables.h"
#include "codec/error.h"
#include "codec/leb128.h"
#include "codec/rans.h"
#include "cpu/dispatch.h"

namespace treenet::testing {

// The arguments of EntropyTables.
struct RawTables {
  std::vector<int32_t> offsets, counts;
  std::vector<uint16_t> frequencies;

  // `values` are the frequencies of the values; the escape has the rest of 65536.
  void add(int32_t offset, const std::vector<uint32_t>& values) {
    offsets.push_back(offset);
    counts.push_back(static_cast<int32_t>(values.size()));
    uint32_t rest = 65536;
    for (const uint32_t f : values) rest -= f;
    const size_t row = frequencies.size();
    frequencies.resize(row + kTableStride);
    std::copy(values.begin(), values.end(), frequencies.begin() + static_cast<std::ptrdiff_t>(row));
    frequencies[row + values.size()] = static_cast<uint16_t>(rest);
  }

  EntropyTables build() const { return EntropyTables(offsets, counts, frequencies); }
};

struct Stage {
  std::vector<int16_t> symbols;
  std::vector<uint8_t> tables;
};

inline std::vector<uint8_t> oracle_encode(const RawTables& tables, const std::vector<Stage>& stages, int log2_lanes) {
  const size_t lanes = size_t{1} << log2_lanes;
  std::vector<uint8_t> symbol_bytes;
  for (const Stage& stage : stages) {
    for (const int16_t symbol : stage.symbols) {
      symbol_bytes.push_back(static_cast<uint8_t>(symbol & 0xFF));
      symbol_bytes.push_back(static_cast<uint8_t>(symbol >> 8 & 0xFF));
    }
  }
  const uint32_t crc = crc32(symbol_bytes);
  std::vector<uint32_t> states;
  for (size_t lane = 0; lane < lanes; ++lane) states.push_back(0x10000 + (lane % 2 == 0 ? crc & 0xFFFF : crc >> 16));
  std::vector<uint16_t> words;   // last first
  std::vector<uint8_t> escapes;  // first first
  for (const Stage& stage : stages) {
    for (size_t i = 0; i < stage.symbols.size(); ++i) {
      const int offset = tables.offsets[stage.tables[i]], count = tables.counts[stage.tables[i]];
      const int s = stage.symbols[i];
      if (s < offset) append_leb128(escapes, static_cast<uint32_t>(2 * (offset - 1 - s) + 1));
      if (s >= offset + count) append_leb128(escapes, static_cast<uint32_t>(2 * (s - offset - count)));
    }
  }
  for (size_t stage = stages.size(); stage-- > 0;) {
    for (size_t i = stages[stage].symbols.size(); i-- > 0;) {
      const size_t table = stages[stage].tables[i];
      const int count = tables.counts[table];
      int k = stages[stage].symbols[i] - tables.offsets[table];
      if (k < 0 || k > count) k = count;
      const uint16_t* row = &tables.frequencies[table * kTableStride];
      uint32_t cumulative = 0;
      for (int j = 0; j < k; ++j) cumulative += row[j];
      const uint32_t frequency = row[k];
      uint32_t& x = states[i % lanes];
      if (x >= frequency << 16) {
        words.push_back(static_cast<uint16_t>(x));
        x >>= 16;
      }
      x = (x / frequency << 16) + x % frequency + cumulative;
    }
  }
  std::vector<uint8_t> bytes(1 + 4 * lanes + 2 * words.size());
  bytes[0] = static_cast<uint8_t>(log2_lanes);
  for (size_t lane = 0; lane < lanes; ++lane) store_le32(&bytes[1 + 4 * lane], states[lane]);
  for (size_t i = 0; i < words.size(); ++i) store_le16(&bytes[1 + 4 * lanes + 2 * i], words[words.size() - 1 - i]);
  bytes.insert(bytes.end(), escapes.rbegin(), escapes.rend());
  return bytes;
}

inline std::vector<uint8_t> encode(const EntropyTables& tables, const std::vector<Stage>& stages,
                                   const CoderLoops& loops = kScalarLoops) {
  std::vector<StageSymbols> views;
  for (const Stage& stage : stages) views.push_back({stage.symbols, stage.tables});
  std::vector<uint8_t> bytes;
  encode_segment(tables, loops, views, bytes);
  return bytes;
}

// The loops of every instruction set that this machine has.
inline std::vector<const CoderLoops*> all_loops() {
  std::vector<const CoderLoops*> loops;
  for (const std::string& isa : cpu::usable_isas()) loops.push_back(&cpu::kernels_for(isa).coder_loops);
  return loops;
}

// The symbols of a segment whose stages have the tables of `stages`.
inline std::vector<std::vector<int16_t>> decode(const EntropyTables& tables, const std::vector<Stage>& stages,
                                                std::span<const uint8_t> bytes,
                                                const CoderLoops& loops = kScalarLoops) {
  SegmentDecoder decoder(tables, loops, bytes);
  std::vector<std::vector<int16_t>> symbols;
  for (const Stage& stage : stages) {
    symbols.emplace_back(stage.tables.size());
    decoder.decode_stage(stage.tables, symbols.back());
  }
  if (!decoder.finish()) throw Error(ErrorCode::kCorrupt, "the symbols do not match their checksum");
  return symbols;
}

inline std::vector<std::vector<int16_t>> symbols_of(const std::vector<Stage>& stages) {
  std::vector<std::vector<int16_t>> symbols;
  for (const Stage& stage : stages) symbols.push_back(stage.symbols);
  return symbols;
}

// Random numbers that are the same with every standard library, which its distributions are not.
class Random {
 public:
  explicit Random(uint32_t seed) : engine_(seed) {}

  uint32_t below(uint32_t bound) { return static_cast<uint32_t>(static_cast<uint64_t>(engine_()) * bound >> 32); }
  bool one_in(uint32_t n) { return below(n) == 0; }

 private:
  std::mt19937 engine_;
};

// Tables of every character: narrow, wide, of one value, of 255, at both ends of 16 bits, with cheap and dear escapes.
inline RawTables various_tables() {
  RawTables tables;
  tables.add(0, {32768});
  tables.add(-1, {32, 65536 - 96, 32});
  tables.add(7, {32});
  tables.add(-3, {65536 - 32});
  tables.add(-32768, {30000, 30000});
  tables.add(32767, {40000});
  tables.add(-127, std::vector<uint32_t>(255, 256));
  tables.add(-127, std::vector<uint32_t>(255, 32));
  tables.add(-2, {1000, 33, 50001, 8191, 77});
  for (int half = 1; half <= 64; half *= 2) {
    std::vector<uint32_t> values;
    const uint32_t share = 65000u / static_cast<uint32_t>((half + 1) * (half + 1));
    for (int v = -half; v <= half; ++v) {
      values.push_back(std::max(33u, share * static_cast<uint32_t>(half + 1 - std::abs(v)) - 5u));
    }
    tables.add(-half, values);
  }
  return tables;
}

// Many narrow intervals at either end of the 16 bits: a decoder walks them, and one escape is the symbol -32768.
inline RawTables tables_at_bounds() {
  RawTables tables;
  tables.add(32767 - 254, std::vector<uint32_t>(255, 32));
  tables.add(32767 - 254, std::vector<uint32_t>(255, 256));
  tables.add(-32768, std::vector<uint32_t>(255, 32));
  return tables;
}

inline Stage random_stage(Random& random, const RawTables& tables, size_t size) {
  Stage stage;
  for (size_t i = 0; i < size; ++i) {
    const auto table = static_cast<uint8_t>(random.below(static_cast<uint32_t>(tables.offsets.size())));
    const auto count = static_cast<uint32_t>(tables.counts[table]);
    int symbol = tables.offsets[table] + static_cast<int>(random.below(count));
    if (random.one_in(50)) symbol = static_cast<int>(random.below(65536)) - 32768;
    if (random.one_in(500)) symbol = random.one_in(2) ? -32768 : 32767;
    stage.symbols.push_back(static_cast<int16_t>(symbol));
    stage.tables.push_back(table);
  }
  return stage;
}

}  // namespace treenet::testing

#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

#include "check.h"
#include "codec/crc32.h"
#include "codec/rans.h"
#include "codec/rans_symbol.h"
#include "rans_oracle.h"

namespace treenet {
namespace {

using testing::all_loops;
using testing::decode;
using testing::encode;
using testing::oracle_encode;
using testing::Random;
using testing::random_stage;
using testing::RawTables;
using testing::Stage;
using testing::symbols_of;
using Bytes = std::vector<uint8_t>;

RawTables even_table() {
  RawTables tables;
  tables.add(0, {32768});  // 0 in the lower half of the slots, the escape in the upper
  return tables;
}

TEST("streams that can be checked by hand") {
  const EntropyTables tables = even_table().build();
  CHECK_EQUAL(encode(tables, {}), (Bytes{0, 0, 0, 1, 0}));
  // The CRC-32 of 00 00 is 41D912FF. 0x112FF = 2 * 32768 + 0x12FF, so the state becomes (2 << 16) + 0x12FF.
  CHECK_EQUAL(encode(tables, {{{0}, {0}}}), (Bytes{0, 0xFF, 0x12, 2, 0}));
  // The CRC-32 of 00 00 05 00 D4 FE is 394D8E91. Backwards: -300 and 5 are escapes, 0x18E91 -> 0x38E91 -> 0x78E91; then
  // 0: -> 0xF0E91. Their numbers are 2 * 299 + 1 = 599 = D7 04 and 2 * 4 = 08, backwards from the end.
  CHECK_EQUAL(encode(tables, {{{0, 5, -300}, {0, 0, 0}}}), (Bytes{0, 0x91, 0x0E, 0x0F, 0, 0x04, 0xD7, 0x08}));
  // The CRC-32 of 32 zeros is 190A55AD. What is above 0x55AD doubles fifteen times, from 2^16 to 2^31; the sixteenth
  // symbol puts the lower half as a word.
  CHECK_EQUAL(encode(tables, {{std::vector<int16_t>(16, 0), std::vector<uint8_t>(16, 0)}}),
              (Bytes{0, 0, 0, 1, 0, 0xAD, 0x55}));
}

TEST("pinned streams of every number of lanes") {
  const RawTables raw = testing::various_tables();
  const EntropyTables tables = raw.build();
  const std::vector<uint32_t> expected = {0x20AB3464, 0x23ED2C59, 0x65B293FF, 0x4AC64E22, 0xFEDB5577, 0xB534CF55};
  Random random(20);
  for (int log2_lanes = 0; log2_lanes <= 5; ++log2_lanes) {
    const std::vector<Stage> stages = {random_stage(random, raw, (kSymbolsPerLane << log2_lanes) + 17)};
    const auto bytes = oracle_encode(raw, stages, log2_lanes);
    CHECK_EQUAL(crc32(bytes), expected[static_cast<size_t>(log2_lanes)]);
    for (const CoderLoops* loops : all_loops()) {
      CHECK(encode(tables, stages, *loops) == bytes);
      CHECK(decode(tables, stages, bytes, *loops) == symbols_of(stages));
    }
  }
}

TEST("the number of lanes follows the number of symbols of all stages") {
  const EntropyTables tables = even_table().build();
  for (const size_t n :
       {0, 1, 16384, 32767, 32768, 65535, 65536, 131071, 131072, 262143, 262144, 524287, 524288, 600000}) {
    std::vector<Stage> stages;
    for (const size_t part : {n / 3, n / 4, n - n / 3 - n / 4}) {
      stages.push_back({std::vector<int16_t>(part), std::vector<uint8_t>(part)});
    }
    int log2_lanes = 0;
    while (log2_lanes < 5 && size_t{16384} << (log2_lanes + 1) <= n) ++log2_lanes;
    const auto bytes = encode(tables, stages);
    CHECK_EQUAL(bytes[0], log2_lanes);
    CHECK_EQUAL(SegmentDecoder(tables, kScalarLoops, bytes).lanes(), 1 << log2_lanes);
    CHECK(decode(tables, stages, bytes) == symbols_of(stages));
  }
}

TEST("bytes are those of the oracle, and decode, for stages of any length") {
  const RawTables raw = testing::various_tables();
  const EntropyTables tables = raw.build();
  Random random(1);
  for (int round = 0; round < 300; ++round) {
    const uint32_t limit = 1u << random.below(18);
    std::vector<Stage> stages;
    for (uint32_t i = random.below(4); i > 0; --i) stages.push_back(random_stage(random, raw, random.below(limit)));
    for (const CoderLoops* loops : all_loops()) {
      const auto bytes = encode(tables, stages, *loops);
      CHECK_EQUAL(bytes, oracle_encode(raw, stages, bytes[0]));
      CHECK(decode(tables, stages, bytes, *loops) == symbols_of(stages));
    }
  }
}

TEST("a decoder takes any number of lanes") {
  const RawTables raw = testing::various_tables();
  const EntropyTables tables = raw.build();
  Random random(2);
  for (int log2_lanes = 0; log2_lanes <= 5; ++log2_lanes) {
    for (size_t size = 0; size <= 70; ++size) {
      const std::vector<Stage> stages = {random_stage(random, raw, size), random_stage(random, raw, random.below(200)),
                                         random_stage(random, raw, 70 - size)};
      const auto bytes = oracle_encode(raw, stages, log2_lanes);
      for (const CoderLoops* loops : all_loops()) CHECK(decode(tables, stages, bytes, *loops) == symbols_of(stages));
    }
  }
}

TEST("every 16-bit symbol, inside its table or outside") {
  for (const RawTables& raw : {testing::various_tables(), testing::tables_at_bounds()}) {
    const EntropyTables tables = raw.build();
    for (int table = 0; table < tables.size(); ++table) {
      Stage stage;
      for (int symbol = -32768; symbol <= 32767; ++symbol) stage.symbols.push_back(static_cast<int16_t>(symbol));
      stage.tables.assign(stage.symbols.size(), static_cast<uint8_t>(table));
      for (const CoderLoops* loops : all_loops()) {
        CHECK(decode(tables, {stage}, encode(tables, {stage}, *loops), *loops) == symbols_of({stage}));
      }
    }
  }
}

// Frequencies, and for each of them the states where a quotient or the word that is due turns, and random ones.
TEST("every way to encode a symbol, with every frequency, from the states that matter") {
  Random random(3);
  std::vector<Divisor> divisors;
  std::vector<NarrowDivisor> narrow;
  std::vector<uint32_t> states, expected;
  std::vector<Bytes> words;  // of each state
  for (uint32_t frequency = 32; frequency <= 65536 - 32; ++frequency) {
    const uint32_t multiple = frequency * (1 + random.below(65535));
    for (const uint32_t state : {kLowerBound, kLowerBound + frequency, multiple - 1, multiple, (frequency << 16) - 1,
                                 frequency << 16, 0xFFFFFFFFu, random.below(0xFFFFFFFFu)}) {
      if (state < kLowerBound) continue;
      const Interval interval = {static_cast<uint16_t>(random.below(65537 - frequency)),
                                 static_cast<uint16_t>(frequency)};
      states.push_back(state);
      // ⌈2^64 / f⌉ from ⌊(2^64 - 1) / f⌋
      divisors.push_back({~uint64_t{0} / frequency + 1, interval});
      narrow.push_back({static_cast<uint32_t>((uint64_t{1} << 32) / frequency), interval});
      CHECK_EQUAL(divisors.back().reciprocal >> 32, narrow.back().reciprocal);
      const bool full = state >= frequency << 16;
      const uint32_t x = full ? state >> 16 : state;
      words.push_back(full ? Bytes{static_cast<uint8_t>(state), static_cast<uint8_t>(state >> 8)} : Bytes{});
      expected.push_back((x / frequency << 16) + x % frequency + interval.cumulative);
    }
  }
  std::array<uint8_t, 2 * kMaximumLanes + kWordSlack> buffer;
  uint8_t* const end = buffer.data() + buffer.size();
  for (size_t i = 0; i < states.size(); ++i) {
    uint8_t* begin = end;
    CHECK_EQUAL(encode_symbol(states[i], divisors[i], begin), expected[i]);
    CHECK_EQUAL(Bytes(begin, end), words[i]);
  }
  for (const std::string& isa : cpu::usable_isas()) {
    const CoderLoops* loops = &cpu::kernels_for(isa).coder_loops;
    for (int log2_lanes = 0; log2_lanes <= kMaximumLog2Lanes; ++log2_lanes) {
      const bool by_vectors = isa != "scalar" && log2_lanes >= 4;
      CHECK_EQUAL(loops->encode[log2_lanes] != nullptr, by_vectors);
      if (!by_vectors) continue;
      const size_t lanes = size_t{1} << log2_lanes;
      for (size_t i = 0; i + lanes <= states.size(); i += lanes) {
        Bytes all;
        for (size_t lane = 0; lane < lanes; ++lane) {
          all.insert(all.end(), words[i + lane].begin(), words[i + lane].end());
        }
        std::array<uint32_t, kMaximumLanes> x{};
        std::copy_n(&states[i], lanes, x.begin());
        uint8_t* const begin = loops->encode[log2_lanes](x.data(), &narrow[i], 1, end);
        CHECK(std::equal(&expected[i], &expected[i] + lanes, x.begin()));
        CHECK_EQUAL(Bytes(begin, end), all);
      }
    }
  }
}

TEST("a segment is appended to what is there") {
  const EntropyTables tables = even_table().build();
  Bytes out = {9, 8, 7};
  encode_segment(tables, kScalarLoops, {}, out);
  CHECK_EQUAL(out, (Bytes{9, 8, 7, 0, 0, 0, 1, 0}));
}

TEST("arguments are checked") {
  const EntropyTables tables = even_table().build();
  CHECK_ERROR(encode(tables, {{{0, 0}, {0}}}), ErrorCode::kInvalidArgument, "2 symbols and 1 table indices");
  CHECK_ERROR(encode(tables, {{{0, 0}, {0, 1}}}), ErrorCode::kInvalidArgument, "no entropy table 1");
  const Bytes bytes = encode(tables, {});
  SegmentDecoder decoder(tables, kScalarLoops, bytes);
  std::vector<int16_t> symbols(2);
  const std::vector<uint8_t> one = {0}, unknown = {0, 3};
  CHECK_ERROR(decoder.decode_stage(one, symbols), ErrorCode::kInvalidArgument, "room for 2 symbols");
  CHECK_ERROR(decoder.decode_stage(unknown, symbols), ErrorCode::kInvalidArgument, "no entropy table 3");
}

}  // namespace
}  // namespace treenet

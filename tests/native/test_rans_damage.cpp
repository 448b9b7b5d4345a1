// Whatever a segment's bytes are, decoding ends, in symbols or in Error(kCorrupt), and reads nothing outside them: the
// bytes lie in blocks of exactly their size, where the address sanitizer sees any step outside.
#include <cstdint>
#include <optional>
#include <vector>

#include "check.h"
#include "codec/rans.h"
#include "rans_oracle.h"

namespace treenet {
namespace {

using testing::decode;
using testing::oracle_encode;
using testing::Random;
using testing::random_stage;
using testing::RawTables;
using testing::Stage;
using testing::symbols_of;
using Bytes = std::vector<uint8_t>;

// Nothing if the decoder refuses the bytes; any other error fails the test. All instruction sets have to agree.
std::optional<std::vector<std::vector<int16_t>>> try_decode(const EntropyTables& tables,
                                                            const std::vector<Stage>& stages, const Bytes& bytes) {
  const auto attempt = [&](const CoderLoops& loops) -> std::optional<std::vector<std::vector<int16_t>>> {
    try {
      const Bytes block(bytes.begin(), bytes.end());  // without spare capacity
      return decode(tables, stages, block, loops);
    } catch (const Error& error) {
      CHECK(error.code == ErrorCode::kCorrupt);
      return std::nullopt;
    }
  };
  const auto symbols = attempt(kScalarLoops);
  for (const CoderLoops* loops : testing::all_loops()) CHECK(attempt(*loops) == symbols);
  return symbols;
}

struct Case {
  RawTables raw = testing::various_tables();
  EntropyTables tables = raw.build();
  std::vector<Stage> stages;
  Bytes bytes;
};

Case random_case(Random& random, uint32_t largest_stage) {
  Case made;
  for (int i = 0; i < 3; ++i) made.stages.push_back(random_stage(random, made.raw, random.below(largest_stage)));
  made.bytes = oracle_encode(made.raw, made.stages, static_cast<int>(random.below(6)));
  return made;
}

// The coder alone cannot notice all damage (the container's checksums are for that), but since no two segments with as
// many lanes hold the same symbols, what it does not notice gives others.

TEST("a segment cut off is noticed or gives other symbols") {
  Random random(4);
  int cuts = 0, noticed = 0;
  for (int round = 0; round < 30; ++round) {
    const Case sound = random_case(random, 300);
    for (size_t size = 0; size < sound.bytes.size(); ++size, ++cuts) {
      const Bytes cut(sound.bytes.begin(), sound.bytes.begin() + static_cast<std::ptrdiff_t>(size));
      const auto symbols = try_decode(sound.tables, sound.stages, cut);
      CHECK(symbols != symbols_of(sound.stages));
      noticed += !symbols;
    }
  }
  CHECK(cuts > 1000 && noticed > cuts / 100 * 99);
}

TEST("a byte too many is noticed or gives other symbols") {
  Random random(5);
  constexpr int kRounds = 3000;
  int noticed = 0;
  for (int round = 0; round < kRounds; ++round) {
    Case longer = random_case(random, 120);
    const size_t at = random.below(static_cast<uint32_t>(longer.bytes.size()) + 1);
    longer.bytes.insert(longer.bytes.begin() + static_cast<std::ptrdiff_t>(at),
                        static_cast<uint8_t>(random.below(256)));
    const auto symbols = try_decode(longer.tables, longer.stages, longer.bytes);
    CHECK(symbols != symbols_of(longer.stages));
    noticed += !symbols;
  }
  CHECK(noticed > kRounds / 100 * 95);
}

TEST("a flipped bit is noticed or gives other symbols") {
  Random random(6);
  constexpr int kRounds = 6000;
  int noticed = 0;
  for (int round = 0; round < kRounds; ++round) {
    Case flipped = random_case(random, 120);
    const uint32_t bit = random.below(static_cast<uint32_t>(8 * flipped.bytes.size()));
    flipped.bytes[bit / 8] ^= static_cast<uint8_t>(1 << bit % 8);
    const auto symbols = try_decode(flipped.tables, flipped.stages, flipped.bytes);
    CHECK(symbols != symbols_of(flipped.stages));
    noticed += !symbols;
  }
  CHECK(noticed > kRounds / 2);
}

TEST("garbage is refused") {
  Random random(7);
  Case garbage = random_case(random, 3000);
  for (int round = 0; round < 4000; ++round) {
    garbage.bytes.resize(random.below(1u << (1 + random.below(13))));
    for (uint8_t& byte : garbage.bytes) byte = static_cast<uint8_t>(random.below(256));
    if (!garbage.bytes.empty()) garbage.bytes[0] %= 6;  // or the first byte would stop most of it
    CHECK(!try_decode(garbage.tables, garbage.stages, garbage.bytes));
  }
}

// One symbol, an escape of the only table, with these escape bytes as they lie in memory. `crc` is that of the symbol.
Bytes escape_segment(const Bytes& escapes, uint16_t crc = 0) {
  // From 2^16 + crc, which is 2 * 32768 + crc or, from crc = 32768 on, 3 * 32768 + crc - 32768.
  const uint32_t state = crc < 0x8000 ? 0x28000u + crc : 0x30000u + crc;
  const auto byte = [state](int i) { return static_cast<uint8_t>(state >> 8 * i); };
  Bytes bytes = {0, byte(0), byte(1), byte(2), byte(3)};
  bytes.insert(bytes.end(), escapes.begin(), escapes.end());
  return bytes;
}

TEST("every lane checks its half of the symbols' checksum") {
  Random random(9);
  for (int log2_lanes = 0; log2_lanes <= 5; ++log2_lanes) {
    RawTables raw;
    raw.add(0, {65536 - 32});
    const EntropyTables tables = raw.build();
    const size_t lanes = size_t{1} << log2_lanes;
    // So cheap that no word is needed, and no symbol changes where the lower half of a state does a little.
    const std::vector<Stage> stages = {{std::vector<int16_t>(lanes, 0), std::vector<uint8_t>(lanes, 0)}};
    const Bytes sound = oracle_encode(raw, stages, log2_lanes);
    CHECK_EQUAL(sound.size(), 1 + 4 * lanes);
    CHECK(decode(tables, stages, sound) == symbols_of(stages));
    for (size_t lane = 0; lane < lanes; ++lane) {
      for (const size_t byte : {0, 1}) {
        Bytes other = sound;
        other[1 + 4 * lane + byte] ^= 1;
        CHECK_ERROR(decode(tables, stages, other), ErrorCode::kCorrupt, "do not match their checksum");
      }
    }
  }
}

TEST("what is wrong with a segment is said") {
  RawTables raw;
  raw.add(0, {32768});
  const EntropyTables tables = raw.build();
  const std::vector<Stage> one = {{{0}, {0}}};
  const auto refuse = [&](const Bytes& bytes, const char* part) {
    CHECK_ERROR(decode(tables, one, bytes), ErrorCode::kCorrupt, part);
  };
  refuse({}, "a segment has no bytes");
  refuse({6, 0, 0, 1, 0}, "impossible number of lanes");
  refuse({1, 0, 0, 1, 0}, "shorter than its coder states");
  refuse({0, 0xFF, 0xFF, 0, 0}, "impossible coder state");
  refuse({0, 0, 0, 1, 0}, "words run out");
  refuse({0, 0, 0, 1, 0, 0}, "words run out");
  refuse({0, 0, 0, 1, 0, 0, 0}, "do not match their checksum");
  refuse({0, 0xFF, 0x12, 2, 0, 0}, "bytes are left over");
  refuse(escape_segment({}), "escapes run out");
  refuse(escape_segment({0x80}), "escapes run out");
  refuse(escape_segment({0x00, 0x81}), "no valid form");
  refuse(escape_segment({0x01, 0x80, 0x80, 0x80}), "no valid form");
}

TEST("escaped values fit 16 bits") {
  RawTables raw;
  raw.add(0, {32768});
  const EntropyTables tables = raw.build();
  const std::vector<Stage> one = {{{0}, {0}}};
  const auto number = [](uint32_t value, uint16_t crc = 0) {
    Bytes bytes;
    append_leb128(bytes, value);
    return escape_segment(Bytes(bytes.rbegin(), bytes.rend()), crc);
  };
  CHECK_EQUAL(decode(tables, one, number(2 * 32766, 0x8320))[0][0], 32767);       // the CRC-32 of FF 7F is 12478320
  CHECK_EQUAL(decode(tables, one, number(2 * 32767 + 1, 0x91DF))[0][0], -32768);  // that of 00 80 is AC6191DF
  CHECK_ERROR(decode(tables, one, number(2 * 32767)), ErrorCode::kCorrupt, "beyond 16 bits");
  CHECK_ERROR(decode(tables, one, number(2 * 32768 + 1)), ErrorCode::kCorrupt, "beyond 16 bits");
  CHECK_ERROR(decode(tables, one, number((1u << 21) - 1)), ErrorCode::kCorrupt, "beyond 16 bits");
}

}  // namespace
}  // namespace treenet

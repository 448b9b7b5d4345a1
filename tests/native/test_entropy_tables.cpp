#include <set>
#include <vector>

#include "check.h"
#include "codec/entropy_tables.h"
#include "codec/rans_symbol.h"
#include "rans_oracle.h"

namespace treenet {
namespace {

using testing::RawTables;

RawTables sound() {
  RawTables tables;
  tables.add(-1, {100, 60000, 100});
  tables.add(5, {32});
  return tables;
}

TEST("every slot decodes to the interval that it lies in") {
  for (const RawTables& raw : {testing::various_tables(), testing::tables_at_bounds()}) {
    const EntropyTables tables = raw.build();
    CHECK_EQUAL(tables.size(), static_cast<int>(raw.offsets.size()));
    for (int table = 0; table < tables.size(); ++table) {
      const DecodingTable& decoding = tables.decoding()[table];
      for (const TableInfo& info : {tables.infos()[table], decoding.info}) {
        CHECK_EQUAL(info.offset, raw.offsets[static_cast<size_t>(table)]);
        CHECK_EQUAL(info.count, raw.counts[static_cast<size_t>(table)]);
      }
      const uint16_t* row = &raw.frequencies[static_cast<size_t>(table) * kTableStride];
      uint32_t cumulative = 0;
      uint32_t expected = 0;
      for (uint32_t slot = 0; slot < 65536; ++slot) {
        if (slot == cumulative + row[expected]) cumulative += row[expected++];
        for (const uint32_t rest : {1u, 0x1234u, 0xFFFFu}) {
          uint32_t state = rest << 16 | slot;
          const auto symbol = static_cast<int16_t>(decoding.info.offset + static_cast<int>(expected));
          CHECK_EQUAL(decode_symbol(decoding, state), symbol);
          CHECK_EQUAL(state, row[expected] * rest + slot - cumulative);
        }
      }
      CHECK_EQUAL(expected, decoding.info.count);
    }
  }
}

// Slots beyond the second interval of their cell, were the cells of 2^bits slots.
uint32_t slots_beyond(const RawTables& raw, int table, int bits) {
  std::vector<uint32_t> interval;
  for (int k = 0; k <= raw.counts[static_cast<size_t>(table)]; ++k) {
    interval.insert(interval.end(), raw.frequencies[static_cast<size_t>(table * kTableStride + k)], k);
  }
  uint32_t beyond = 0;
  for (size_t slot = 0; slot < interval.size(); ++slot) beyond += interval[slot] > interval[slot >> bits << bits] + 1;
  return beyond;
}

TEST("cells are as large as they can be with one slot of 32 beyond two intervals, or the smallest") {
  std::set<int> chosen;
  for (const RawTables& raw : {testing::various_tables(), testing::tables_at_bounds()}) {
    const EntropyTables tables = raw.build();
    for (int table = 0; table < tables.size(); ++table) {
      const int bits = tables.decoding()[table].cell_bits;
      CHECK(bits >= kLeastCellBits && bits <= kMostCellBits);
      CHECK(bits == kLeastCellBits || slots_beyond(raw, table, bits) <= 65536 / 32);
      CHECK(bits == kMostCellBits || slots_beyond(raw, table, bits + 1) > 65536 / 32);
      chosen.insert(bits);
    }
  }
  CHECK(chosen.contains(kLeastCellBits) && chosen.contains(kMostCellBits) && chosen.size() > 3);
}

TEST("every rule of tables is checked") {
  const auto refuse = [](RawTables tables, const char* part) {
    CHECK_ERROR(tables.build(), ErrorCode::kInvalidArgument, part);
  };
  RawTables tables = sound();
  tables.frequencies[1]--;
  refuse(tables, "entropy table 0 has frequencies that add up to 65535");
  tables = sound();
  tables.frequencies[kTableStride] = 31;
  tables.frequencies[kTableStride + 1] = 65505;
  refuse(tables, "entropy table 1 has frequency 31 at 0");
  tables = sound();
  tables.frequencies[kTableStride - 1] = 1;
  refuse(tables, "entropy table 0 has frequencies after its escape");
  for (const int count : {0, -1, 256, 1 << 30}) {
    tables = sound();
    tables.counts[1] = count;
    refuse(tables, "entropy table 1 has");
  }
  for (const int offset : {-32769, 32766, 1 << 30, -(1 << 30)}) {
    tables = sound();
    tables.offsets[0] = offset;
    refuse(tables, "beyond 16 bits");
  }
  tables = sound();
  tables.frequencies.pop_back();
  refuse(tables, "do not match");
  tables = sound();
  tables.counts.pop_back();
  refuse(tables, "do not match");
  refuse(RawTables(), "there are 0 entropy tables");
  tables = RawTables();
  for (int i = 0; i < 257; ++i) tables.add(0, {32768});
  refuse(tables, "there are 257 entropy tables");
}

TEST("indices are checked") {
  const EntropyTables tables = sound().build();
  tables.check_indices({});
  tables.check_indices(std::vector<uint8_t>{0, 1, 1, 0});
  CHECK_ERROR(tables.check_indices(std::vector<uint8_t>{0, 2, 1}), ErrorCode::kInvalidArgument, "no entropy table 2");
}

}  // namespace
}  // namespace treenet

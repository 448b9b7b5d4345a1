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
  const RawTables raw = testing::various_tables();
  const EntropyTables tables = raw.build();
  CHECK_EQUAL(tables.size(), static_cast<int>(raw.offsets.size()));
  std::set<int> cell_bits;
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
        CHECK_EQUAL(decode_symbol(decoding, state), static_cast<int16_t>(decoding.info.offset + expected));
        CHECK_EQUAL(state, row[expected] * rest + slot - cumulative);
      }
    }
    CHECK_EQUAL(expected, decoding.info.count);
    cell_bits.insert(decoding.cell_bits);
  }
  CHECK(cell_bits.contains(kLeastCellBits) && cell_bits.contains(kMostCellBits));
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

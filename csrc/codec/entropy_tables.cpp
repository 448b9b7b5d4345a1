#include "codec/entropy_tables.h"

#include <algorithm>
#include <limits>
#include <string>

#include "codec/error.h"

namespace treenet {
namespace {

constexpr int kMaximumCount = kTableStride - 1;

[[noreturn]] void fail(size_t table, const std::string& problem) {
  throw Error(ErrorCode::kInvalidArgument, "entropy table " + std::to_string(table) + " " + problem);
}

void check_table(size_t table, int32_t offset, int32_t count, std::span<const uint16_t> frequencies) {
  if (count < 1 || count > kMaximumCount) {
    fail(table, "has " + std::to_string(count) + " values; give it 1 to " + std::to_string(kMaximumCount));
  }
  using S16 = std::numeric_limits<int16_t>;
  if (offset < S16::min() || offset > S16::max() - (count - 1)) {
    fail(table, "has " + std::to_string(count) + " values from " + std::to_string(offset) +
                    " on, beyond 16 bits; choose an offset that keeps them in -32768..32767");
  }
  uint32_t sum = 0;
  for (int k = 0; k <= count; ++k) {
    if (frequencies[k] < kMinimumFrequency) {
      fail(table, "has frequency " + std::to_string(frequencies[k]) + " at " + std::to_string(k) +
                      "; every value and the escape need " + std::to_string(kMinimumFrequency) + " or more");
    }
    sum += frequencies[k];
  }
  if (sum != 1u << kFrequencyBits) {
    fail(table, "has frequencies that add up to " + std::to_string(sum) + "; they have to add up to 65536");
  }
  if (std::any_of(frequencies.begin() + count + 1, frequencies.end(), [](uint16_t f) { return f != 0; })) {
    fail(table, "has frequencies after its escape (index " + std::to_string(count) + "); fill the row with zeros");
  }
}

// Calls visit(first slot, k of its interval) for the cells of 2^cell_bits slots. starts[k] is the first slot of
// interval k.
template <class Visit>
void for_each_cell(const std::vector<uint32_t>& starts, int cell_bits, Visit visit) {
  size_t k = 0;
  for (uint32_t slot = 0; slot < 1u << kFrequencyBits; slot += 1u << cell_bits) {
    while (k + 1 < starts.size() && starts[k + 1] <= slot) ++k;
    visit(slot, k);
  }
}

// Large cells are few, and stay near the core; but a slot beyond two intervals of its cell takes a branch that nothing
// predicts. The largest size at which no more than one slot of 32 is such, or the least where all intervals are narrow.
int choose_cell_bits(const std::vector<uint32_t>& starts) {
  constexpr uint32_t kMost = (1u << kFrequencyBits) / 32;
  for (int bits = kMostCellBits; bits > kLeastCellBits; --bits) {
    uint32_t beyond = 0;
    for_each_cell(starts, bits, [&](uint32_t slot, size_t k) {
      const uint32_t end = slot + (1u << bits);
      if (k + 2 < starts.size() && starts[k + 2] < end) beyond += end - starts[k + 2];
    });
    if (beyond <= kMost) return bits;
  }
  return kLeastCellBits;
}

DecodingTable make_decoding(const TableInfo& info, std::span<const uint16_t> frequencies) {
  DecodingTable table{};
  table.info = info;
  table.escape = static_cast<int16_t>(info.offset + info.count);
  std::copy(frequencies.begin(), frequencies.end(), table.frequencies);
  std::vector<uint32_t> starts = {0};
  for (int k = 0; k < info.count; ++k) starts.push_back(starts.back() + frequencies[k]);
  const int bits = choose_cell_bits(starts);
  table.cell_bits = static_cast<uint8_t>(bits);
  for_each_cell(starts, bits, [&](uint32_t slot, size_t k) {
    table.cells[slot >> bits] = {static_cast<uint16_t>(starts[k]), table.frequencies[k], table.frequencies[k + 1],
                                 static_cast<int16_t>(info.offset + static_cast<int>(k))};
  });
  return table;
}

}  // namespace

EntropyTables::EntropyTables(std::span<const int32_t> offsets, std::span<const int32_t> counts,
                             std::span<const uint16_t> frequencies) {
  const size_t size = offsets.size();
  if (size < 1 || size > kMaximumTables) {
    throw Error(ErrorCode::kInvalidArgument,
                "there are " + std::to_string(size) + " entropy tables; give 1 to " + std::to_string(kMaximumTables));
  }
  if (counts.size() != size || frequencies.size() != size * kTableStride) {
    throw Error(
        ErrorCode::kInvalidArgument,
        "the entropy tables' arrays do not match: give one offset, one count and 256 frequencies for each table");
  }
  infos_.reserve(size);
  decoding_.reserve(size);
  divisors_.resize(size * kTableStride);
  narrow_divisors_.resize(size * kTableStride);
  for (size_t table = 0; table < size; ++table) {
    const auto row = frequencies.subspan(table * kTableStride, kTableStride);
    check_table(table, offsets[table], counts[table], row);
    infos_.push_back({static_cast<int16_t>(offsets[table]), static_cast<uint16_t>(counts[table])});
    decoding_.push_back(make_decoding(infos_.back(), row));
    uint32_t cumulative = 0;
    for (int k = 0; k <= counts[table]; ++k) {
      constexpr uint64_t kLargest = ~uint64_t{0};  // with 2^64 - 1 = q f + r, r < f: ⌈2^64 / f⌉ = q + 1
      const uint64_t reciprocal = kLargest / row[k] + 1;
      const Interval interval = {static_cast<uint16_t>(cumulative), row[k]};
      divisors_[table * kTableStride + k] = {reciprocal, interval};
      narrow_divisors_[table * kTableStride + k] = {static_cast<uint32_t>(reciprocal >> 32), interval};
      cumulative += row[k];
    }
  }
}

void EntropyTables::check_indices(std::span<const uint8_t> indices) const {
  uint8_t largest = 0;
  for (const uint8_t index : indices) largest = std::max(largest, index);
  if (!indices.empty() && largest >= size()) {
    throw Error(ErrorCode::kInvalidArgument, "there is no entropy table " + std::to_string(largest) + "; there are " +
                                                 std::to_string(size()) + ", numbered from 0");
  }
}

}  // namespace treenet

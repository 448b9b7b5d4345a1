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
  decoding_.resize(size);
  divisors_.resize(size * kTableStride);
  for (size_t table = 0; table < size; ++table) {
    const auto row = frequencies.subspan(table * kTableStride, kTableStride);
    check_table(table, offsets[table], counts[table], row);
    infos_.push_back({static_cast<int16_t>(offsets[table]), static_cast<uint16_t>(counts[table])});
    DecodingTable& decoding = decoding_[table];
    decoding.info = infos_.back();
    uint32_t cumulative = 0;
    for (int k = 0; k <= counts[table]; ++k) {
      const Interval interval = {static_cast<uint16_t>(cumulative), row[k]};
      decoding.intervals[k] = interval;
      divisors_[table * kTableStride + k] = {static_cast<uint32_t>((uint64_t{1} << 32) / row[k]), interval};
      // The cells whose first slot lies in the interval.
      constexpr uint32_t kLast = (1u << kCellBits) - 1;
      const uint32_t first_cell = (cumulative + kLast) >> kCellBits;
      cumulative += row[k];
      const uint32_t end_cell = (cumulative + kLast) >> kCellBits;
      std::fill(decoding.cells + first_cell, decoding.cells + end_cell, static_cast<uint8_t>(k));
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

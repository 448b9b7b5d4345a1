#include "codec/rans.h"

#include <algorithm>
#include <bit>
#include <limits>
#include <memory>
#include <string>
#include <utility>

#include "codec/bytes.h"
#include "codec/error.h"
#include "codec/leb128.h"

namespace treenet {
namespace {

constexpr uint32_t kLowerBound = 1u << 16;  // states are kLowerBound .. 2^32 - 1 between symbols
constexpr int kMaximumLog2Lanes = 5;
constexpr int kEscapeMaximumBytes = 3;

static_assert(1 << kMaximumLog2Lanes == kMaximumLanes);

// The state of a lane before its first symbol is encoded and after its last is decoded.
uint32_t check_state(uint32_t symbols_crc, size_t lane) {
  return kLowerBound + (symbols_crc >> 16 * (lane % 2) & 0xFFFF);
}

// Escape numbers fold the values outside a table, nearest first: odd ones lie below it, even ones above.

uint32_t escape_number(const TableInfo& info, int value) {
  if (value < info.offset) return static_cast<uint32_t>(2 * (info.offset - 1 - value) + 1);
  return static_cast<uint32_t>(2 * (value - info.offset - info.count));
}

int escaped_value(const TableInfo& info, uint32_t number) {
  const int distance = static_cast<int>(number >> 1);
  return number & 1 ? info.offset - 1 - distance : info.offset + info.count + distance;
}

// ---------------------------------------------------------------------------------------------------------- encoding

// A function for each number of lanes, by its logarithm.
template <template <int> class Loop>
constexpr auto for_each_lane_count() {
  return []<int... i>(std::integer_sequence<int, i...>) {
    return std::array{&Loop<1 << i>::run...};
  }(std::make_integer_sequence<int, kMaximumLog2Lanes + 1>{});
}

// Encodes one symbol onto a state. The word is stored in any case, in the two bytes before `words`, and counts if it
// was due: no branch, since nothing predicts it.
inline uint32_t encode_symbol(uint32_t state, const Divisor& divisor, uint8_t*& words) {
  const uint32_t frequency = divisor.interval.frequency;
  const uint32_t full = state >= frequency << 16;
  store_le16(words - 2, static_cast<uint16_t>(state));
  words -= 2 * full;
  state >>= 16 * full;
  // With the reciprocal r = ⌊2^32 / f⌋, the quotient ⌊state * r / 2^32⌋ is right or one too small, because
  //     0 <= state / f - state * r / 2^32 = state / 2^32 * (2^32 / f - r) < 1.
  uint32_t quotient = static_cast<uint32_t>(static_cast<uint64_t>(state) * divisor.reciprocal >> 32);
  uint32_t remainder = state - quotient * frequency;
  const uint32_t small = remainder >= frequency;
  quotient += small;
  remainder -= small * frequency;
  return (quotient << 16) + remainder + divisor.interval.cumulative;
}

// Encodes whole groups of L symbols, last to first.
template <int L>
struct EncodeGroups {
  static uint8_t* run(uint32_t* states, const Divisor* symbols, size_t groups, uint8_t* words) {
    uint32_t x[L];
    std::copy_n(states, L, x);
    for (size_t group = groups; group-- > 0;) {
      for (int lane = L; lane-- > 0;) x[lane] = encode_symbol(x[lane], symbols[group * L + lane], words);
    }
    std::copy_n(x, L, states);
    return words;
  }
};

constexpr auto kEncodeGroups = for_each_lane_count<EncodeGroups>();

class SegmentEncoder {
 public:
  SegmentEncoder(const EntropyTables& tables, size_t symbol_count, uint32_t symbols_crc)
      : tables_(tables),
        log2_lanes_(
            std::min(static_cast<int>(std::bit_width(symbol_count / kSymbolsPerLane | 1)) - 1, kMaximumLog2Lanes)),
        capacity_(2 * symbol_count + 2),  // a word a symbol at most, and one that is stored but does not count
        buffer_(std::make_unique_for_overwrite<uint8_t[]>(capacity_)),
        words_(buffer_.get() + capacity_) {
    for (size_t lane = 0; lane < kMaximumLanes; ++lane) states_[lane] = check_state(symbols_crc, lane);
  }

  // Stages come last to first.
  void encode_stage(const StageSymbols& stage) {
    std::array<Divisor, kChunk> chunk;
    const size_t lanes = size_t{1} << log2_lanes_;
    for (size_t end = stage.symbols.size(); end > 0;) {
      const size_t begin = (end - 1) / kChunk * kChunk;
      const size_t size = end - begin;
      resolve(stage.symbols.subspan(begin, size), stage.tables.subspan(begin, size), chunk.data());
      size_t i = size;
      while (i % lanes != 0) {
        --i;
        uint32_t& state = states_[i % lanes];
        state = encode_symbol(state, chunk[i], words_);
      }
      words_ = kEncodeGroups[log2_lanes_](states_.data(), chunk.data(), i / lanes, words_);
      end = begin;
    }
  }

  void write(std::vector<uint8_t>& out) const {
    const size_t lanes = size_t{1} << log2_lanes_;
    const uint8_t* words_end = buffer_.get() + capacity_;
    out.reserve(out.size() + 1 + 4 * lanes + static_cast<size_t>(words_end - words_) + escapes_.size());
    out.push_back(static_cast<uint8_t>(log2_lanes_));
    for (size_t lane = 0; lane < lanes; ++lane) {
      uint8_t bytes[4];
      store_le32(bytes, states_[lane]);
      out.insert(out.end(), bytes, bytes + 4);
    }
    out.insert(out.end(), static_cast<const uint8_t*>(words_), words_end);
    out.insert(out.end(), escapes_.begin(), escapes_.end());
  }

 private:
  static constexpr size_t kChunk = 1024;  // symbols resolved at a time: 8 KiB, near the core
  static_assert(kChunk % kMaximumLanes == 0);

  // Looks up every symbol's divisor, so that the loop over lanes reads them one after the other, and notes escapes,
  // last to first.
  void resolve(std::span<const int16_t> symbols, std::span<const uint8_t> tables, Divisor* divisors) {
    const TableInfo* infos = tables_.infos();
    const Divisor* all = tables_.divisors();
    for (size_t i = symbols.size(); i-- > 0;) {
      const TableInfo& info = infos[tables[i]];
      uint32_t k = static_cast<uint32_t>(symbols[i] - info.offset);  // huge for values below the table
      if (k >= info.count) {
        k = info.count;
        const Leb128 number = to_leb128(escape_number(info, symbols[i]));
        for (int byte = number.size; byte-- > 0;) escapes_.push_back(number.bytes[byte]);
      }
      divisors[i] = all[info.first + k];
    }
  }

  const EntropyTables& tables_;
  const int log2_lanes_;
  const size_t capacity_;
  std::unique_ptr<uint8_t[]> buffer_;
  uint8_t* words_;  // the words so far are here to the end of the buffer
  std::array<uint32_t, kMaximumLanes> states_;
  std::vector<uint8_t> escapes_;  // in their final order: the last number's last byte first
};

// ---------------------------------------------------------------------------------------------------------- decoding

[[noreturn]] void fail(const std::string& problem) {
  throw Error(ErrorCode::kCorrupt, "the entropy-coded data is damaged: " + problem + "; get the data again");
}

// The part of a segment that is still to be read: words forwards from `words`, escape bytes backwards from `escapes`.
struct Unread {
  const uint8_t* words;
  const uint8_t* escapes;

  size_t size() const { return static_cast<size_t>(escapes - words); }
};

// What a symbol decodes to before escapes are read: a value of the table, or the first one after it for an escape.
// That may wrap around 16 bits, and is no value of the table even so.
inline int16_t value_of(const TableInfo& info, uint32_t k) { return static_cast<int16_t>(info.offset + k); }

// Decodes one symbol from a state, which may then want a word.
inline int16_t decode_symbol(const TableInfo& info, const uint8_t* cells, const Interval* intervals, uint32_t& state) {
  const uint32_t slot = state & 0xFFFF;
  uint32_t k = cells[slot >> kCellBits];
  const Interval* interval = intervals + info.first + k;
  const bool next = slot - interval->cumulative >= interval->frequency;
  interval += next;
  k += next;
  state = interval->frequency * (state >> 16) + slot - interval->cumulative;
  return value_of(info, k);
}

int16_t read_escape(const TableInfo& info, Unread& unread) {
  const auto number = read_leb128(kEscapeMaximumBytes, [&] {
    if (unread.size() < 1) fail("its escapes run out");
    return *--unread.escapes;
  });
  if (!number) fail("an escape number has no valid form");
  const int value = escaped_value(info, *number);
  using S16 = std::numeric_limits<int16_t>;
  if (value < S16::min() || value > S16::max()) fail("an escaped value is beyond 16 bits");
  return static_cast<int16_t>(value);
}

// Decodes whole groups of L symbols while the words that a group can want are certainly there; gives the number of
// groups decoded.
template <int L>
struct DecodeGroups {
  static size_t run(const EntropyTables& entropy_tables, uint32_t* states, const uint8_t* tables, int16_t* symbols,
                    size_t groups, Unread& unread) {
    const TableInfo* infos = entropy_tables.infos();
    const uint8_t* cells = entropy_tables.cells();
    const Interval* intervals = entropy_tables.intervals();
    uint32_t x[L];
    std::copy_n(states, L, x);
    size_t group = 0;
    for (; group < groups && unread.size() >= 2 * L; ++group, tables += L, symbols += L) {
      const uint8_t* words = unread.words;
      bool escapes = false;
      for (int lane = 0; lane < L; ++lane) {
        const TableInfo& info = infos[tables[lane]];
        uint32_t state = x[lane];
        const int16_t symbol = decode_symbol(info, cells + tables[lane] * kCellsPerTable, intervals, state);
        // Arithmetic in place of a branch: nothing predicts whether a word is due.
        const uint32_t due = state < kLowerBound;
        x[lane] = (state << (16 * due)) | (load_le16(words) & (0 - due));
        words += 2 * due;
        symbols[lane] = symbol;
        escapes |= symbol == value_of(info, info.count);
      }
      unread.words = words;
      if (escapes) read_escapes(infos, tables, symbols, unread);
    }
    std::copy_n(x, L, states);
    return group;
  }

  static void read_escapes(const TableInfo* infos, const uint8_t* tables, int16_t* symbols, Unread& unread) {
    for (int lane = 0; lane < L; ++lane) {
      const TableInfo& info = infos[tables[lane]];
      if (symbols[lane] == value_of(info, info.count)) symbols[lane] = read_escape(info, unread);
    }
  }
};

constexpr auto kDecodeGroups = for_each_lane_count<DecodeGroups>();

}  // namespace

void encode_segment(const EntropyTables& tables, std::span<const StageSymbols> stages, std::vector<uint8_t>& out) {
  size_t symbol_count = 0;
  Crc32 crc;
  for (const StageSymbols& stage : stages) {
    if (stage.symbols.size() != stage.tables.size()) {
      throw Error(ErrorCode::kInvalidArgument, "there are " + std::to_string(stage.symbols.size()) + " symbols and " +
                                                   std::to_string(stage.tables.size()) +
                                                   " table indices; give one index for each symbol");
    }
    tables.check_indices(stage.tables);
    symbol_count += stage.symbols.size();
    crc.update(stage.symbols);
  }
  SegmentEncoder encoder(tables, symbol_count, crc.value());
  for (size_t stage = stages.size(); stage-- > 0;) encoder.encode_stage(stages[stage]);
  encoder.write(out);
}

SegmentDecoder::SegmentDecoder(const EntropyTables& tables, std::span<const uint8_t> bytes) : tables_(tables) {
  if (bytes.empty()) fail("a segment has no bytes");
  if (bytes[0] > kMaximumLog2Lanes) fail("a segment has an impossible number of lanes");
  log2_lanes_ = bytes[0];
  const size_t header_size = 1 + 4 * static_cast<size_t>(lanes());
  if (bytes.size() < header_size) fail("a segment is shorter than its coder states");
  for (int lane = 0; lane < lanes(); ++lane) {
    states_[lane] = load_le32(&bytes[1 + 4 * static_cast<size_t>(lane)]);
    if (states_[lane] < kLowerBound) fail("a segment starts with an impossible coder state");
  }
  words_ = bytes.data() + header_size;
  escapes_ = bytes.data() + bytes.size();
}

void SegmentDecoder::decode_stage(std::span<const uint8_t> tables, std::span<int16_t> symbols) {
  if (symbols.size() != tables.size()) {
    throw Error(ErrorCode::kInvalidArgument, "there is room for " + std::to_string(symbols.size()) + " symbols and " +
                                                 std::to_string(tables.size()) +
                                                 " table indices; give one index for each symbol");
  }
  tables_.check_indices(tables);
  const size_t lanes = size_t{1} << log2_lanes_;
  Unread unread{words_, escapes_};
  const size_t groups = kDecodeGroups[log2_lanes_](tables_, states_.data(), tables.data(), symbols.data(),
                                                   symbols.size() / lanes, unread);
  // What remains: a group that is not whole, or the symbols in the segment's last few words.
  for (size_t i = groups * lanes; i < symbols.size(); ++i) {
    const TableInfo& info = tables_.infos()[tables[i]];
    uint32_t& state = states_[i % lanes];
    int16_t symbol = decode_symbol(info, tables_.cells() + tables[i] * kCellsPerTable, tables_.intervals(), state);
    if (state < kLowerBound) {
      if (unread.size() < 2) fail("its words run out");
      state = state << 16 | load_le16(unread.words);
      unread.words += 2;
    }
    if (symbol == value_of(info, info.count)) symbol = read_escape(info, unread);
    symbols[i] = symbol;
  }
  words_ = unread.words;
  escapes_ = unread.escapes;
  crc_.update(symbols);
}

bool SegmentDecoder::finish() const {
  if (words_ != escapes_) fail("bytes are left over after the last symbol of a segment");
  for (size_t lane = 0; lane < static_cast<size_t>(lanes()); ++lane) {
    if (states_[lane] != check_state(crc_.value(), lane)) return false;
  }
  return true;
}

}  // namespace treenet

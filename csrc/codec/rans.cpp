#include "codec/rans.h"

#include <algorithm>
#include <bit>
#include <limits>
#include <memory>
#include <string>

#include "codec/bytes.h"
#include "codec/error.h"
#include "codec/leb128.h"
#include "codec/rans_symbol.h"

namespace treenet {
namespace {

constexpr int kEscapeMaximumBytes = 3;

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

class SegmentEncoder {
 public:
  SegmentEncoder(const EntropyTables& tables, const CoderLoops& loops, size_t symbol_count, uint32_t symbols_crc)
      : tables_(tables),
        loops_(loops),
        log2_lanes_(
            std::min(static_cast<int>(std::bit_width(symbol_count / kSymbolsPerLane | 1)) - 1, kMaximumLog2Lanes)),
        capacity_(2 * symbol_count + kWordSlack),  // a word a symbol at most
        buffer_(std::make_unique_for_overwrite<uint8_t[]>(capacity_)),
        words_(buffer_.get() + capacity_) {
    for (size_t lane = 0; lane < kMaximumLanes; ++lane) states_[lane] = check_state(symbols_crc, lane);
  }

  // Stages come last to first.
  void encode_stage(const StageSymbols& stage) {
    const size_t lanes = size_t{1} << log2_lanes_, groups = stage.symbols.size() / lanes;
    const EncodingRecords all{tables_.infos(), tables_.divisors()};
    for (size_t i = stage.symbols.size(); i-- > groups * lanes;) {
      bool escapes = false;
      uint32_t& state = states_[i % lanes];
      state = encode_next(all, stage.tables[i], stage.symbols[i], state, words_, escapes);
      if (escapes) put_escape(stage, i);
    }
    if (loops_.encode[log2_lanes_] != nullptr) {
      encode_by_vectors(stage, groups);
      return;
    }
    for (size_t left = groups; left > 0;) {
      left = kEncode[log2_lanes_](all, states_.data(), stage.tables.data(), stage.symbols.data(), left, words_);
      for (size_t i = (left + 1) * lanes; i-- > left * lanes;) {
        if (is_escape(tables_.infos()[stage.tables[i]], stage.symbols[i])) put_escape(stage, i);
      }
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

  void encode_by_vectors(const StageSymbols& stage, size_t groups) {
    std::array<NarrowDivisor, kChunk> chunk;
    for (size_t end = groups << log2_lanes_; end > 0;) {
      const size_t begin = (end - 1) / kChunk * kChunk;
      resolve(stage, begin, end, chunk.data());
      words_ = loops_.encode[log2_lanes_](states_.data(), chunk.data(), (end - begin) >> log2_lanes_, words_);
      end = begin;
    }
  }

  // Looks up every symbol's divisor, so that the loop over vectors reads them one after the other, and notes escapes,
  // last to first.
  void resolve(const StageSymbols& stage, size_t begin, size_t end, NarrowDivisor* divisors) {
    const TableInfo* infos = tables_.infos();
    const NarrowDivisor* all = tables_.narrow_divisors();
    for (size_t i = end; i-- > begin;) {
      const TableInfo& info = infos[stage.tables[i]];
      int k = stage.symbols[i] - info.offset;
      if (is_escape(info, stage.symbols[i])) {
        k = info.count;
        put_escape(stage, i);
      }
      divisors[i - begin] = all[stage.tables[i] * kTableStride + k];
    }
  }

  void put_escape(const StageSymbols& stage, size_t i) {
    const Leb128 number = to_leb128(escape_number(tables_.infos()[stage.tables[i]], stage.symbols[i]));
    for (int byte = number.size; byte-- > 0;) escapes_.push_back(number.bytes[byte]);
  }

  const EntropyTables& tables_;
  const CoderLoops& loops_;
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

}  // namespace

void encode_segment(const EntropyTables& tables, const CoderLoops& loops, std::span<const StageSymbols> stages,
                    std::vector<uint8_t>& out) {
  size_t symbol_count = 0;
  Crc32 crc(loops.fold_crc);
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
  SegmentEncoder encoder(tables, loops, symbol_count, crc.value());
  for (size_t stage = stages.size(); stage-- > 0;) encoder.encode_stage(stages[stage]);
  encoder.write(out);
}

SegmentDecoder::SegmentDecoder(const EntropyTables& tables, const CoderLoops& loops, std::span<const uint8_t> bytes)
    : tables_(tables), crc_(loops.fold_crc) {
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
  const DecodingTable* all = tables_.decoding();
  const size_t lanes = size_t{1} << log2_lanes_;
  Unread unread{words_, escapes_};
  const auto read_if_escape = [&](size_t i) {
    if (symbols[i] == all[tables[i]].escape) symbols[i] = read_escape(all[tables[i]].info, unread);
  };
  size_t done = 0;
  for (size_t groups = 1; groups > 0;) {
    groups = kDecode[log2_lanes_](all, states_.data(), tables.data() + done, symbols.data() + done,
                                  (symbols.size() - done) / lanes, unread.words, unread.escapes);
    done += groups * lanes;
    for (size_t i = groups > 0 ? done - lanes : done; i < done; ++i) read_if_escape(i);
  }
  // What remains: a group that is not whole, or the symbols in the segment's last few words.
  for (size_t i = done; i < symbols.size(); ++i) {
    uint32_t& state = states_[i % lanes];
    symbols[i] = decode_symbol(all[tables[i]], state);
    if (state < kLowerBound) {
      if (unread.size() < 2) fail("its words run out");
      fill(state, unread.words);
    }
    read_if_escape(i);
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

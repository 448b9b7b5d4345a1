#include <algorithm>
#include <cstdint>
#include <limits>
#include <optional>
#include <vector>

#include "check.h"
#include "codec/bytes.h"
#include "codec/container.h"
#include "codec/crc32.h"
#include "rans_oracle.h"

namespace treenet {
namespace {

using testing::Random;
using Bytes = std::vector<uint8_t>;

constexpr uint64_t kNoLimit = std::numeric_limits<uint64_t>::max();
constexpr StreamInfo kInfo = {{1, 2, 3, 4}, 50, false, 768, 512};
const std::vector<Bytes> kSegments = {{10, 11, 12, 13, 14}, {20, 21, 22, 23, 24, 25}, {30}};

void mend_checksum(Bytes& stream) { store_le32(&stream[4], crc32(std::span<const uint8_t>(stream).subspan(8))); }

// A stream with another header: `tail` is quality, width, height and length, then the payload.
Bytes with_tail(const Bytes& tail) {
  Bytes stream = write_stream(kInfo, kSegments);
  stream.resize(12);
  stream.insert(stream.end(), tail.begin(), tail.end());
  mend_checksum(stream);
  return stream;
}

TEST("a pinned stream") {
  const Bytes expected = {
      0x54, 0x4E, 0x46, 0x01,            // magic, version
      0x44, 0x28, 0xD3, 0x41,            // checksum of what follows
      1,    2,    3,    4,               // model
      50,   0x80, 0x06, 0x80, 0x04, 14,  // quality, 768, 512, 14 bytes
      5,    6,                           // lengths of all segments but the last
      10,   11,   12,   13,   14,   20, 21, 22, 23, 24, 25, 30,
  };
  CHECK_EQUAL(write_stream(kInfo, kSegments), expected);
}

TEST("a stream comes back") {
  for (const int quality : {1, 50, 100}) {
    for (const bool grey : {false, true}) {
      for (const int width : {1, 127, 128, 16383, 16384, 65535}) {
        for (const size_t segment_count : {1, 2, 3}) {
          StreamInfo info = kInfo;
          info.quality = quality;
          info.grey = grey;
          info.width = width;
          info.height = 65536 - width;
          const std::vector<Bytes> segments(kSegments.begin(),
                                            kSegments.begin() + static_cast<std::ptrdiff_t>(segment_count));
          const Bytes stream = write_stream(info, segments);
          const Header header = parse_header(stream, kNoLimit);
          CHECK_EQUAL(header.quality, quality);
          CHECK_EQUAL(header.grey, grey);
          CHECK_EQUAL(header.width, info.width);
          CHECK_EQUAL(header.height, info.height);
          CHECK_EQUAL(header.model_id, info.model_id);
          const auto parts = split_payload(std::span<const uint8_t>(stream).subspan(header.header_size), segment_count);
          CHECK_EQUAL(parts.size(), segment_count);
          for (size_t i = 0; i < segment_count; ++i) CHECK(std::ranges::equal(parts[i], segments[i]));
        }
      }
    }
  }
}

TEST("the header of an ordinary image has 20 bytes at most") {
  const std::vector<Bytes> segments = {Bytes((1 << 21) - 1)};
  const Bytes stream = write_stream(kInfo, segments);
  CHECK_EQUAL(parse_header(stream, kNoLimit).header_size, 20u);
}

TEST("what cannot be written is refused") {
  const auto refuse = [](auto change, const char* part) {
    StreamInfo info = kInfo;
    change(info);
    CHECK_ERROR(write_stream(info, kSegments), ErrorCode::kInvalidArgument, part);
  };
  refuse([](StreamInfo& info) { info.width = 0; }, "0 x 512");
  refuse([](StreamInfo& info) { info.height = 65536; }, "768 x 65536");
  refuse([](StreamInfo& info) { info.height = -1; }, "768 x -1");
  refuse([](StreamInfo& info) { info.quality = 0; }, "quality 0");
  refuse([](StreamInfo& info) { info.quality = 101; }, "quality 101");
  const std::vector<Bytes> huge = {Bytes(size_t{1} << 28)};
  CHECK_ERROR(write_stream(kInfo, huge), ErrorCode::kTooLarge, "268435455");
}

TEST("streams of another kind have their own errors") {
  const Bytes stream = write_stream(kInfo, kSegments);
  CHECK_ERROR(parse_header({}, kNoLimit), ErrorCode::kEmptyStream, "empty");
  const Bytes png = {0x89, 'P', 'N', 'G', 13, 10, 26, 10};
  CHECK_ERROR(parse_header(png, kNoLimit), ErrorCode::kNotATreeNetStream, "89504e");
  CHECK_ERROR(parse_header(Bytes{'T', 'M'}, kNoLimit), ErrorCode::kNotATreeNetStream, "544d");
  Bytes newer = stream;
  newer[3] = 2;
  newer.resize(5);  // whatever a newer version has in its header
  CHECK_ERROR(parse_header(newer, kNoLimit), ErrorCode::kNewerVersion, "version 2");
  newer[3] = 0;
  CHECK_ERROR(parse_header(newer, kNoLimit), ErrorCode::kCorrupt, "no version 0");
}

TEST("the pixel limit") {
  const Bytes stream = write_stream(kInfo, kSegments);
  CHECK_EQUAL(parse_header(stream, 768 * 512).width, 768);
  CHECK_ERROR(parse_header(stream, 768 * 512 - 1), ErrorCode::kTooLarge, "768 x 512 = 393216 pixels");
}

TEST("the model") {
  const Header header = parse_header(write_stream(kInfo, kSegments), kNoLimit);
  Bytes hash(32);
  std::copy(kInfo.model_id.begin(), kInfo.model_id.end(), hash.begin());
  check_model(header, hash);
  hash[3] = 5;
  CHECK_ERROR(check_model(header, hash), ErrorCode::kWrongModel, "model 01020304, this is model 01020305");
}

TEST("fields out of range, under a checksum that is right") {
  const auto refuse = [](const Bytes& tail, ErrorCode code, const char* part) {
    CHECK_ERROR(parse_header(with_tail(tail), kNoLimit), code, part);
  };
  CHECK_EQUAL(parse_header(with_tail({0x80 + 100, 1, 1, 2, 0, 0}), kNoLimit).grey, true);
  refuse({0, 1, 1, 0}, ErrorCode::kCorrupt, "quality is 0");
  refuse({0x80 + 101, 1, 1, 0}, ErrorCode::kCorrupt, "quality is 101");
  refuse({50, 0, 1, 0}, ErrorCode::kCorrupt, "width is 0");
  refuse({50, 1, 0, 0}, ErrorCode::kCorrupt, "height is 0");
  refuse({50, 0x80, 0x80, 0x04, 1, 0}, ErrorCode::kCorrupt, "width is 65536");
  refuse({50, 0x81, 0x80, 0x00, 1, 0}, ErrorCode::kCorrupt, "width is not a valid number");
  refuse({50, 0x81, 0x80, 0x80, 1, 0}, ErrorCode::kCorrupt, "width is not a valid number");
  refuse({50, 1, 1, 0x81, 0x80, 0x80, 0x80, 1}, ErrorCode::kCorrupt, "payload length is not a valid number");
  refuse({50, 1, 1, 3, 7, 7}, ErrorCode::kTruncated, "announces 3 bytes of payload, 2 are there");
  refuse({50, 1, 1, 3, 7, 7, 7, 7}, ErrorCode::kCorrupt, "1 bytes follow the 3 bytes");
  refuse({50, 1, 1}, ErrorCode::kTruncated, "15 bytes end within the header");
}

TEST("every truncation is a truncation") {
  const Bytes stream = write_stream(kInfo, kSegments);
  for (size_t size = 1; size < stream.size(); ++size) {
    const Bytes cut(stream.begin(), stream.begin() + static_cast<std::ptrdiff_t>(size));
    CHECK_ERROR(parse_header(cut, kNoLimit), ErrorCode::kTruncated, "cut off");
  }
}

TEST("every flipped bit is noticed") {
  const Bytes stream = write_stream(kInfo, kSegments);
  for (size_t bit = 0; bit < 8 * stream.size(); ++bit) {
    Bytes flipped = stream;
    flipped[bit / 8] ^= static_cast<uint8_t>(1 << bit % 8);
    bool noticed = false;
    try {
      parse_header(flipped, kNoLimit);
    } catch (const Error&) {
      noticed = true;
    }
    CHECK(noticed);
  }
}

TEST("payloads that cannot be so many segments") {
  CHECK_ERROR(split_payload(Bytes{}, 2), ErrorCode::kCorrupt, "too short");
  CHECK_ERROR(split_payload(Bytes{1, 2, 3}, 100000000), ErrorCode::kCorrupt, "too short");
  CHECK_ERROR(split_payload(Bytes{0x81, 0x81}, 2), ErrorCode::kCorrupt, "ends within the lengths");
  CHECK_ERROR(split_payload(Bytes{0x81, 0x00, 1}, 2), ErrorCode::kCorrupt, "length of a segment");
  CHECK_ERROR(split_payload(Bytes{3, 1, 2}, 2), ErrorCode::kCorrupt, "longer than the payload");
}

TEST("headers and payloads of garbage stay within their bytes") {
  Random random(8);
  const Bytes stream = write_stream(kInfo, kSegments);
  int accepted = 0;
  for (int round = 0; round < 20000; ++round) {
    Bytes garbage(stream.begin(), stream.begin() + 13);
    for (uint32_t size = random.below(16); size > 0; --size) {
      garbage.push_back(static_cast<uint8_t>(random.one_in(2) ? random.below(256) : random.below(12)));
    }
    mend_checksum(garbage);
    const Bytes block(garbage.begin(), garbage.end());  // without spare capacity
    try {
      const Header header = parse_header(block, kNoLimit);
      CHECK(header.header_size <= block.size());
      const auto payload = std::span<const uint8_t>(block).subspan(header.header_size);
      const auto parts = split_payload(payload, 1 + random.below(4));
      CHECK(parts.back().data() + parts.back().size() == block.data() + block.size());
      ++accepted;
    } catch (const Error& error) {
      CHECK(error.code == ErrorCode::kCorrupt || error.code == ErrorCode::kTruncated);
    }
  }
  CHECK(accepted > 100);
}

}  // namespace
}  // namespace treenet

#include "codec/container.h"

#include <algorithm>
#include <cstdio>
#include <string>

#include "codec/bytes.h"
#include "codec/crc32.h"
#include "codec/error.h"
#include "codec/leb128.h"

namespace treenet {
namespace {

constexpr std::array<uint8_t, 3> kMagic = {0x54, 0x4E, 0x46};  // "TNF"
constexpr size_t kStreamCrcAt = 4;                             // after magic and version
constexpr size_t kStreamCrcFrom = 8;                           // the checksum is of the bytes from here on
constexpr size_t kModelIdAt = 8;
constexpr size_t kQualityAt = 12;
constexpr size_t kFixedSize = 13;     // up to and with quality
constexpr uint32_t kGreyFlag = 0x80;  // above the quality
constexpr uint32_t kMaximumQuality = 100;
constexpr size_t kMaximumPayload = (size_t{1} << (7 * kLeb128MaximumBytes)) - 1;
constexpr int kSideMaximumBytes = 3;

[[noreturn]] void fail(ErrorCode code, const std::string& message) { throw Error(code, message); }

[[noreturn]] void fail_corrupt(const std::string& problem) {
  fail(ErrorCode::kCorrupt, "stream is damaged: " + problem + "; get the file again");
}

[[noreturn]] void fail_truncated(const std::string& problem) {
  fail(ErrorCode::kTruncated, "stream is truncated: " + problem + "; the file was cut off, get it again");
}

std::string hex(std::span<const uint8_t> bytes) {
  std::string text;
  for (const uint8_t byte : bytes) {
    char digits[3];
    std::snprintf(digits, sizeof digits, "%02x", byte);
    text += digits;
  }
  return text;
}

[[noreturn]] void fail_short_header(std::span<const uint8_t> stream) {
  fail_truncated("its " + std::to_string(stream.size()) + " bytes end within the header");
}

void check_range(const char* name, uint32_t value, uint32_t maximum) {
  if (value < 1 || value > maximum) {
    fail_corrupt(std::string("the header's ") + name + " is " + std::to_string(value) + ", outside 1.." +
                 std::to_string(maximum));
  }
}

// LEB128 fields of the header, in order.
class FieldReader {
 public:
  explicit FieldReader(std::span<const uint8_t> stream) : stream_(stream) {}

  uint32_t read(const char* name, int maximum_bytes) {
    const auto value = read_leb128(maximum_bytes, [this] {
      if (position_ == stream_.size()) fail_short_header(stream_);
      return stream_[position_++];
    });
    if (!value) fail_corrupt(std::string("the header's ") + name + " is not a valid number");
    return *value;
  }

  size_t position() const { return position_; }

 private:
  std::span<const uint8_t> stream_;
  size_t position_ = kFixedSize;
};

void check_magic_and_version(std::span<const uint8_t> stream) {
  if (stream.empty()) fail(ErrorCode::kEmptyStream, "stream is empty; give the bytes of a .tnf file");
  const size_t compared = std::min(stream.size(), kMagic.size());
  if (!std::equal(kMagic.begin(), kMagic.begin() + compared, stream.begin())) {
    fail(ErrorCode::kNotATreeNetStream, "not a TreeNet stream: it starts with " + hex(stream.first(compared)) +
                                            ", not with 544e46 (TNF); give a .tnf file");
  }
  if (stream.size() <= kMagic.size()) fail_short_header(stream);
  const int version = stream[kMagic.size()];
  if (version > kStreamVersion) {
    fail(ErrorCode::kNewerVersion, "stream has version " + std::to_string(version) + ", this library reads up to " +
                                       std::to_string(kStreamVersion) + "; upgrade treenet_fast");
  }
  if (version < kStreamVersion) fail_corrupt("there is no version " + std::to_string(version));
}

}  // namespace

std::vector<uint8_t> write_stream(const StreamInfo& info, std::span<const std::vector<uint8_t>> segments) {
  const auto side_fits = [](int side) { return side >= 1 && side <= kMaximumSide; };
  if (!side_fits(info.width) || !side_fits(info.height)) {
    fail(ErrorCode::kInvalidArgument, "image of " + std::to_string(info.width) + " x " + std::to_string(info.height) +
                                          " pixels; sides have to be 1 to " + std::to_string(kMaximumSide));
  }
  if (info.quality < 1 || info.quality > static_cast<int>(kMaximumQuality)) {
    fail(ErrorCode::kInvalidArgument, "quality " + std::to_string(info.quality) + " is outside 1..100");
  }
  std::vector<uint8_t> lengths;
  size_t payload_size = 0;
  for (size_t i = 0; i < segments.size(); ++i) {
    payload_size += segments[i].size();
    if (payload_size > kMaximumPayload) break;
    if (i + 1 < segments.size()) append_leb128(lengths, static_cast<uint32_t>(segments[i].size()));
  }
  payload_size += lengths.size();
  if (payload_size > kMaximumPayload) {
    fail(ErrorCode::kTooLarge, "the compressed image is larger than the format's limit of " +
                                   std::to_string(kMaximumPayload) +
                                   " bytes; lower the quality or cut the image in parts");
  }

  std::vector<uint8_t> stream(kFixedSize);
  std::copy(kMagic.begin(), kMagic.end(), stream.begin());
  stream[3] = kStreamVersion;
  std::copy(info.model_id.begin(), info.model_id.end(), stream.begin() + kModelIdAt);
  stream[kQualityAt] = static_cast<uint8_t>(static_cast<uint32_t>(info.quality) | (info.grey ? kGreyFlag : 0));
  append_leb128(stream, static_cast<uint32_t>(info.width));
  append_leb128(stream, static_cast<uint32_t>(info.height));
  append_leb128(stream, static_cast<uint32_t>(payload_size));
  stream.reserve(stream.size() + payload_size);
  stream.insert(stream.end(), lengths.begin(), lengths.end());
  for (const auto& segment : segments) stream.insert(stream.end(), segment.begin(), segment.end());
  store_le32(&stream[kStreamCrcAt], crc32(std::span<const uint8_t>(stream).subspan(kStreamCrcFrom)));
  return stream;
}

Header parse_header(std::span<const uint8_t> stream, uint64_t max_pixels) {
  check_magic_and_version(stream);
  if (stream.size() < kFixedSize) fail_short_header(stream);
  Header header{};
  header.stream_crc = load_le32(&stream[kStreamCrcAt]);
  std::copy_n(&stream[kModelIdAt], header.model_id.size(), header.model_id.begin());
  header.grey = (stream[kQualityAt] & kGreyFlag) != 0;
  const uint32_t quality = stream[kQualityAt] & ~kGreyFlag;
  FieldReader fields(stream);
  const uint32_t width = fields.read("width", kSideMaximumBytes);
  const uint32_t height = fields.read("height", kSideMaximumBytes);
  const size_t announced = fields.read("payload length", kLeb128MaximumBytes);
  header.header_size = fields.position();
  check_range("quality", quality, kMaximumQuality);
  check_range("width", width, kMaximumSide);
  check_range("height", height, kMaximumSide);
  header.quality = static_cast<int>(quality);
  header.width = static_cast<int>(width);
  header.height = static_cast<int>(height);

  const size_t there = stream.size() - header.header_size;
  if (there < announced) {
    fail_truncated("the header announces " + std::to_string(announced) + " bytes of payload, " + std::to_string(there) +
                   " are there");
  }
  if (there > announced) {
    fail_corrupt(std::to_string(there - announced) + " bytes follow the " + std::to_string(announced) +
                 " bytes of payload that the header announces");
  }
  if (crc32(stream.subspan(kStreamCrcFrom)) != header.stream_crc) fail_corrupt("its checksum does not match its bytes");
  const uint64_t pixels = static_cast<uint64_t>(header.width) * static_cast<uint64_t>(header.height);
  if (pixels > max_pixels) {
    fail(ErrorCode::kTooLarge, "image of " + std::to_string(header.width) + " x " + std::to_string(header.height) +
                                   " = " + std::to_string(pixels) + " pixels is above the limit of " +
                                   std::to_string(max_pixels) + "; raise the pixel limit if you trust the file");
  }
  return header;
}

void check_model(const Header& header, std::span<const uint8_t> model_hash) {
  const auto id = model_hash.first(header.model_id.size());
  if (!std::equal(id.begin(), id.end(), header.model_id.begin())) {
    fail(ErrorCode::kWrongModel, "stream was made with model " + hex(header.model_id) + ", this is model " + hex(id) +
                                     "; decode it with the model that it was made with");
  }
}

std::vector<std::span<const uint8_t>> split_payload(std::span<const uint8_t> payload, size_t segment_count) {
  // A length takes a byte at least, which bounds what is allocated here by the size of the stream.
  if (payload.size() < segment_count - 1) fail_corrupt("the payload is too short for its segments");
  std::vector<size_t> lengths(segment_count - 1);
  size_t position = 0;
  for (size_t& length : lengths) {
    const auto number = read_leb128(kLeb128MaximumBytes, [&] {
      if (position == payload.size()) fail_corrupt("the payload ends within the lengths of its segments");
      return payload[position++];
    });
    if (!number) fail_corrupt("the length of a segment is not a valid number");
    length = *number;
  }
  auto rest = payload.subspan(position);
  std::vector<std::span<const uint8_t>> segments;
  segments.reserve(segment_count);
  for (const size_t length : lengths) {
    if (length > rest.size()) fail_corrupt("its segments are longer than the payload");
    segments.push_back(rest.first(length));
    rest = rest.subspan(length);
  }
  segments.push_back(rest);
  return segments;
}

}  // namespace treenet

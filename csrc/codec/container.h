// The container (SPEC §8): header, checksums, and the payload's split into segments.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace treenet {

inline constexpr uint8_t kStreamVersion = 1;
inline constexpr int kMaximumSide = 65535;  // of an image

using ModelId = std::array<uint8_t, 4>;  // the first bytes of the model's hash

// What the encoder knows of a stream, and what a decoder learns from its header.
struct StreamInfo {
  ModelId model_id;
  int quality;  // 1..100
  bool grey;
  int width, height;  // 1..65535
};

struct Header : StreamInfo {
  uint32_t stream_crc;  // of everything after itself; parse_header has checked it
  size_t header_size;   // the payload is the rest of the stream
};

// A whole stream. Throws Error(kInvalidArgument) on fields out of range, Error(kTooLarge) on more payload than the
// length field can say.
std::vector<uint8_t> write_stream(const StreamInfo& info, std::span<const std::vector<uint8_t>> segments);

// Reads the header and makes all checks of SPEC §8 except those on the model and the symbols. Errors: kEmptyStream,
// kNotATreeNetStream, kNewerVersion, kTruncated, kCorrupt, kTooLarge (more than `max_pixels`).
Header parse_header(std::span<const uint8_t> stream, uint64_t max_pixels);

// Throws Error(kWrongModel) unless the stream was made with the model of this hash (32 bytes; four are compared).
void check_model(const Header& header, std::span<const uint8_t> model_hash);

// The bytes of each segment. `payload` is the stream after its header; throws Error(kCorrupt) if it cannot be
// `segment_count` (1 or more) segments.
std::vector<std::span<const uint8_t>> split_payload(std::span<const uint8_t> payload, size_t segment_count);

}  // namespace treenet

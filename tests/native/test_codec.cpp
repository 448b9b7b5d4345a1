// The whole codec, on every instruction set that this machine has: the same bytes and pixels, whatever the size of the
// image and the number of threads; and damaged streams, also behind a checksum that fits, end in an error. Under the
// address sanitizer these runs also show that no kernel leaves its buffers.
#include <cfenv>
#include <random>
#include <thread>
#include <vector>

#include "check.h"
#include "codec/bytes.h"
#include "codec/codec.h"
#include "codec/crc32.h"
#include "codec/geometry.h"
#include "cpu/backend.h"
#include "cpu/dispatch.h"
#include "random_model.h"

namespace treenet {
namespace {

using Bytes = std::vector<std::uint8_t>;
using testing::RandomModel;

constexpr std::uint64_t kNoLimit = std::uint64_t{1} << 40;

std::shared_ptr<const Model> model() {
  static const RandomModel random(1);
  static const std::shared_ptr<const Model> made = random.make();
  return made;
}

Codec codec(const std::string& isa, int threads) {
  return Codec(model(), std::make_unique<cpu::CpuBackend>(*model(), isa, threads));
}

// Smooth shapes with some noise.
Bytes image(int height, int width) {
  std::mt19937 random(static_cast<unsigned>(height) * 65536u + static_cast<unsigned>(width));
  Bytes pixels(static_cast<std::size_t>(height) * width * 3);
  for (std::size_t i = 0; i < pixels.size(); ++i) {
    const std::size_t x = i / 3 % width, y = i / 3 / width;
    pixels[i] = static_cast<std::uint8_t>(3 * x + 2 * y * (i % 3) + random() % 16);
  }
  return pixels;
}

Bytes decode(const Codec& codec, const Bytes& stream) {
  const Header header = parse_header(stream, kNoLimit);
  Bytes pixels(static_cast<std::size_t>(header.height) * header.width * 3);
  codec.decode(header, stream, pixels.data());
  return pixels;
}

// The stream with a checksum that fits its bytes.
void seal(Bytes& stream) { store_le32(&stream[4], crc32(std::span<const std::uint8_t>(stream).subspan(8))); }

struct Size {
  int height, width;
};

TEST("every instruction set and any number of threads give the same bytes and pixels") {
  // Odd sizes; wider than a tile of either transform (192 and 384 columns); more than one segment (wide latents).
  for (const Size size : {Size{1, 1}, {7, 5}, {16, 16}, {63, 65}, {33, 210}, {9, 790}}) {
    const Bytes pixels = image(size.height, size.width);
    const ImageView view{pixels.data(), size.height, size.width};
    const Codec oracle = codec("scalar", 1);
    const Bytes stream = oracle.encode(view, 60, false);
    const Bytes decoded = decode(oracle, stream);
    for (const std::string& isa : cpu::usable_isas()) {
      for (const int threads : {1, 4}) {
        const Codec other = codec(isa, threads);
        CHECK_EQUAL(std::string(other.backend().name()), isa);
        CHECK(other.encode(view, 60, false) == stream);
        CHECK(decode(other, stream) == decoded);
      }
    }
  }
}

TEST("several segments") {
  constexpr int kHeight = 512 * 64 + 1, kWidth = 1;  // one column of hyper-latents: 512 rows a segment, of 513
  CHECK_EQUAL(Geometry(kHeight, kWidth).segments.size(), 2u);
  const Bytes pixels = image(kHeight, kWidth);
  const std::string isa = cpu::usable_isas().back();
  const Codec one = codec(isa, 1), several = codec(isa, 3);
  const Bytes stream = several.encode({pixels.data(), kHeight, kWidth}, 30, false);
  CHECK(one.encode({pixels.data(), kHeight, kWidth}, 30, false) == stream);
  CHECK(decode(several, stream) == decode(one, stream));
}

TEST("one codec serves several threads") {
  const Codec c = codec(cpu::usable_isas().back(), 3);
  const Bytes a = image(40, 90), b = image(70, 33);
  const Bytes stream_a = c.encode({a.data(), 40, 90}, 10, false), stream_b = c.encode({b.data(), 70, 33}, 90, false);
  const Bytes pixels_a = decode(c, stream_a), pixels_b = decode(c, stream_b);
  std::vector<std::thread> users;
  std::vector<int> equal(4);
  for (int i = 0; i < 4; ++i) {
    users.emplace_back([&, i] {
      for (int k = 0; k < 5; ++k) {
        equal[i] += i % 2 == 0 ? decode(c, stream_a) == pixels_a && c.encode({a.data(), 40, 90}, 10, false) == stream_a
                               : decode(c, stream_b) == pixels_b && c.encode({b.data(), 70, 33}, 90, false) == stream_b;
      }
    });
  }
  for (std::thread& user : users) user.join();
  for (const int count : equal) CHECK_EQUAL(count, 5);
}

TEST("damage behind a fitting checksum is found, and never read as an image") {
  const Codec c = codec(cpu::usable_isas().back(), 1);
  const Bytes pixels = image(48, 48);
  const Bytes stream = c.encode({pixels.data(), 48, 48}, 50, false);
  const std::size_t payload = parse_header(stream, kNoLimit).header_size;
  std::mt19937 random(7);
  int refused = 0;
  constexpr int kCases = 400;
  for (int i = 0; i < kCases; ++i) {
    Bytes damaged = stream;
    const std::size_t at = payload + random() % (damaged.size() - payload);
    damaged[at] ^= static_cast<std::uint8_t>(1 + random() % 255);
    seal(damaged);
    try {
      decode(c, damaged);
    } catch (const Error& error) {
      CHECK(error.code == ErrorCode::kCorrupt);
      ++refused;
    }
  }
  CHECK_EQUAL(refused, kCases);
}

TEST("a stream that claims another size is refused") {
  const Codec c = codec(cpu::usable_isas().back(), 1);
  const Bytes pixels = image(32, 32);
  Bytes stream = c.encode({pixels.data(), 32, 32}, 50, false);
  stream[17] = 100;  // the width
  seal(stream);
  CHECK_ERROR(decode(c, stream), ErrorCode::kCorrupt, "");
}

TEST("the caller's rounding mode changes nothing, and is kept") {
  const Bytes pixels = image(40, 50);
  const Bytes expected = codec("scalar", 1).encode({pixels.data(), 40, 50}, 50, false);
  const Bytes decoded = decode(codec("scalar", 1), expected);
  for (const int mode : {FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO}) {
    std::fesetround(mode);
    std::vector<bool> same;
    for (const std::string& isa : cpu::usable_isas()) {
      const Codec c = codec(isa, 3);  // whose threads inherit the mode
      same.push_back(c.encode({pixels.data(), 40, 50}, 50, false) == expected);
      same.push_back(decode(c, expected) == decoded);
    }
    const int kept = std::fegetround();
    std::fesetround(FE_TONEAREST);
    CHECK_EQUAL(kept, mode);
    for (const bool equal : same) CHECK(equal);
  }
}

TEST("arguments out of range are refused") {
  const Codec c = codec("scalar", 1);
  const Bytes pixels = image(1, 1);
  CHECK_ERROR(c.encode({pixels.data(), 1, 1}, 0, false), ErrorCode::kInvalidArgument, "quality");
  CHECK_ERROR(c.encode({pixels.data(), 1, 1}, 101, false), ErrorCode::kInvalidArgument, "quality");
  CHECK_ERROR(c.encode({pixels.data(), 1, 70000}, 50, false), ErrorCode::kTooLarge, "65535");
  CHECK_ERROR(codec("sse9", 1), ErrorCode::kBackend, "scalar");
}

TEST("a stream of another model is refused") {
  const Bytes pixels = image(8, 8);
  Bytes stream = codec("scalar", 1).encode({pixels.data(), 8, 8}, 50, false);
  stream[12] ^= 1;
  seal(stream);
  CHECK_ERROR(decode(codec("scalar", 1), stream), ErrorCode::kWrongModel, "");
}

}  // namespace
}  // namespace treenet

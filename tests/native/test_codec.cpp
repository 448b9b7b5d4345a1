// The whole codec, on every instruction set that this machine has: the same bytes and pixels, whatever the size of the
// image and the number of threads; and damaged streams, also behind a checksum that fits, end in an error. Under the
// address sanitizer these runs also show that no kernel leaves its buffers.
#include <cfenv>
#include <random>
#include <vector>

#include "check.h"
#include "codec_fixtures.h"
#include "cpu/dispatch.h"

namespace treenet {
namespace {

using namespace testing;

struct Size {
  int height, width;
};

TEST("every instruction set and any number of threads give the same bytes and pixels") {
  // Odd sizes; wider than a tile of either transform (192 and 384 columns).
  for (const Size size : {Size{1, 1}, {7, 5}, {16, 16}, {63, 65}, {33, 210}, {9, 790}}) {
    const Bytes pixels = image(size.height, size.width);
    const Codec oracle = codec("scalar", 1);
    const Bytes stream = encode(oracle, pixels, size.height, size.width, 60);
    const Bytes decoded = decode(oracle, stream);
    for (const std::string& isa : cpu::usable_isas()) {
      for (const int threads : {1, 4}) {
        const Codec other = codec(isa, threads);
        CHECK_EQUAL(std::string(other.backend().name()), isa);
        CHECK(encode(other, pixels, size.height, size.width, 60) == stream);
        CHECK(decode(other, stream) == decoded);
      }
    }
  }
}

TEST("all latents coded, and none") {
  for (const int skip : {0, 64}) {
    RandomModel random(4);
    *random.data<std::int32_t>("entropy.skip") = skip;
    const std::shared_ptr<const Model> model = random.make();
    for (const Size size : {Size{1, 1}, {16, 17}, {63, 65}, {33, 210}}) {
      const Bytes pixels = image(size.height, size.width);
      const Codec oracle = codec(model, "scalar", 1);
      const Bytes stream = encode(oracle, pixels, size.height, size.width, 60);
      const Bytes decoded = decode(oracle, stream);
      for (const std::string& isa : cpu::usable_isas()) {
        const Codec other = codec(model, isa, 2);
        CHECK(encode(other, pixels, size.height, size.width, 60) == stream);
        CHECK(decode(other, stream) == decoded);
      }
    }
  }
}

// With little kept all images go by bands, as large ones do, and these have more rows than a band; with much kept, and
// a trace, they go as a whole. Of the second the upper levels are whole before the last band of the analysis begins,
// and the last ones have features in mappings, whose pages move in the synthesis, and several tiles; with some memory
// kept a second round finds what the first one left.
TEST("images that go by bands have the same bytes and pixels") {
  const std::shared_ptr<const Model> model = RandomModel(3).make();
  for (const std::string& isa : cpu::usable_isas()) {
    if (isa == "scalar") continue;  // by the same schedule, and slow
    const auto codec_that_keeps = [&](std::size_t bytes, int threads) {
      return Codec(model, std::make_unique<cpu::CpuBackend>(*model, isa, threads, bytes));
    };
    const Codec whole = codec_that_keeps(cpu::Networks::kKeptBytes, 2);
    for (const Size size : {Size{2300, 20}, {1080, 24}, {1120, 40}, {2290, 260}, {300, 900}}) {
      const Bytes pixels = image(size.height, size.width);
      Trace trace;
      const Bytes stream = encode(whole, pixels, size.height, size.width, 60, &trace), decoded = decode(whole, stream);
      const bool large = size.width > 100;
      const Codec by_bands = codec_that_keeps(large ? 6 << 20 : 0, large ? 3 : 1);
      for (int round = 0; round < 2; ++round) {
        CHECK(encode(by_bands, pixels, size.height, size.width, 60) == stream);
        CHECK(decode(by_bands, stream) == decoded);
      }
    }
  }
}

TEST("factors of all sizes, so that products leave 32 bits and vanish") {
  const Bytes pixels = image(40, 70);
  for (const int zero_point : {0, 255}) {
    const std::shared_ptr<const Model> model = model_of_extremes(zero_point);
    const Codec oracle = codec(model, "scalar", 1);
    const Bytes stream = encode(oracle, pixels, 40, 70, 60), decoded = decode(oracle, stream);
    for (const std::string& isa : cpu::usable_isas()) {
      CHECK(encode(codec(model, isa, 1), pixels, 40, 70, 60) == stream);
      CHECK(decode(codec(model, isa, 1), stream) == decoded);
    }
  }
}

TEST("damage behind a fitting checksum is found, and never read as an image") {
  const Codec c = codec(cpu::fastest_isa(), 1);
  const Bytes pixels = image(48, 48);
  const Bytes stream = encode(c, pixels, 48, 48, 50);
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
  const Codec c = codec(cpu::fastest_isa(), 1);
  const Bytes pixels = image(32, 32);
  Bytes stream = encode(c, pixels, 32, 32, 50);
  stream[13] = 100;  // the width
  seal(stream);
  CHECK_ERROR(decode(c, stream), ErrorCode::kCorrupt, "");
}

TEST("the caller's rounding mode changes nothing, and is kept") {
  const Bytes pixels = image(40, 50);
  const Bytes expected = encode(codec("scalar", 1), pixels, 40, 50, 50);
  const Bytes decoded = decode(codec("scalar", 1), expected);
  for (const int mode : {FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO}) {
    std::fesetround(mode);
    std::vector<bool> same;
    for (const std::string& isa : cpu::usable_isas()) {
      const Codec c = codec(isa, 3);  // whose threads inherit the mode
      same.push_back(encode(c, pixels, 40, 50, 50) == expected);
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
  CHECK_ERROR(encode(c, pixels, 1, 1, 0), ErrorCode::kInvalidArgument, "quality");
  CHECK_ERROR(encode(c, pixels, 1, 1, 101), ErrorCode::kInvalidArgument, "quality");
  CHECK_ERROR(encode(c, pixels, 1, 70000, 50), ErrorCode::kTooLarge, "65535");
  CHECK_ERROR(codec("sse9", 1), ErrorCode::kBackend, "scalar");
}

TEST("a stream of another model is refused") {
  const Bytes pixels = image(8, 8);
  Bytes stream = encode(codec("scalar", 1), pixels, 8, 8, 50);
  stream[8] ^= 1;
  seal(stream);
  CHECK_ERROR(decode(codec("scalar", 1), stream), ErrorCode::kWrongModel, "");
}

}  // namespace
}  // namespace treenet

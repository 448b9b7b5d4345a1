// Threads in the whole codec: those that share an image, and those that share a codec. Under the thread sanitizer these
// runs also show that no two of them meet.
#include <thread>
#include <vector>

#include "check.h"
#include "codec/geometry.h"
#include "codec_fixtures.h"
#include "cpu/dispatch.h"

namespace treenet {
namespace {

using namespace testing;

TEST("threads that share the rows of an image") {
  constexpr int kHeight = 600, kWidth = 60;
  const Bytes pixels = image(kHeight, kWidth);
  const std::string isa = cpu::fastest_isa();
  const Codec one = codec(isa, 1);
  const Bytes stream = encode(one, pixels, kHeight, kWidth, 60), decoded = decode(one, stream);
  for (const int threads : {2, 3, 9}) {  // fewer and more than bottlenecks
    const Codec several = codec(isa, threads);
    CHECK(encode(several, pixels, kHeight, kWidth, 60) == stream);
    CHECK(decode(several, stream) == decoded);
  }
}

TEST("several segments") {
  constexpr int kHeight = 128 * 64 + 1, kWidth = 1;  // one column of hyper-latents: 128 rows a segment, of 129
  CHECK_EQUAL(Geometry(kHeight, kWidth).segments.size(), 2u);
  const Bytes pixels = image(kHeight, kWidth);
  const std::string isa = cpu::fastest_isa();
  const Codec one = codec(isa, 1);
  const Bytes stream = encode(one, pixels, kHeight, kWidth, 30), decoded = decode(one, stream);
  for (const int threads : {3, 9}) {
    const Codec several = codec(isa, threads);
    CHECK(encode(several, pixels, kHeight, kWidth, 30) == stream);
    CHECK(decode(several, stream) == decoded);
  }
}

TEST("one codec serves several threads") {
  const Codec c = codec(cpu::fastest_isa(), 3);
  const Bytes a = image(40, 90), b = image(70, 33);
  const Bytes stream_a = encode(c, a, 40, 90, 10), stream_b = encode(c, b, 70, 33, 90);
  const Bytes pixels_a = decode(c, stream_a), pixels_b = decode(c, stream_b);
  std::vector<std::thread> users;
  std::vector<int> equal(4);
  for (int i = 0; i < 4; ++i) {
    users.emplace_back([&, i] {
      for (int k = 0; k < 5; ++k) {
        equal[i] += i % 2 == 0 ? decode(c, stream_a) == pixels_a && encode(c, a, 40, 90, 10) == stream_a
                               : decode(c, stream_b) == pixels_b && encode(c, b, 70, 33, 90) == stream_b;
      }
    });
  }
  for (std::thread& user : users) user.join();
  for (const int count : equal) CHECK_EQUAL(count, 5);
}

TEST("one codec takes images by bands from several threads") {
  const std::shared_ptr<const Model> model = RandomModel(3).make();
  const Codec c(model, std::make_unique<cpu::CpuBackend>(*model, cpu::fastest_isa(), 2, 4 << 20));
  constexpr int kHeight = 1100, kWidth = 260;
  const Bytes pixels = image(kHeight, kWidth), stream = encode(c, pixels, kHeight, kWidth, 60);
  const Bytes decoded = decode(c, stream);
  std::vector<std::thread> users;
  std::vector<int> equal(3);
  for (int i = 0; i < 3; ++i) {
    users.emplace_back([&, i] {
      for (int k = 0; k < 2; ++k) {
        equal[i] += decode(c, stream) == decoded && encode(c, pixels, kHeight, kWidth, 60) == stream;
      }
    });
  }
  for (std::thread& user : users) user.join();
  CHECK(equal == std::vector<int>(3, 2));
}

}  // namespace
}  // namespace treenet

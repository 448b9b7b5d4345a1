// The memory of one batch, and its launches.
#include <vector>

#include "check.h"
#include "cuda/space.h"
#include "emulation/emulation.h"
#include "guarded_pieces.h"

namespace treenet::cuda {
namespace {

TEST("pieces lie in one allocation, or apart") {
  const Geometry geometry(16, 16);
  const std::size_t bytes = Space::device_bytes(geometry, 1, Direction::kEncode);
  {
    const Space space(geometry, 1, Direction::kEncode);
    CHECK_EQUAL(emulation::memory_in_use(), bytes);
  }
  const testing::GuardedPieces guards;
  const Space space(geometry, 1, Direction::kEncode);
  CHECK(emulation::memory_in_use() < bytes);  // nothing is rounded up
  const Space decoder(geometry, 1, Direction::kDecode);
  CHECK(decoder.device.latents == nullptr);
}

TEST("launches are recorded when they are run again") {
  Space space(Geometry(16, 16), 1, Direction::kEncode);
  const Stream stream;
  std::vector<StreamHandle> given;
  const auto work = [&](StreamHandle into) {
    given.push_back(into);
    fill_zero(space.device.psi, 1, into);
  };
  auto* const byte = reinterpret_cast<unsigned char*>(space.device.psi);
  for (const int put : {1, 2, 2}) {
    *byte = 1;
    space.run(0, stream.handle(), work);
    CHECK_EQUAL(*byte, 0);
    CHECK_EQUAL(given.size(), static_cast<std::size_t>(put));
  }
  CHECK(given[0] == stream.handle());
  CHECK(given[1] != stream.handle());
  space.run(1, stream.handle(), work);
  CHECK_EQUAL(given.size(), 3u);
}

}  // namespace
}  // namespace treenet::cuda

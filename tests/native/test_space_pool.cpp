// What a process keeps of a device's memory for calls to come.
#include <cstddef>
#include <memory>
#include <vector>

#include "check.h"
#include "cuda/space_pool.h"
#include "emulation/emulation.h"

namespace treenet::cuda {
namespace {

using emulation::memory_in_use;

constexpr Direction kDirection = Direction::kDecode;
constexpr int kOwner = 0, kOther = 0;  // only their addresses count

const Geometry kSmall(16, 16), kLarge(64, 64);

std::size_t bytes_of(const Geometry& geometry) { return Space::device_bytes(geometry, 1, kDirection); }

// A device's memory of another size, while it lasts.
class Memory {
 public:
  explicit Memory(std::size_t bytes) { emulation::set_memory(bytes); }
  ~Memory() { emulation::set_memory(std::size_t{1} << 30); }
};

TEST("a space comes back to its owner, and to nobody else") {
  const auto pool = std::make_shared<SpacePool>(0);
  const Space* const space = pool->take(&kOwner, kSmall, 1, kDirection).get();
  CHECK_EQUAL(memory_in_use(), bytes_of(kSmall));
  CHECK(pool->take(&kOther, kSmall, 1, kDirection).get() != space);
  CHECK(pool->take(&kOwner, kSmall, 2, kDirection).get() != space);
  CHECK(pool->take(&kOwner, kSmall, 1, Direction::kEncode).get() != space);
  CHECK(pool->take(&kOwner, kLarge, 1, kDirection).get() != space);
  const auto again = pool->take(&kOwner, kSmall, 1, kDirection);
  CHECK(again.get() == space);
  CHECK(pool->take(&kOwner, kSmall, 1, kDirection).get() != space);
}

TEST("all that use a device share its pool") {
  const auto pool = SpacePool::of(0);
  CHECK(SpacePool::of(0) == pool);
}

TEST("no more than two spaces of a size are made while the device works") {
  const auto pool = std::make_shared<SpacePool>(0);
  std::vector<const Space*> used;
  emulation::set_busy(true);
  for (int i = 0; i < 5; ++i) {
    const auto space = pool->take(&kOwner, kSmall, 1, kDirection);
    CHECK(space->done.passed());
    used.push_back(space.get());
    space->done.record(nullptr);
  }
  emulation::set_busy(false);
  CHECK(used[0] != used[1]);
  const std::vector<const Space*> in_turn{used[0], used[1], used[0], used[1], used[0]};
  CHECK(used == in_turn);
  CHECK_EQUAL(memory_in_use(), 2 * bytes_of(kSmall));
}

TEST("a sixteenth of the memory is kept, of what was used last") {
  const Memory memory(16 * 3 * bytes_of(kLarge));
  const auto pool = std::make_shared<SpacePool>(0);
  for (const void* owner : {&kOwner, &kOther}) {
    for (const int width : {64, 63}) pool->take(owner, Geometry(64, width), 1, kDirection);
  }
  CHECK_EQUAL(memory_in_use(), 3 * bytes_of(kLarge));
  for (const int width : {64, 63}) {
    pool->take(&kOther, Geometry(64, width), 1, kDirection);
    CHECK_EQUAL(memory_in_use(), 3 * bytes_of(kLarge));
  }
  // The first is gone, and for it goes the second.
  const auto first = pool->take(&kOwner, kLarge, 1, kDirection);
  CHECK_EQUAL(memory_in_use(), 3 * bytes_of(kLarge));
  const auto second = pool->take(&kOwner, Geometry(64, 63), 1, kDirection);
  CHECK_EQUAL(memory_in_use(), 4 * bytes_of(kLarge));
}

TEST("a space beyond that is not kept, and takes no other's place") {
  const Memory memory(16 * bytes_of(kSmall));
  const auto pool = std::make_shared<SpacePool>(0);
  const Space* const small = pool->take(&kOwner, kSmall, 1, kDirection).get();
  {
    const auto other = pool->take(&kOwner, kSmall, 1, kDirection);
    CHECK(other.get() == small);
    const auto large = pool->take(&kOwner, kLarge, 1, kDirection);
    CHECK_EQUAL(memory_in_use(), bytes_of(kSmall) + bytes_of(kLarge));
  }
  CHECK_EQUAL(memory_in_use(), bytes_of(kSmall));
  CHECK(pool->take(&kOwner, kSmall, 1, kDirection).get() == small);
}

TEST("32 spaces are kept") {
  const auto pool = std::make_shared<SpacePool>(0);
  for (int width = 1; width <= 40; ++width) pool->take(&kOwner, Geometry(16, width), 1, kDirection);
  std::size_t expected = 0;
  for (int width = 9; width <= 40; ++width) expected += bytes_of(Geometry(16, width));
  CHECK_EQUAL(memory_in_use(), expected);
}

TEST("where memory lacks, all that is kept goes") {
  const auto pool = std::make_shared<SpacePool>(0);
  for (int width = 1; width <= 20; ++width) pool->take(&kOwner, Geometry(16, width), 1, kDirection);
  const Memory memory(bytes_of(kLarge));
  {
    const auto large = pool->take(&kOther, kLarge, 1, kDirection);
    CHECK_EQUAL(memory_in_use(), bytes_of(kLarge));
    CHECK_ERROR(pool->take(&kOwner, kSmall, 1, kDirection), ErrorCode::kDeviceMemory, "no ");
  }
  pool->take(&kOwner, kSmall, 1, kDirection);
}

TEST("an owner's spaces go when they are released") {
  const auto pool = std::make_shared<SpacePool>(0);
  const auto used = pool->take(&kOwner, kLarge, 1, kDirection);
  pool->take(&kOwner, kSmall, 1, kDirection);
  const Space* const others = pool->take(&kOther, kSmall, 1, kDirection).get();
  pool->release(&kOwner);
  CHECK_EQUAL(memory_in_use(), bytes_of(kLarge) + bytes_of(kSmall));
  CHECK(pool->take(&kOther, kSmall, 1, kDirection).get() == others);
}

}  // namespace
}  // namespace treenet::cuda

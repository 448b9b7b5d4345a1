#include "cuda/space_pool.h"

#include <algorithm>
#include <map>
#include <new>
#include <utility>

#include "codec/error.h"

namespace treenet::cuda {
namespace {

constexpr std::size_t kKeptShare = 16;  // of the device's memory
constexpr std::size_t kMostKept = 32;
constexpr int kMostBusy = 2;  // of one size, before one is waited for

std::size_t bytes_of(const Space& space) { return Space::device_bytes(space.geometry, space.images, space.direction); }

}  // namespace

std::shared_ptr<SpacePool> SpacePool::of(int device) {
  static std::mutex mutex;
  static std::map<int, std::weak_ptr<SpacePool>> pools;
  const std::lock_guard lock(mutex);
  std::shared_ptr<SpacePool> pool = pools[device].lock();
  if (!pool) pools[device] = pool = std::make_shared<SpacePool>(device);
  return pool;
}

SpacePool::SpacePool(int device) : device_(device), kept_limit_(device_properties(device).memory_bytes / kKeptShare) {}

SpacePool::~SpacePool() {
  if (!origin_.is_forked_child()) return;
  for (Kept& kept : kept_) static_cast<void>(kept.space.release());  // CUDA cannot be called to free it
}

std::shared_ptr<Space> SpacePool::take(const void* owner, const Geometry& geometry, int images, Direction direction) {
  std::unique_ptr<Space> space = find(owner, geometry, images, direction);
  if (!space) {
    make_room(std::min(Space::device_bytes(geometry, images, direction), kept_limit_), 1);
    try {
      space = std::make_unique<Space>(geometry, images, direction);
    } catch (const Error& error) {
      if (error.code != ErrorCode::kDeviceMemory) throw;
      make_room(kept_limit_, kMostKept);  // all that is kept for later has to go
      space = std::make_unique<Space>(geometry, images, direction);
    }
  }
  return {space.release(),
          [pool = shared_from_this(), owner](Space* used) { pool->give_back(std::unique_ptr<Space>(used), owner); }};
}

void SpacePool::release(const void* owner) noexcept {
  remove([&](const Kept& kept) { return kept.owner == owner; });
}

std::unique_ptr<Space> SpacePool::find(const void* owner, const Geometry& geometry, int images, Direction direction) {
  const auto fits = [&](const Kept& kept) {
    const Space& space = *kept.space;
    return kept.owner == owner && space.geometry.height == geometry.height && space.geometry.width == geometry.width &&
           space.images == images && space.direction == direction;
  };
  std::unique_ptr<Space> space;
  {
    const std::lock_guard lock(mutex_);
    int busy = 0;
    auto found = kept_.end();
    for (auto kept = kept_.begin(); kept != kept_.end(); ++kept) {
      if (!fits(*kept)) continue;
      const bool done = kept->space->done.passed();
      if (done || ++busy >= kMostBusy) found = kept;
      if (done) break;
    }
    if (found == kept_.end()) return nullptr;
    space = std::move(found->space);
    kept_.erase(found);
    kept_bytes_ -= bytes_of(*space);
  }
  space->done.wait();
  return space;
}

void SpacePool::give_back(std::unique_ptr<Space> space, const void* owner) {
  const std::size_t bytes = bytes_of(*space);
  if (bytes > kept_limit_) {  // the others may stay
    const DeviceGuard here(device_, std::nothrow);
    space.reset();
    return;
  }
  {
    const std::lock_guard lock(mutex_);
    kept_bytes_ += bytes;
    kept_.push_front({std::move(space), owner});
  }
  make_room(0, 0);
}

void SpacePool::make_room(std::size_t bytes, std::size_t spaces) noexcept {
  remove([&](const Kept&) { return kept_bytes_ + bytes > kept_limit_ || kept_.size() + spaces > kMostKept; });
}

void SpacePool::remove(const std::function<bool(const Kept&)>& unwanted) noexcept {
  std::list<Kept> removed;  // freed without the lock: that waits for the device
  {
    const std::lock_guard lock(mutex_);
    for (auto next = kept_.end(); next != kept_.begin();) {
      const auto kept = std::prev(next);
      if (unwanted(*kept)) {
        kept_bytes_ -= bytes_of(*kept->space);
        removed.splice(removed.end(), kept_, kept);
      } else {
        next = kept;
      }
    }
  }
  if (removed.empty()) return;
  const DeviceGuard here(device_, std::nothrow);
  removed.clear();
}

}  // namespace treenet::cuda

#include "cuda/space_pool.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "codec/error.h"

namespace treenet::cuda {
namespace {

std::size_t bytes_of(const Space& space) { return Space::device_bytes(space.geometry, space.images, space.direction); }

}  // namespace

std::shared_ptr<Space> SpacePool::take(const Geometry& geometry, int images, Direction direction) {
  std::unique_ptr<Space> space = find(geometry, images, direction);
  if (!space) {
    const std::size_t bytes = Space::device_bytes(geometry, images, direction);
    make_room(std::min(bytes, kept_limit_));
    try {
      space = std::make_unique<Space>(geometry, images, direction);
    } catch (const Error&) {  // no memory: what is kept for later has to go
      make_room(kept_limit_);
      space = std::make_unique<Space>(geometry, images, direction);
    }
  }
  return {space.release(), [pool = shared_from_this()](Space* used) { pool->give_back(std::unique_ptr<Space>(used)); }};
}

std::unique_ptr<Space> SpacePool::find(const Geometry& geometry, int images, Direction direction) {
  const std::lock_guard lock(mutex_);
  const auto fits = [&](const std::unique_ptr<Space>& space) {
    return space->geometry.height == geometry.height && space->geometry.width == geometry.width &&
           space->images == images && space->direction == direction && space->done.passed();
  };
  const auto found = std::find_if(kept_.begin(), kept_.end(), fits);
  if (found == kept_.end()) return nullptr;
  std::unique_ptr<Space> space = std::move(*found);
  kept_.erase(found);
  kept_bytes_ -= bytes_of(*space);
  return space;
}

void SpacePool::make_room(std::size_t bytes) {
  std::list<std::unique_ptr<Space>> removed;  // freed when the lock is gone: that waits for the device
  const std::lock_guard lock(mutex_);
  while (!kept_.empty() && kept_bytes_ + bytes > kept_limit_) {
    kept_bytes_ -= bytes_of(*kept_.back());
    removed.splice(removed.end(), kept_, std::prev(kept_.end()));
  }
}

void SpacePool::give_back(std::unique_ptr<Space> space) {
  const std::size_t bytes = bytes_of(*space);
  if (bytes > kept_limit_) return;
  {
    const std::lock_guard lock(mutex_);
    kept_bytes_ += bytes;
    kept_.push_front(std::move(space));
  }
  make_room(0);  // the space just used, the first, fits by itself
}

}  // namespace treenet::cuda

// Spaces for calls to come: making one takes longer than using it.
#pragma once

#include <list>
#include <memory>
#include <mutex>

#include "cuda/space.h"

namespace treenet::cuda {

// Spaces of one device. Safe for many threads.
class SpacePool : public std::enable_shared_from_this<SpacePool> {
 public:
  // Keeps unused spaces of up to `kept_bytes` of the device's memory.
  explicit SpacePool(std::size_t kept_bytes) : kept_limit_(kept_bytes) {}

  // A space that no call uses, the device's work on it done. It comes back here when the last holder lets go.
  std::shared_ptr<Space> take(const Geometry& geometry, int images, Direction direction);

 private:
  std::unique_ptr<Space> find(const Geometry& geometry, int images, Direction direction);
  // Removes spaces, those unused for longest first, until `bytes` more can be kept.
  void make_room(std::size_t bytes);
  void give_back(std::unique_ptr<Space> space);

  const std::size_t kept_limit_;
  std::mutex mutex_;
  std::list<std::unique_ptr<Space>> kept_;  // the last used first
  std::size_t kept_bytes_ = 0;
};

}  // namespace treenet::cuda

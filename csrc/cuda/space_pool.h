// Spaces for calls to come: making one takes longer than using it.
#pragma once

#include <cstddef>
#include <functional>
#include <list>
#include <memory>
#include <mutex>

#include "codec/process.h"
#include "cuda/space.h"

namespace treenet::cuda {

// The unused spaces of one device, of all backends on it: so a process keeps no more than a sixteenth of the device's
// memory, and 32 spaces. Those unused for longest go first. Safe for many threads.
class SpacePool : public std::enable_shared_from_this<SpacePool> {
 public:
  // That of a device, which lives as long as anyone holds it.
  static std::shared_ptr<SpacePool> of(int device);

  explicit SpacePool(int device);
  ~SpacePool();

  // A space that no call uses, the device's work on it done. It comes back here when the last holder lets go. Recorded
  // launches have their owner's weights in them, so a space stays with its owner. Where the device still works on two
  // that would do, this waits for the first of them: a caller that is faster than the device gets no further ahead.
  std::shared_ptr<Space> take(const void* owner, const Geometry& geometry, int images, Direction direction);

  // Frees the spaces of an owner.
  void release(const void* owner) noexcept;

 private:
  struct Kept {
    std::unique_ptr<Space> space;
    const void* owner;
  };

  std::unique_ptr<Space> find(const void* owner, const Geometry& geometry, int images, Direction direction);
  void give_back(std::unique_ptr<Space> space, const void* owner);
  // Frees spaces until so much more can be kept.
  void make_room(std::size_t bytes, std::size_t spaces) noexcept;
  // Frees the spaces that are unwanted; those unused for longest are asked about first.
  void remove(const std::function<bool(const Kept&)>& unwanted) noexcept;

  const Origin origin_;
  const int device_;
  const std::size_t kept_limit_;
  std::mutex mutex_;
  std::list<Kept> kept_;  // the last used first
  std::size_t kept_bytes_ = 0;
};

}  // namespace treenet::cuda

#include "codec/buffer_pool.h"

#include <new>

namespace treenet {

BufferPool::Lease BufferPool::take(std::size_t size) {
  if (!origin_.is_forked_child()) {
    const std::lock_guard lock(mutex_);
    // The smallest that fits without wasting more than it holds.
    std::size_t best = free_.size();
    for (std::size_t i = 0; i < free_.size(); ++i) {
      const std::size_t have = free_[i].size();
      if (have >= size && have <= 2 * size && (best == free_.size() || have < free_[best].size())) best = i;
    }
    if (best != free_.size()) {
      AlignedBuffer buffer = std::move(free_[best]);
      free_[best] = std::move(free_.back());
      free_.pop_back();
      kept_ -= buffer.size();
      return Lease(shared_from_this(), std::move(buffer));
    }
    // Too large to be kept later: a large image needs the memory more than the next call needs what is kept.
    if (size > kept_limit_) free_kept();
  }
  return Lease(shared_from_this(), AlignedBuffer(size));
}

void BufferPool::release() {
  if (origin_.is_forked_child()) return;
  const std::lock_guard lock(mutex_);
  free_kept();
}

void BufferPool::free_kept() {
  // Explicitly: the allocator may keep what it once had for allocations of such a size.
  for (AlignedBuffer& buffer : free_) buffer.release(buffer.size());
  free_.clear();
  kept_ = 0;
}

void BufferPool::give_back(AlignedBuffer buffer) noexcept {
  if (origin_.is_forked_child()) return;
  const std::lock_guard lock(mutex_);
  const std::size_t size = buffer.size();
  if (kept_ + size > kept_limit_) return;
  try {
    free_.push_back(std::move(buffer));
    kept_ += size;
  } catch (const std::bad_alloc&) {
    // Without room to remember it, the buffer is freed instead of kept.
  }
}

}  // namespace treenet

#include "codec/buffer_pool.h"

namespace treenet {

BufferPool::Lease BufferPool::take(std::size_t size) {
  {
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
  }
  return Lease(shared_from_this(), AlignedBuffer(size));
}

void BufferPool::give_back(AlignedBuffer buffer) {
  const std::lock_guard lock(mutex_);
  if (kept_ + buffer.size() > kept_limit_) return;
  kept_ += buffer.size();
  free_.push_back(std::move(buffer));
}

}  // namespace treenet

#include "codec/buffer_pool.h"

#include <algorithm>
#include <cstdint>
#include <new>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#endif

namespace treenet {

static_assert(PageStock::kPage == AlignedBuffer::kHugePage);

namespace {

// Of small buffers nothing is given, but the address sanitizer reports who uses what would have been.
void watch([[maybe_unused]] void* begin, [[maybe_unused]] std::size_t bytes, [[maybe_unused]] bool usable) {
#if defined(__SANITIZE_ADDRESS__)
  if (usable) {
    ASAN_UNPOISON_MEMORY_REGION(begin, bytes);
  } else {
    ASAN_POISON_MEMORY_REGION(begin, bytes);
  }
#endif
}

}  // namespace

void BufferPool::Lease::supply(std::size_t size) {
  if (!pool_ || !buffer_.is_mapping() || pool_->origin_.is_forked_child()) return;
  const std::size_t end = (size + PageStock::kPage - 1) / PageStock::kPage * PageStock::kPage;
  if (end <= supplied_) return;
  pool_->pages_.put(buffer_.as<std::uint8_t>() + supplied_, end - supplied_);
  supplied_ = end;
}

void BufferPool::Lease::give(std::size_t size) {
  if (!pool_ || pool_->origin_.is_forked_child()) return;
  if (!buffer_.is_mapping()) return watch(buffer_.as<void>(), std::min(size, buffer_.size()), false);
  const std::size_t end = size / PageStock::kPage * PageStock::kPage;
  if (end <= given_) return;
  pool_->pages_.take(buffer_.as<std::uint8_t>() + given_, end - given_);
  given_ = end;
}

BufferPool::Lease BufferPool::take(std::size_t size) {
  if (!origin_.is_forked_child()) {
    const std::lock_guard lock(mutex_);
    // The smallest that fits without wasting more than it holds.
    std::size_t best = free_.size();
    for (std::size_t i = 0; i < free_.size(); ++i) {
      const std::size_t have = free_[i].size();
      if (have >= size && have <= 2 * size && (best == free_.size() || have < free_[best].size())) best = i;
    }
    if (best != free_.size()) return lease(remove(best), false);
    if (AlignedBuffer::is_mapping(size)) {
      // None fits, but their pages do.
      for (std::size_t i = free_.size(); i-- > 0 && pages_.bytes() < size;) {
        if (!free_[i].is_mapping()) continue;
        keep_pages(remove(i));
      }
    }
    return lease(AlignedBuffer(size), true);
  }
  return Lease(shared_from_this(), AlignedBuffer(size), true);
}

void BufferPool::trim() {
  if (origin_.is_forked_child()) return;
  const std::lock_guard lock(mutex_);
  settle();
}

void BufferPool::release() {
  if (origin_.is_forked_child()) return;
  const std::lock_guard lock(mutex_);
  free_.clear();
  kept_ = 0;
  pages_.trim(0);
}

void BufferPool::give_back(AlignedBuffer buffer, std::size_t given, std::size_t supplied) noexcept {
  if (origin_.is_forked_child()) return;
  const std::lock_guard lock(mutex_);
  if (buffer.is_mapping()) {
    --mappings_in_use_;
  } else {
    watch(buffer.as<void>(), buffer.size(), true);
  }
  if (!buffer.is_mapping() || (given == 0 && supplied == buffer.mapped_bytes())) {
    try {
      const std::size_t size = buffer.size();
      free_.push_back(std::move(buffer));
      kept_ += size;
    } catch (const std::bad_alloc&) {
      // Without room to remember it, the buffer is freed instead of kept.
    }
  } else {
    keep_pages(buffer, given, supplied);
  }
  if (mappings_in_use_ == 0) settle();
}

BufferPool::Lease BufferPool::lease(AlignedBuffer buffer, bool is_new) {
  if (buffer.is_mapping()) ++mappings_in_use_;
  return Lease(shared_from_this(), std::move(buffer), is_new);
}

AlignedBuffer BufferPool::remove(std::size_t i) noexcept {
  AlignedBuffer buffer = std::move(free_[i]);
  free_[i] = std::move(free_.back());
  free_.pop_back();
  kept_ -= buffer.size();
  return buffer;
}

void BufferPool::keep_pages(AlignedBuffer buffer) noexcept {
  if (buffer.is_mapping()) keep_pages(buffer, 0, buffer.mapped_bytes());
}
void BufferPool::keep_pages(AlignedBuffer& buffer, std::size_t begin, std::size_t end) noexcept {
  if (begin < end) pages_.take(buffer.as<std::uint8_t>() + begin, end - begin);
}

void BufferPool::settle() noexcept {
  while (kept_ > kept_limit_) {
    const auto largest =
        std::max_element(free_.begin(), free_.end(), [](const auto& a, const auto& b) { return a.size() < b.size(); });
    keep_pages(remove(static_cast<std::size_t>(largest - free_.begin())));
  }
  pages_.trim(kept_limit_ - kept_);
}

}  // namespace treenet

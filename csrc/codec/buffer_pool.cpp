#include "codec/buffer_pool.h"

#include <algorithm>
#include <cstdint>
#include <new>
#include <tuple>

// GCC has a macro of its own, older versions of Clang a feature.
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define TREENET_WATCHED
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) && !defined(TREENET_WATCHED)
#define TREENET_WATCHED
#endif
#if defined(TREENET_WATCHED)
#include <sanitizer/asan_interface.h>
#endif

namespace treenet {

namespace {

// Of small buffers nothing is given, but the address sanitizer reports who uses what would have been.
void watch([[maybe_unused]] void* begin, [[maybe_unused]] std::size_t bytes, [[maybe_unused]] bool usable) {
#if defined(TREENET_WATCHED)
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
  pool_->gather_pages(end - supplied_);
  try {
    pool_->pages_.put(buffer_, supplied_, end);
  } catch (const std::bad_alloc&) {
    std::exchange(pool_, nullptr)->abandon(std::move(buffer_), purpose_);
    throw;
  }
  supplied_ = end;
}

void BufferPool::Lease::give(std::size_t size) {
  if (!pool_) return;
  if (!buffer_.is_mapping()) return watch(buffer_.as<void>(), std::min(size, buffer_.size()), false);
  const std::size_t end = size / PageStock::kPage * PageStock::kPage;
  if (end <= given_) return;
  if (pool_->origin_.is_forked_child()) {
    buffer_.discard(given_, end);
  } else {
    pool_->pages_.take(buffer_, given_, end);
  }
  given_ = end;
}

BufferPool::Lease BufferPool::take(std::size_t size, Purpose purpose) {
  if (!origin_.is_forked_child()) {
    const std::lock_guard lock(mutex_);
    if (purpose == Purpose::kWork) {
      // The smallest that fits without wasting more than it holds.
      std::size_t best = free_.size();
      const auto rank = [&](std::size_t i) {
        const bool own = free_[i].from == std::this_thread::get_id();
        return std::tuple(free_[i].buffer.size(), !own, own ? free_.size() - i : i);
      };
      for (std::size_t i = 0; i < free_.size(); ++i) {
        const std::size_t have = free_[i].buffer.size();
        if (have >= size && have <= 2 * size && (best == free_.size() || rank(i) < rank(best))) best = i;
      }
      if (best != free_.size()) return lease(remove(best), purpose, false);
    }
    try {
      return lease(AlignedBuffer(size), purpose, true);
    } catch (const std::bad_alloc&) {
      free_all();  // what is kept is less needed
    }
    return lease(AlignedBuffer(size), purpose, true);
  }
  return Lease(shared_from_this(), AlignedBuffer(size), purpose, true);
}

void BufferPool::gather_pages(std::size_t bytes) noexcept {
  const std::lock_guard lock(mutex_);
  for (std::size_t i = free_.size(); i-- > 0 && pages_.is_usable() && pages_.bytes() < bytes;) {
    if (free_[i].buffer.is_mapping()) keep_pages(remove(i));
  }
}

void BufferPool::release() {
  if (origin_.is_forked_child()) return;
  const std::lock_guard lock(mutex_);
  free_all();
  most_in_use_ = large_in_use_;
}

void BufferPool::retire() {
  if (origin_.is_forked_child()) return;
  const std::lock_guard lock(mutex_);
  kept_limit_ = most_in_use_ = 0;
  free_all();
}

void BufferPool::free_all() noexcept {
  free_.clear();
  kept_ = 0;
  pages_.trim(0);
}

void BufferPool::give_back(AlignedBuffer buffer, Purpose purpose, std::size_t given, std::size_t supplied) noexcept {
  if (origin_.is_forked_child()) return;
  const std::lock_guard lock(mutex_);
  const bool is_work = purpose == Purpose::kWork;
  if (!buffer.is_mapping()) {
    watch(buffer.as<void>(), buffer.size(), true);
  } else if (is_work) {
    large_in_use_ -= buffer.held_bytes();
  }
  if (is_work && (!buffer.is_mapping() || (given == 0 && supplied == buffer.mapped_bytes()))) {
    try {
      const std::size_t bytes = buffer.held_bytes();
      free_.push_back({std::move(buffer), std::this_thread::get_id()});
      kept_ += bytes;
    } catch (const std::bad_alloc&) {
      // Without room to remember it, the buffer is freed instead of kept.
    }
  } else if (buffer.is_mapping()) {
    pages_.take(buffer, std::min(given, supplied), supplied);
  }
  settle(std::max(kept_limit_, large_in_use_));
}

void BufferPool::abandon(AlignedBuffer buffer, Purpose purpose) noexcept {
  const std::lock_guard lock(mutex_);
  if (purpose == Purpose::kWork) large_in_use_ -= buffer.held_bytes();
  buffer.abandon();
}

BufferPool::Lease BufferPool::lease(AlignedBuffer buffer, Purpose purpose, bool is_new) {
  if (buffer.is_mapping() && purpose == Purpose::kWork) {
    large_in_use_ += buffer.held_bytes();
    most_in_use_ = std::max(most_in_use_, large_in_use_);
  }
  return Lease(shared_from_this(), std::move(buffer), purpose, is_new);
}

AlignedBuffer BufferPool::remove(std::size_t i) noexcept {
  AlignedBuffer buffer = std::move(free_[i].buffer);
  free_.erase(free_.begin() + static_cast<std::ptrdiff_t>(i));
  kept_ -= buffer.held_bytes();
  return buffer;
}

void BufferPool::keep_pages(AlignedBuffer buffer) noexcept {
  if (buffer.is_mapping()) pages_.take(buffer, 0, buffer.mapped_bytes());
}

void BufferPool::settle(std::size_t limit) noexcept {
  while (kept_ > limit) {
    const auto largest = std::max_element(
        free_.begin(), free_.end(), [](const Kept& a, const Kept& b) { return a.buffer.size() < b.buffer.size(); });
    keep_pages(remove(static_cast<std::size_t>(largest - free_.begin())));
  }
  pages_.trim(most_in_use_ - std::min(most_in_use_, kept_));
  pages_.lend(limit - kept_);
}

}  // namespace treenet

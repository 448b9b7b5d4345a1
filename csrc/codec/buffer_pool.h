// Buffers that outlive a call, so that a codec in use allocates nothing large.
#pragma once

#include <cstddef>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "codec/aligned_buffer.h"
#include "codec/page_stock.h"
#include "codec/process.h"

namespace treenet {

// Keeps returned buffers, and pages of large ones without them, and hands both out again. It keeps as many bytes of
// pages as large buffers had at most at once in calls, as addresses go. Of all that, `kept_bytes` are kept in any case,
// or what large buffers in use have if that is more; the rest is lent to the system (PageStock). Safe for many threads.
class BufferPool : public std::enable_shared_from_this<BufferPool> {
 public:
  enum class Purpose {
    kWork,    // of a call
    kResult,  // goes to the caller. A large one has no memory before it is supplied; small ones are not kept.
  };

  // Gives its buffer back when it goes. Keeps the pool alive.
  class Lease {
   public:
    Lease() = default;
    Lease(Lease&& other) noexcept { *this = std::move(other); }
    Lease& operator=(Lease&& other) noexcept {
      std::swap(pool_, other.pool_);
      std::swap(buffer_, other.buffer_);
      std::swap(purpose_, other.purpose_);
      std::swap(supplied_, other.supplied_);
      std::swap(given_, other.given_);
      return *this;
    }
    ~Lease() {
      if (pool_) pool_->give_back(std::move(buffer_), purpose_, given_, supplied_);
    }
    template <class T>
    T* as() const {
      return const_cast<AlignedBuffer&>(buffer_).as<T>();
    }
    // For large buffers: puts pages that the pool has under the first `size` bytes, as far as this has not been done;
    // before they are written. Without it the system has to find and clear some. Throws std::bad_alloc if the buffer is
    // lost by it, which is empty then.
    void supply(std::size_t size);
    // Gives the pages of the first `size` bytes to the pool; what is in them is lost.
    void give(std::size_t size);

   private:
    friend class BufferPool;
    Lease(std::shared_ptr<BufferPool> pool, AlignedBuffer buffer, Purpose purpose, bool is_new)
        : pool_(std::move(pool)),
          buffer_(std::move(buffer)),
          purpose_(purpose),
          supplied_(is_new ? 0 : buffer_.mapped_bytes()) {}

    std::shared_ptr<BufferPool> pool_;
    AlignedBuffer buffer_;
    Purpose purpose_ = Purpose::kWork;
    std::size_t supplied_ = 0, given_ = 0;  // bytes, whole huge pages
  };

  explicit BufferPool(std::size_t kept_bytes) : kept_limit_(kept_bytes) {}

  // At least `size` bytes, contents arbitrary. Of buffers that do as well, the one that this thread gave back last,
  // which its core's cache may have, or else the one that others have missed longest.
  Lease take(std::size_t size, Purpose purpose = Purpose::kWork);

  // Frees all that is kept, and forgets how much was in use.
  void release();
  // Keeps nothing from now on: only what callers have is still to come back.
  void retire();

 private:
  // Takes from under kept buffers what the stock has too little of.
  void gather_pages(std::size_t bytes) noexcept;
  // Of a mapping [given, supplied) has pages.
  void give_back(AlignedBuffer buffer, Purpose purpose, std::size_t given, std::size_t supplied) noexcept;
  void abandon(AlignedBuffer buffer, Purpose purpose) noexcept;
  // With the lock:
  Lease lease(AlignedBuffer buffer, Purpose purpose, bool is_new);
  AlignedBuffer remove(std::size_t i) noexcept;  // from those that are kept
  void keep_pages(AlignedBuffer buffer) noexcept;
  void settle(std::size_t limit) noexcept;  // to what is to be kept in any case
  void free_all() noexcept;

  const Origin origin_;  // a forked child allocates and frees, and leaves the lock alone
  std::mutex mutex_;
  std::size_t kept_limit_;
  struct Kept {
    AlignedBuffer buffer;
    std::thread::id from;
  };
  std::vector<Kept> free_;        // in the order in which they came back
  std::size_t kept_ = 0;          // bytes that they hold
  std::size_t large_in_use_ = 0;  // bytes that leased mappings hold for work
  std::size_t most_in_use_ = 0;   // the most of that since the last release
  PageStock pages_;
};

}  // namespace treenet

// Buffers that outlive a call, so that a codec in use allocates nothing large.
#pragma once

#include <cstddef>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "codec/aligned_buffer.h"
#include "codec/process.h"

namespace treenet {

// Keeps returned buffers, up to `kept_bytes` in all, and hands them out again. Safe for many threads.
class BufferPool : public std::enable_shared_from_this<BufferPool> {
 public:
  // Gives its buffer back when it goes. Keeps the pool alive.
  class Lease {
   public:
    Lease() = default;
    Lease(std::shared_ptr<BufferPool> pool, AlignedBuffer buffer)
        : pool_(std::move(pool)), buffer_(std::move(buffer)) {}
    Lease(Lease&&) noexcept = default;
    Lease& operator=(Lease&& other) noexcept {
      std::swap(pool_, other.pool_);
      std::swap(buffer_, other.buffer_);
      return *this;
    }
    ~Lease() {
      if (pool_) pool_->give_back(std::move(buffer_));
    }
    template <class T>
    T* as() const {
      return const_cast<AlignedBuffer&>(buffer_).as<T>();
    }
    // Gives the memory of the first `size` bytes back to the system; what is in them is lost.
    void release(std::size_t size) { buffer_.release(size); }

   private:
    std::shared_ptr<BufferPool> pool_;
    AlignedBuffer buffer_;
  };

  explicit BufferPool(std::size_t kept_bytes) : kept_limit_(kept_bytes) {}

  // At least `size` bytes, contents arbitrary.
  Lease take(std::size_t size);

  // Frees the buffers that are kept.
  void release();

 private:
  void give_back(AlignedBuffer buffer) noexcept;
  void free_kept();  // with the lock

  const Origin origin_;  // a forked child allocates and frees, and leaves the lock alone
  const std::size_t kept_limit_;
  std::mutex mutex_;
  std::vector<AlignedBuffer> free_;
  std::size_t kept_ = 0;
};

}  // namespace treenet

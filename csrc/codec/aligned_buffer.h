// Memory aligned to a cache line, for weights, planes and scratch.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <new>
#include <utility>

namespace treenet {

// Owns `size` uninitialised bytes, aligned to 64. Move-only. Large ones are of huge pages where the system has them:
// one fault and one entry of the TLB then serve as many bytes as 512 of the ordinary ones.
class AlignedBuffer {
 public:
  static constexpr std::size_t kAlignment = 64;
  static constexpr std::size_t kHugePage = std::size_t{2} << 20, kHugeFrom = 2 * kHugePage;

  AlignedBuffer() = default;
  explicit AlignedBuffer(std::size_t size);
  AlignedBuffer(AlignedBuffer&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
  AlignedBuffer& operator=(AlignedBuffer&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
  }
  AlignedBuffer(const AlignedBuffer&) = delete;
  AlignedBuffer& operator=(const AlignedBuffer&) = delete;
  ~AlignedBuffer() { std::free(data_); }

  template <class T>
  T* as() {
    return static_cast<T*>(data_);
  }
  template <class T>
  const T* as() const {
    return static_cast<const T*>(data_);
  }
  std::size_t size() const { return size_; }
  // Gives the memory of the first `size` bytes back to the system, as far as they are whole pages; what is in them is
  // lost, and may be written again.
  void release(std::size_t size) noexcept;

 private:
  void* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace treenet

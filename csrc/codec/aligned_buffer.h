// Memory aligned to a cache line, for weights, planes and scratch.
#pragma once

#include <cstddef>
#include <new>
#include <utility>

namespace treenet {

// Owns `size` uninitialised bytes, aligned to 64. Move-only. On Linux large ones are mappings of their own, of huge
// pages where the system has them: one fault and one entry of the TLB then serve as many bytes as 512 of the ordinary
// ones.
class AlignedBuffer {
 public:
  static constexpr std::size_t kAlignment = 64;
  static constexpr std::size_t kHugePage = std::size_t{2} << 20;

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
  ~AlignedBuffer();

  template <class T>
  T* as() {
    return static_cast<T*>(data_);
  }
  template <class T>
  const T* as() const {
    return static_cast<const T*>(data_);
  }
  std::size_t size() const { return size_; }
  // Whether its memory is of whole huge pages, as many as `size` bytes need, and begins at one.
  bool is_mapping() const { return is_mapping(size_); }
  static bool is_mapping(std::size_t size);
  // How many bytes these pages have, at least `size`.
  std::size_t mapped_bytes() const { return (size_ + kHugePage - 1) / kHugePage * kHugePage; }
  // How many bytes of memory it holds.
  std::size_t held_bytes() const { return is_mapping() ? mapped_bytes() : size_; }
  // Gives the memory of a mapping's bytes [begin, end), whole huge pages, back to the system; what is in it is lost.
  void discard(std::size_t begin, std::size_t end) noexcept;
  // Leaves its memory to itself, where it may no longer be the process's to free.
  void abandon() noexcept {
    data_ = nullptr;
    size_ = 0;
  }

 private:
  void* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace treenet

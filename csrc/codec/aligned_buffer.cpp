#include "codec/aligned_buffer.h"

#include <cstdint>
#include <cstdlib>
#include <new>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace treenet {
namespace {

#if defined(__linux__)

constexpr std::size_t kMappedFrom = 2 * AlignedBuffer::kHugePage;

// `bytes`, a multiple of kHugePage, at a multiple of it; null if there is no memory.
void* map_huge_pages(std::size_t bytes) {
  constexpr std::size_t kPage = AlignedBuffer::kHugePage;
  void* const memory = mmap(nullptr, bytes + kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return nullptr;
  const auto address = reinterpret_cast<std::uintptr_t>(memory);
  const std::uintptr_t begin = (address + kPage - 1) / kPage * kPage, end = begin + bytes;
  if (begin > address) munmap(memory, begin - address);
  if (address + bytes + kPage > end) munmap(reinterpret_cast<void*>(end), address + bytes + kPage - end);
  void* const data = reinterpret_cast<void*>(begin);
  static_cast<void>(madvise(data, bytes, MADV_HUGEPAGE));  // where the system has none to give, ordinary ones do
  return data;
}

#endif

}  // namespace

bool AlignedBuffer::is_mapping([[maybe_unused]] std::size_t size) {
#if defined(__linux__)
  return size >= kMappedFrom;
#else
  return false;
#endif
}

AlignedBuffer::AlignedBuffer(std::size_t size) : size_(size) {
  if (size == 0) return;
#if defined(__linux__)
  if (is_mapping()) {
    data_ = map_huge_pages(mapped_bytes());
    if (data_ == nullptr) throw std::bad_alloc();
    return;
  }
#endif
  data_ = std::aligned_alloc(kAlignment, (size + kAlignment - 1) / kAlignment * kAlignment);
  if (data_ == nullptr) throw std::bad_alloc();
}

void AlignedBuffer::discard([[maybe_unused]] std::size_t begin, [[maybe_unused]] std::size_t end) noexcept {
#if defined(__linux__)
  // Where the system does not take the pages, they stay: nothing depends on it.
  if (begin < end) static_cast<void>(madvise(as<std::uint8_t>() + begin, end - begin, MADV_DONTNEED));
#endif
}

AlignedBuffer::~AlignedBuffer() {
#if defined(__linux__)
  if (is_mapping()) {
    munmap(data_, mapped_bytes());
    return;
  }
#endif
  std::free(data_);
}

}  // namespace treenet

#include "codec/aligned_buffer.h"

#include <cstdint>
#include <cstdlib>
#include <new>

#if defined(__unix__)
#include <sys/mman.h>
#include <unistd.h>
#endif

namespace treenet {

AlignedBuffer::AlignedBuffer(std::size_t size) : size_(size) {
  if (size == 0) return;
#if defined(__linux__) && defined(MADV_HUGEPAGE)
  if (size >= kHugeFrom) {
    if (posix_memalign(&data_, kHugePage, size) != 0) throw std::bad_alloc();
    // Where the system has none to give, ordinary ones do.
    static_cast<void>(madvise(data_, size, MADV_HUGEPAGE));
    return;
  }
#endif
  data_ = std::aligned_alloc(kAlignment, (size + kAlignment - 1) / kAlignment * kAlignment);
  if (data_ == nullptr) throw std::bad_alloc();
}

void AlignedBuffer::release(std::size_t size) noexcept {
#if defined(__unix__) && defined(MADV_DONTNEED)
  static const auto page = static_cast<std::uintptr_t>(sysconf(_SC_PAGESIZE));
  const auto address = reinterpret_cast<std::uintptr_t>(data_);
  const std::uintptr_t begin = (address + page - 1) / page * page, end = (address + size) / page * page;
  // Where the system does not take the pages, they stay: nothing depends on it.
  if (begin < end) static_cast<void>(madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED));
#else
  static_cast<void>(size);
#endif
}

}  // namespace treenet

#include "codec/page_stock.h"

#include <algorithm>
#include <new>

#if defined(__linux__)
#include <sys/mman.h>
#if !defined(MREMAP_DONTUNMAP)
#define MREMAP_DONTUNMAP 4  // linux/mman.h
#endif
#endif

namespace treenet {

#if defined(__linux__)

namespace {

constexpr std::size_t kShelves = std::size_t{4} << 10;  // 8 GiB of addresses

bool map_at(void* place) noexcept {
  return mmap(place, PageStock::kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED,
              -1, 0) != MAP_FAILED;
}

// Moves what is under one page's addresses; both places stay mapped. kLost: the target could not be kept so.
enum class Moved { kYes, kNo, kLost };
Moved move_page(void* from, void* to) noexcept {
  if (mremap(from, PageStock::kPage, PageStock::kPage, MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP, to) !=
      MAP_FAILED) {
    return Moved::kYes;
  }
  return map_at(to) ? Moved::kNo : Moved::kLost;  // it may have been unmapped before the move failed
}

void give_to_system(void* begin, std::size_t bytes) noexcept {
  // Where the system does not take the pages, they stay: nothing depends on it.
  if (bytes != 0) static_cast<void>(madvise(begin, bytes, MADV_DONTNEED));
}

}  // namespace

PageStock::~PageStock() {
  if (shelves_ != nullptr) munmap(shelves_, room_ * kPage);
}

bool PageStock::has_shelves() noexcept {
  if (shelves_ == nullptr && usable_) {
    // One more page, of which what lies before the first whole one is lost.
    void* const memory = mmap(nullptr, (kShelves + 1) * kPage, PROT_READ | PROT_WRITE,
                              MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    usable_ = memory != MAP_FAILED;
    if (usable_) {
      const auto address = reinterpret_cast<std::uintptr_t>(memory);
      const std::uintptr_t first = (address + kPage - 1) / kPage * kPage, end = first + kShelves * kPage;
      shelves_ = reinterpret_cast<std::uint8_t*>(first);
      room_ = kShelves;
      if (first > address) munmap(memory, first - address);
      if (const std::size_t behind = address + (kShelves + 1) * kPage - end; behind > 0) {
        munmap(reinterpret_cast<void*>(end), behind);
      }
    }
  }
  return usable_;
}

void PageStock::take(void* begin, std::size_t bytes) noexcept {
  const std::lock_guard lock(mutex_);
  auto* from = static_cast<std::uint8_t*>(begin);
  std::uint8_t* const end = from + bytes;
  for (; from < end && has_shelves() && count_ < room_; from += kPage) {
    const Moved moved = move_page(from, shelf(count_));
    if (moved != Moved::kYes) {
      usable_ = false;  // a system that cannot will not learn it
      if (moved == Moved::kLost) room_ = count_;
      break;
    }
    ++count_;
  }
  give_to_system(from, static_cast<std::size_t>(end - from));
}

void PageStock::put(void* begin, std::size_t bytes) {
  const std::lock_guard lock(mutex_);
  auto* to = static_cast<std::uint8_t*>(begin);
  for (std::uint8_t* const end = to + bytes; to < end && count_ > 0; to += kPage) {
    const Moved moved = move_page(shelf(count_ - 1), to);
    if (moved == Moved::kLost) throw std::bad_alloc();
    if (moved == Moved::kNo) break;
    --count_;
  }
}

void PageStock::trim(std::size_t bytes) noexcept {
  const std::lock_guard lock(mutex_);
  const std::size_t kept = std::min(count_, bytes / kPage);
  if (kept < count_) give_to_system(shelf(kept), (count_ - kept) * kPage);
  count_ = kept;
}

#else

PageStock::~PageStock() = default;
bool PageStock::has_shelves() noexcept { return false; }
void PageStock::take(void*, std::size_t) noexcept {}
void PageStock::put(void*, std::size_t) {}
void PageStock::trim(std::size_t) noexcept {}

#endif

std::size_t PageStock::bytes() const {
  const std::lock_guard lock(mutex_);
  return count_ * kPage;
}

}  // namespace treenet

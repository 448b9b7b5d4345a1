#include "codec/page_stock.h"

#include <algorithm>
#include <cerrno>
#include <new>

#if defined(__linux__)
#include <sys/mman.h>
#if !defined(MREMAP_DONTUNMAP)
#define MREMAP_DONTUNMAP 4  // linux/mman.h
#endif
#if !defined(MADV_FREE)
#define MADV_FREE 8  // linux/mman.h
#endif
#if !defined(MAP_FIXED_NOREPLACE)
#define MAP_FIXED_NOREPLACE 0x100000  // linux/mman.h
#endif
#endif

namespace treenet {

#if defined(__linux__)

namespace {

constexpr int kMapping = MAP_PRIVATE | MAP_ANONYMOUS;

enum class Moved {
  kYes,
  kNo,
  kNever,  // the system cannot
  kLost,   // nor is the target the process's any more
};

// Moves what is under one page's addresses; both places stay mapped, the one it came from without memory. The target's
// protection is for when it has to be mapped again.
Moved move_page(void* from, void* to, int protection) noexcept {
  constexpr std::size_t kPage = PageStock::kPage;
  if (mremap(from, kPage, kPage, MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP, to) != MAP_FAILED) {
    return Moved::kYes;
  }
  if (errno != ENOMEM && errno != EAGAIN) return Moved::kNever;
  // Without memory, or leave to have it, the system may have unmapped the target before it failed, and another thread
  // may have the addresses by now.
  void* const again = mmap(to, kPage, protection, kMapping | MAP_FIXED_NOREPLACE, -1, 0);
  if (again == to) return Moved::kNo;
  if (again != MAP_FAILED) munmap(again, kPage);
  return Moved::kLost;
}

}  // namespace

// Addresses that nobody may use count as no memory, whatever the system's rules for promising more than it has.
bool PageStock::has_place() noexcept {
  if (count_ < shelves_.size() * kShelfPages) return true;
  constexpr std::size_t kBytes = kShelfPages * kPage;
  // One more page, of which what lies before the first whole one is not used, nor what lies behind the last one.
  void* const memory = mmap(nullptr, kBytes + kPage, PROT_NONE, kMapping | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) return false;
  const auto address = reinterpret_cast<std::uintptr_t>(memory);
  const std::uintptr_t begin = (address + kPage - 1) / kPage * kPage, end = begin + kBytes;
  if (begin > address) munmap(memory, begin - address);
  if (address + kBytes + kPage > end) munmap(reinterpret_cast<void*>(end), address + kBytes + kPage - end);
  try {
    shelves_.push_back({reinterpret_cast<std::uint8_t*>(begin)});
  } catch (const std::bad_alloc&) {
    munmap(reinterpret_cast<void*>(begin), kBytes);
    return false;
  }
  return true;
}

void PageStock::remove_last_shelf() noexcept {
  const std::size_t first = (shelves_.size() - 1) * kShelfPages;
  const Shelf shelf = shelves_.back();
  if (shelf.owned) {
    munmap(shelf.begin, kShelfPages * kPage);
  } else if (count_ > first) {
    munmap(shelf.begin, (count_ - first) * kPage);
  }
  shelves_.pop_back();
  count_ = std::min(count_, first);
}

void PageStock::take(AlignedBuffer& buffer, std::size_t begin, std::size_t end) noexcept {
  const std::lock_guard lock(mutex_);
  for (; begin < end && usable_ && has_place(); begin += kPage) {
    const Moved moved = move_page(buffer.as<std::uint8_t>() + begin, place(count_), PROT_NONE);
    Shelf& shelf = shelves_[count_ / kShelfPages];
    if (moved == Moved::kLost) shelf.owned = false;
    usable_ = moved == Moved::kYes || moved == Moved::kNo;
    if (moved != Moved::kYes) break;
    shelf.lent.reset(count_ % kShelfPages);
    lent_from_ = ++count_;
  }
  buffer.discard(begin, end);
}

void PageStock::put(AlignedBuffer& buffer, std::size_t begin, std::size_t end) {
  const std::lock_guard lock(mutex_);
  for (; begin < end && count_ > 0; begin += kPage) {
    const Moved moved = move_page(place(count_ - 1), buffer.as<std::uint8_t>() + begin, PROT_READ | PROT_WRITE);
    if (moved == Moved::kLost) throw std::bad_alloc();
    if (moved != Moved::kYes) break;
    --count_;
  }
  lent_from_ = std::min(lent_from_, count_);
}

void PageStock::trim(std::size_t bytes) noexcept {
  const std::lock_guard lock(mutex_);
  give_back(std::min(count_, bytes / kPage));
}

void PageStock::lend(std::size_t bytes) noexcept {
  const std::lock_guard lock(mutex_);
  const std::size_t kept = std::min(count_, bytes / kPage);
  for (std::size_t page = kept; page < lent_from_; ++page) {
    auto is_lent = shelves_[page / kShelfPages].lent[page % kShelfPages];
    if (is_lent) continue;
    if (madvise(place(page), kPage, MADV_FREE) != 0) return give_back(kept);
    is_lent = true;
  }
  lent_from_ = std::min(lent_from_, kept);
}

void PageStock::give_back(std::size_t kept) noexcept {
  while (shelves_.size() > (kept + kShelfPages - 1) / kShelfPages) remove_last_shelf();
  // Of the last one that stays. Where the system does not take pages they stay: nothing depends on it.
  if (kept < count_) static_cast<void>(madvise(place(kept), (count_ - kept) * kPage, MADV_DONTNEED));
  count_ = kept;
  lent_from_ = std::min(lent_from_, count_);
}

#else

bool PageStock::has_place() noexcept { return false; }
void PageStock::remove_last_shelf() noexcept {}
void PageStock::take(AlignedBuffer&, std::size_t, std::size_t) noexcept {}
void PageStock::put(AlignedBuffer&, std::size_t, std::size_t) {}
void PageStock::give_back(std::size_t) noexcept {}
void PageStock::trim(std::size_t) noexcept {}
void PageStock::lend(std::size_t) noexcept {}

#endif

std::size_t PageStock::bytes() const {
  const std::lock_guard lock(mutex_);
  return count_ * kPage;
}

bool PageStock::is_usable() const {
  const std::lock_guard lock(mutex_);
  return usable_;
}

}  // namespace treenet

// Memory's pages without a place: taken from under values that nobody needs any more, and put under others before they
// are written. So an image whose features do not fit at once into what is kept goes through without the system
// clearing new pages for each of its levels, which on some machines takes a quarter of the time; nor, as long as memory
// is plenty, does the next image need new ones.
#pragma once

#include <bitset>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <vector>

#include "codec/aligned_buffer.h"
#include "codec/process.h"

namespace treenet {

// Whole huge pages of AlignedBuffer's mappings; on systems without mremap's MREMAP_DONTUNMAP (Linux 5.7) it takes none.
// Safe for many threads.
class PageStock {
 public:
  static constexpr std::size_t kPage = AlignedBuffer::kHugePage;

  PageStock() = default;
  PageStock(const PageStock&) = delete;
  PageStock& operator=(const PageStock&) = delete;
  ~PageStock() {
    if (!origin_.is_forked_child()) trim(0);
  }

  // Takes the pages under bytes [begin, end) of a mapping, both multiples of kPage. The addresses stay valid, what was
  // there is lost. What cannot be taken goes back to the system.
  void take(AlignedBuffer& buffer, std::size_t begin, std::size_t end) noexcept;
  // Puts pages under as much of bytes [begin, end) as there are, from `begin` on; what was there is lost. The rest has
  // pages from the system once it is written. Throws std::bad_alloc if some of the range is lost to the process: the
  // buffer must be abandoned then.
  void put(AlignedBuffer& buffer, std::size_t begin, std::size_t end);
  // Gives back all but so many bytes.
  void trim(std::size_t bytes) noexcept;
  // Lends the system all but so many bytes: what it has not taken for want of memory is still there when it is put.
  // Where the system does not borrow, it is given back.
  void lend(std::size_t bytes) noexcept;
  std::size_t bytes() const;
  // False once the system has shown that it moves no pages.
  bool is_usable() const;

 private:
  static constexpr std::size_t kShelfPages = 64;
  // Addresses for kShelfPages pages. The pages fill one shelf after the other.
  struct Shelf {
    std::uint8_t* begin;
    bool owned = true;  // all of it, to be unmapped
    std::bitset<kShelfPages> lent{};
  };
  std::uint8_t* place(std::size_t page) const {
    return shelves_[page / kShelfPages].begin + page % kShelfPages * kPage;
  }
  // All with the lock:
  bool has_place() noexcept;  // for one more page
  void give_back(std::size_t kept) noexcept;
  void remove_last_shelf() noexcept;

  const Origin origin_;  // a forked child leaves the lock alone, and what there is
  mutable std::mutex mutex_;
  std::vector<Shelf> shelves_;
  std::size_t count_ = 0;      // pages
  std::size_t lent_from_ = 0;  // from this one on all are lent
  bool usable_ = true;
};

}  // namespace treenet

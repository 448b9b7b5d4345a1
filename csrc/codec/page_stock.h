// Memory's pages without a place: taken from under values that nobody needs any more, and put under others before they
// are written. So an image whose features do not fit at once into what is kept goes through without the system
// clearing new pages for each of its levels, which on some machines takes a quarter of the time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <mutex>

namespace treenet {

// Whole huge pages of anonymous private mappings; on systems without mremap's MREMAP_DONTUNMAP (Linux 5.7) it takes
// none. Safe for many threads.
class PageStock {
 public:
  static constexpr std::size_t kPage = std::size_t{2} << 20;

  PageStock() = default;
  PageStock(const PageStock&) = delete;
  PageStock& operator=(const PageStock&) = delete;
  ~PageStock();

  // Takes the pages under [begin, begin + bytes), a multiple of kPage as is `begin`. The addresses stay valid, what was
  // there is lost. What cannot be taken goes back to the system.
  void take(void* begin, std::size_t bytes) noexcept;
  // Puts pages under as much of the range as there are, from its begin on; what was there is lost. The rest has
  // pages from the system once it is written. Throws std::bad_alloc if the range is lost to the process.
  void put(void* begin, std::size_t bytes);
  // Gives back all but so many bytes.
  void trim(std::size_t bytes) noexcept;
  std::size_t bytes() const;

 private:
  std::uint8_t* shelf(std::size_t page) const { return shelves_ + page * kPage; }
  bool has_shelves() noexcept;

  mutable std::mutex mutex_;
  std::uint8_t* shelves_ = nullptr;  // addresses; of room_ pages, of which the first count_ are there
  std::size_t count_ = 0, room_ = 0;
  bool usable_ = true;
};

}  // namespace treenet

// Pages that move between mappings, and the pool that has them moved: on Linux, as nowhere else any do.
#if defined(__linux__)
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>
#include <utility>
#include <vector>

#include "check.h"
#include "codec/aligned_buffer.h"
#include "codec/buffer_pool.h"
#include "codec/page_stock.h"

namespace treenet {
namespace {

constexpr std::size_t kPage = PageStock::kPage;

void fill(AlignedBuffer& buffer, std::size_t page, std::uint8_t value) {
  std::memset(buffer.as<std::uint8_t>() + page * kPage, value, kPage);
}
bool holds(AlignedBuffer& buffer, std::size_t page, std::uint8_t value) {
  const std::uint8_t* begin = buffer.as<std::uint8_t>() + page * kPage;
  return std::all_of(begin, begin + kPage, [&](std::uint8_t byte) { return byte == value; });
}
// How many bytes of it have memory.
std::size_t resident(const void* begin, std::size_t bytes) {
  const auto page_size = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  std::vector<unsigned char> pages(bytes / page_size);
  if (mincore(const_cast<void*>(begin), bytes, pages.data()) != 0) return 0;
  return page_size *
         static_cast<std::size_t>(std::count_if(pages.begin(), pages.end(), [](auto page) { return page & 1; }));
}

constexpr int kPageOut = 21;  // MADV_PAGEOUT, in linux/mman.h

// Whether this system takes what is lent to it when it is told to, asked with a page of its own.
bool takes_on_demand() {
  AlignedBuffer probe(2 * kPage);
  fill(probe, 0, 1);
  return madvise(probe.as<void>(), kPage, MADV_FREE) == 0 && madvise(probe.as<void>(), kPage, kPageOut) == 0 &&
         holds(probe, 0, 0);
}

// Has the system take what is lent to it under the first pages, and returns how many of them still have that value.
int left_of(std::uint8_t* begin, std::size_t pages, std::uint8_t value) {
  CHECK_EQUAL(madvise(begin, pages * kPage, kPageOut), 0);
  int left = 0;
  for (std::size_t page = 0; page < pages; ++page) left += begin[page * kPage] == value;
  return left;
}

// A call's work in so many pages of a pool, all bytes of which it leaves at 5.
void use(BufferPool& pool, std::size_t pages, BufferPool::Purpose purpose = BufferPool::Purpose::kWork) {
  BufferPool::Lease lease = pool.take(pages * kPage, purpose);
  lease.supply(pages * kPage);
  std::memset(lease.as<void>(), 5, pages * kPage);
}

// What a pool has after such calls, in pages: all of it, and without what it has lent.
void check_kept(BufferPool& pool, std::size_t all, int not_lent) {
  BufferPool::Lease lease = pool.take((all + 10) * kPage);
  lease.supply((all + 10) * kPage);
  CHECK_EQUAL(resident(lease.as<void>(), (all + 10) * kPage), all * kPage);
  if (takes_on_demand()) CHECK_EQUAL(left_of(lease.as<std::uint8_t>(), all, 5), not_lent);
}

// Whether `holds` does so in a forked child.
template <class Holds>
bool in_a_child(Holds holds) {
  const pid_t child = fork();
  if (child == 0) _exit(holds() ? 0 : 1);
  int status = 0;
  return waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

// Whether this system can move pages, asked of itself; where it cannot, a stock is always empty.
bool moves_pages() {
  constexpr int kDontUnmap = 4;  // MREMAP_DONTUNMAP, in linux/mman.h
  const auto map = [] { return mmap(nullptr, kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0); };
  void *const from = map(), *const to = map();
  const bool moves = mremap(from, kPage, kPage, MREMAP_MAYMOVE | MREMAP_FIXED | kDontUnmap, to) == to;
  munmap(from, kPage);
  munmap(to, kPage);
  if (!moves) {
    AlignedBuffer buffer(2 * kPage);
    PageStock stock;
    stock.take(buffer, 0, kPage);
    CHECK_EQUAL(stock.bytes(), 0u);
    CHECK(!stock.is_usable());
  }
  return moves;
}

TEST("large buffers are mappings of whole huge pages") {
  const AlignedBuffer small(100), large(2 * kPage + 1);
  CHECK(!small.is_mapping());
  CHECK(large.is_mapping());
  CHECK_EQUAL(large.mapped_bytes(), 3 * kPage);
  CHECK_EQUAL(reinterpret_cast<std::uintptr_t>(large.as<void>()) % kPage, 0u);
}

TEST("what is taken is put elsewhere, and the addresses it had can be used") {
  if (!moves_pages()) return;
  AlignedBuffer from(3 * kPage), to(4 * kPage);
  PageStock stock;
  for (std::size_t page = 0; page < 3; ++page) fill(from, page, static_cast<std::uint8_t>(page + 1));
  stock.take(from, 0, 2 * kPage);
  CHECK_EQUAL(stock.bytes(), 2 * kPage);
  CHECK(holds(from, 0, 0));  // new pages, as it is read
  CHECK(holds(from, 2, 3));
  fill(from, 1, 9);
  stock.put(to, kPage, 4 * kPage);  // more than there are
  CHECK_EQUAL(stock.bytes(), 0u);
  CHECK(holds(to, 0, 0));
  CHECK(holds(to, 1, 2));
  CHECK(holds(to, 2, 1));
  CHECK(holds(to, 3, 0));
  CHECK(holds(from, 1, 9));
}

TEST("a stock is trimmed, and gives all back when it goes") {
  if (!moves_pages()) return;
  AlignedBuffer from(4 * kPage), to(4 * kPage);
  for (std::size_t page = 0; page < 4; ++page) fill(from, page, 7);
  {
    PageStock stock;
    stock.take(from, 0, 4 * kPage);
    CHECK_EQUAL(resident(from.as<void>(), 4 * kPage), 0u);
    stock.trim(kPage + 1);
    CHECK_EQUAL(stock.bytes(), kPage);
    stock.put(to, 0, 2 * kPage);
    CHECK_EQUAL(resident(to.as<void>(), 4 * kPage), kPage);
  }
  CHECK(holds(to, 0, 7));
}

TEST("what a stock lends is still there until the system takes it") {
  if (!moves_pages()) return;
  AlignedBuffer from(4 * kPage), to(4 * kPage);
  for (std::size_t page = 0; page < 4; ++page) fill(from, page, 7);
  PageStock stock;
  stock.take(from, 0, 2 * kPage);
  stock.lend(kPage);
  stock.take(from, 2 * kPage, 4 * kPage);  // which are not lent
  CHECK_EQUAL(stock.bytes(), 4 * kPage);
  CHECK_EQUAL(resident(from.as<void>(), 4 * kPage), 0u);
  stock.put(to, 0, 4 * kPage);
  for (std::size_t page = 0; page < 4; ++page) CHECK(holds(to, page, 7));
  if (takes_on_demand()) CHECK_EQUAL(left_of(to.as<std::uint8_t>(), 4, 7), 3);
}

TEST("a lent page is no longer so once it is written, and can be lent again") {
  if (!moves_pages() || !takes_on_demand()) return;
  AlignedBuffer buffer(2 * kPage);
  PageStock stock;
  for (int round = 0; round < 2; ++round) {
    fill(buffer, 0, 7);
    stock.take(buffer, 0, kPage);
    stock.lend(0);
    stock.put(buffer, 0, kPage);
    buffer.as<std::uint8_t>()[kPage - 1] = 8;
    CHECK_EQUAL(left_of(buffer.as<std::uint8_t>(), 1, 7), 1);
  }
  stock.take(buffer, 0, kPage);
  stock.lend(0);
  stock.put(buffer, 0, kPage);
  CHECK_EQUAL(left_of(buffer.as<std::uint8_t>(), 1, 7), 0);
}

TEST("what is taken after lent pages were put is not lent") {
  if (!moves_pages() || !takes_on_demand()) return;
  constexpr std::size_t kPages = 130;  // of three shelves
  AlignedBuffer from(kPages * kPage), to(kPages * kPage);
  for (std::size_t page = 0; page < kPages; ++page) from.as<std::uint8_t>()[page * kPage] = 7;
  PageStock stock;
  stock.take(from, 0, kPages * kPage);
  stock.lend(0);
  stock.put(to, 0, kPages * kPage);
  for (std::size_t page = 0; page < kPages; ++page) to.as<std::uint8_t>()[page * kPage] = 8;
  stock.take(to, 0, kPages * kPage);
  stock.lend(kPages * kPage);
  stock.put(from, 0, kPages * kPage);
  CHECK_EQUAL(left_of(from.as<std::uint8_t>(), kPages, 8), static_cast<int>(kPages));
  stock.take(from, 0, kPages * kPage);
  stock.lend(100 * kPage);
  stock.lend(20 * kPage);
  stock.put(to, 0, kPages * kPage);
  CHECK_EQUAL(left_of(to.as<std::uint8_t>(), kPages, 8), 20);
}

// More than the addresses that are had at a time, of 64 pages.
TEST("a stock of many pages is filled, trimmed and emptied") {
  if (!moves_pages()) return;
  constexpr std::size_t kPages = 150;
  AlignedBuffer from(kPages * kPage), to(kPages * kPage);
  for (std::size_t page = 0; page < kPages; ++page)
    from.as<std::uint8_t>()[page * kPage] = static_cast<std::uint8_t>(page);
  PageStock stock;
  stock.take(from, 0, kPages * kPage);
  CHECK_EQUAL(stock.bytes(), kPages * kPage);
  stock.trim(70 * kPage);
  CHECK_EQUAL(stock.bytes(), 70 * kPage);
  stock.take(from, 0, 10 * kPage);
  CHECK_EQUAL(stock.bytes(), 80 * kPage);
  stock.put(to, 0, kPages * kPage);
  CHECK_EQUAL(stock.bytes(), 0u);
  for (std::size_t page = 0; page < 80; ++page) {
    CHECK_EQUAL(to.as<std::uint8_t>()[page * kPage], page < 10 ? 0 : 79 - page);  // the last one taken comes first
  }
}

// In a child, whose address space may not grow: no more pages can be taken, and the memory goes back to the system.
TEST("a stock without addresses for its pages takes none") {
  if (!moves_pages()) return;
  AlignedBuffer buffer(4 * kPage);
  for (std::size_t page = 0; page < 4; ++page) fill(buffer, page, 7);
  CHECK(in_a_child([&] {
    const rlimit nothing{1, RLIM_INFINITY};
    if (setrlimit(RLIMIT_AS, &nothing) != 0) return false;
    PageStock stock;
    stock.take(buffer, 0, 4 * kPage);
    return stock.bytes() == 0 && resident(buffer.as<void>(), 4 * kPage) == 0 && stock.is_usable();
  }));
}

// What is not the process's own any more is neither used nor freed.
TEST("an abandoned buffer is left alone") {
  AlignedBuffer buffer(2 * kPage);
  auto* const memory = buffer.as<std::uint8_t>();
  buffer.abandon();
  CHECK_EQUAL(buffer.size(), 0u);
  {
    const AlignedBuffer gone = std::move(buffer);
  }
  memory[0] = 1;
  CHECK_EQUAL(munmap(memory, 2 * kPage), 0);
}

TEST("beyond what a large buffer in use holds a pool lends what it keeps") {
  if (!moves_pages()) return;
  const auto pool = std::make_shared<BufferPool>(2 * kPage);
  const BufferPool::Lease small = pool->take(3 * kPage);
  use(*pool, 12);
  check_kept(*pool, 12, 3);
}

TEST("beyond its limit a pool lends what it keeps between calls") {
  if (!moves_pages()) return;
  const auto pool = std::make_shared<BufferPool>(4 * kPage);
  use(*pool, 9);
  check_kept(*pool, 9, 4);
}

TEST("what callers give back is kept as far as calls have needed it") {
  if (!moves_pages()) return;
  const auto pool = std::make_shared<BufferPool>(2 * kPage);
  use(*pool, 5);
  use(*pool, 12, BufferPool::Purpose::kResult);
  check_kept(*pool, 5, 2);
}

TEST("what was in use before a release no longer counts") {
  if (!moves_pages()) return;
  const auto pool = std::make_shared<BufferPool>(2 * kPage);
  use(*pool, 5);
  pool->release();
  use(*pool, 12, BufferPool::Purpose::kResult);
  check_kept(*pool, 0, 0);
}

TEST("a result has the pages of buffers that are kept") {
  if (!moves_pages()) return;
  const auto pool = std::make_shared<BufferPool>(8 * kPage);
  use(*pool, 6);  // kept as it is
  BufferPool::Lease result = pool->take(6 * kPage, BufferPool::Purpose::kResult);
  CHECK_EQUAL(resident(result.as<void>(), 6 * kPage), 0u);
  result.supply(6 * kPage);
  CHECK_EQUAL(resident(result.as<void>(), 6 * kPage), 6 * kPage);
}

TEST("a forked child gives memory back on the way, too") {
  const auto pool = std::make_shared<BufferPool>(4 * kPage);
  BufferPool::Lease lease = pool->take(4 * kPage);
  std::memset(lease.as<void>(), 5, 4 * kPage);
  CHECK(in_a_child([&] {
    lease.give(3 * kPage);
    return resident(lease.as<void>(), 4 * kPage) == kPage;
  }));
}

TEST("a pool puts the pages of what was given under what is supplied") {
  if (!moves_pages()) return;
  const auto pool = std::make_shared<BufferPool>(4 * kPage);
  BufferPool::Lease first = pool->take(8 * kPage);
  first.supply(8 * kPage);  // there are none yet
  std::memset(first.as<void>(), 5, 8 * kPage);
  first.give(3 * kPage - 1);  // two whole ones
  BufferPool::Lease second = pool->take(6 * kPage);
  CHECK_EQUAL(resident(second.as<void>(), 6 * kPage), 0u);
  second.supply(kPage);
  CHECK_EQUAL(resident(second.as<void>(), 6 * kPage), kPage);
  second.supply(6 * kPage);
  CHECK_EQUAL(resident(second.as<void>(), 6 * kPage), 2 * kPage);
  CHECK_EQUAL(second.as<std::uint8_t>()[2 * kPage - 1], 5);
}

TEST("pages of buffers that do not fit serve others until they are released") {
  if (!moves_pages()) return;
  const auto pool = std::make_shared<BufferPool>(4 * kPage);
  use(*pool, 7);
  {
    BufferPool::Lease other = pool->take(2 * kPage);
    other.supply(2 * kPage);
    CHECK_EQUAL(resident(other.as<void>(), 2 * kPage), 2 * kPage);
    BufferPool::Lease third = pool->take(6 * kPage);
    third.supply(6 * kPage);
    CHECK_EQUAL(resident(third.as<void>(), 6 * kPage), 5 * kPage);
  }
  pool->release();
  BufferPool::Lease last = pool->take(9 * kPage);
  last.supply(9 * kPage);
  CHECK_EQUAL(resident(last.as<void>(), 9 * kPage), 0u);
}

}  // namespace
}  // namespace treenet
#endif

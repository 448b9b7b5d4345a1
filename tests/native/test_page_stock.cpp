// Pages that move between mappings, and the pool that has them moved.
#include <sys/mman.h>

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
  std::vector<unsigned char> pages(bytes / 4096);
  if (mincore(const_cast<void*>(begin), bytes, pages.data()) != 0) return 0;
  return 4096 * static_cast<std::size_t>(std::count_if(pages.begin(), pages.end(), [](auto page) { return page & 1; }));
}

// Whether this system can move pages; where it cannot, a stock is always empty.
bool moves_pages() {
  AlignedBuffer buffer(2 * kPage);
  PageStock stock;
  fill(buffer, 0, 1);
  stock.take(buffer.as<void>(), kPage);
  return stock.bytes() != 0;
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
  stock.take(from.as<void>(), 2 * kPage);
  CHECK_EQUAL(stock.bytes(), 2 * kPage);
  CHECK(holds(from, 0, 0));  // new pages, as it is read
  CHECK(holds(from, 2, 3));
  fill(from, 1, 9);
  stock.put(to.as<std::uint8_t>() + kPage, 3 * kPage);  // more than there are
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
    stock.take(from.as<void>(), 4 * kPage);
    CHECK_EQUAL(resident(from.as<void>(), 4 * kPage), 0u);
    stock.trim(kPage + 1);
    CHECK_EQUAL(stock.bytes(), kPage);
    stock.put(to.as<void>(), 2 * kPage);
    CHECK_EQUAL(resident(to.as<void>(), 4 * kPage), kPage);
  }
  CHECK(holds(to, 0, 7));
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

TEST("pages of buffers that do not fit serve others, and what is kept between calls is limited") {
  if (!moves_pages()) return;
  const auto pool = std::make_shared<BufferPool>(4 * kPage);
  {
    BufferPool::Lease large = pool->take(9 * kPage);
    large.supply(9 * kPage);
    std::memset(large.as<void>(), 5, 9 * kPage);
  }
  {
    BufferPool::Lease other = pool->take(2 * kPage);
    other.supply(2 * kPage);
    CHECK_EQUAL(resident(other.as<void>(), 2 * kPage), 2 * kPage);
    BufferPool::Lease third = pool->take(6 * kPage);
    third.supply(6 * kPage);
    CHECK_EQUAL(resident(third.as<void>(), 6 * kPage), 2 * kPage);  // four were kept
  }
  pool->release();
  BufferPool::Lease last = pool->take(9 * kPage);
  last.supply(9 * kPage);
  CHECK_EQUAL(resident(last.as<void>(), 9 * kPage), 0u);
}

}  // namespace
}  // namespace treenet

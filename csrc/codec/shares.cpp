#include "codec/shares.h"

#include <algorithm>

namespace treenet {
namespace {

constexpr std::uint64_t kOneFromEnd = std::uint64_t{1} << 32;

std::uint64_t packed(std::int64_t first, std::int64_t end) {
  return static_cast<std::uint64_t>(end) << 32 | static_cast<std::uint64_t>(first);
}
std::int64_t first_of(std::uint64_t tasks) { return static_cast<std::int64_t>(tasks & 0xffffffff); }
std::int64_t end_of(std::uint64_t tasks) { return static_cast<std::int64_t>(tasks >> 32); }
std::int64_t left(std::uint64_t tasks) { return end_of(tasks) - first_of(tasks); }

}  // namespace

Shares::Shares(std::int64_t count, int threads) : shares_(threads), closed_(count == 0) {
  const std::int64_t parts = std::min<std::int64_t>(count, threads);
  for (std::int64_t i = 0; i < parts; ++i) shares_[i].tasks = packed(count * i / parts, count * (i + 1) / parts);
}

bool Shares::take(int thread, std::int64_t& task) {
  std::atomic<std::uint64_t>& own = shares_[thread].tasks;
  std::uint64_t tasks = own;
  while (left(tasks) > 0) {
    if (!own.compare_exchange_weak(tasks, tasks + 1)) continue;
    task = first_of(tasks);
    return true;
  }
  for (;;) {
    Share* from = nullptr;
    for (Share& share : shares_) {
      const std::uint64_t seen = share.tasks;
      if (left(seen) <= (from == nullptr ? 0 : left(tasks))) continue;
      from = &share;
      tasks = seen;
    }
    if (from == nullptr) {
      closed_ = true;
      return false;
    }
    if (!from->tasks.compare_exchange_strong(tasks, tasks - kOneFromEnd)) continue;
    task = end_of(tasks) - 1;
    return true;
  }
}

void Shares::drop() {
  closed_ = true;
  for (Share& share : shares_) share.tasks = 0;
}

}  // namespace treenet

// How threads share a loop's tasks.
#pragma once

#include <atomic>
#include <cstdint>
#include <vector>

namespace treenet {

// Tasks 0 .. count - 1, below 2^31. Each thread has a share of its own (the first ones, if there are fewer tasks than
// threads), the same of loops of the same length: what one loop wrote is likely to be in the cache of the thread that
// needs it in the next. Who has done its share helps others.
class Shares {
 public:
  Shares(std::int64_t count, int threads);

  // A task of thread `thread`'s own share, in ascending order, else the last one of the share that has most left. False
  // if none is left.
  bool take(int thread, std::int64_t& task);
  // False once it is known that none is left.
  bool is_open() const { return !closed_; }
  // Leaves none.
  void drop();

 private:
  // Tasks [first, end) are left, as one number, so that no thread sees or changes half of it.
  struct alignas(64) Share {
    std::atomic<std::uint64_t> tasks{0};
  };

  std::vector<Share> shares_;
  std::atomic<bool> closed_;
};

}  // namespace treenet

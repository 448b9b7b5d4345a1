// Every task comes to one thread; to that whose share it is, unless another has nothing left to do.
#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

#include "check.h"
#include "codec/shares.h"

namespace treenet {
namespace {

std::vector<std::int64_t> all_of(Shares& shares, int thread, std::int64_t count) {
  std::vector<std::int64_t> tasks;
  for (std::int64_t task; count-- > 0 && shares.take(thread, task);) tasks.push_back(task);
  return tasks;
}

TEST("a thread has its share in order, then others' from their ends") {
  Shares shares(10, 3);
  CHECK(all_of(shares, 1, 3) == (std::vector<std::int64_t>{3, 4, 5}));
  CHECK(all_of(shares, 2, 2) == (std::vector<std::int64_t>{6, 7}));
  CHECK(all_of(shares, 1, 3) == (std::vector<std::int64_t>{2, 1, 9}));
  CHECK(shares.is_open());
  CHECK(all_of(shares, 0, 10) == (std::vector<std::int64_t>{0, 8}));
  CHECK(!shares.is_open());
}

TEST("the first threads have a task each where there are fewer tasks than threads") {
  Shares shares(2, 5);
  CHECK(all_of(shares, 1, 1) == (std::vector<std::int64_t>{1}));
  CHECK(all_of(shares, 4, 5) == (std::vector<std::int64_t>{0}));
}

TEST("none is left of no tasks, nor after they were dropped") {
  CHECK(!Shares(0, 4).is_open());
  Shares shares(100, 4);
  CHECK_EQUAL(all_of(shares, 2, 1).size(), 1u);
  shares.drop();
  CHECK(!shares.is_open());
  CHECK(all_of(shares, 2, 100).empty());
}

TEST("each task comes once, however threads hurry") {
  for (const int threads : {1, 2, 3, 8}) {
    for (const std::int64_t count : {1, 2, 7, 1000, 50000}) {
      Shares shares(count, threads);
      std::vector<std::atomic<int>> seen(count);
      std::vector<std::thread> team;
      for (int thread = 0; thread < threads; ++thread) {
        team.emplace_back([&, thread] {
          for (std::int64_t task; shares.take(thread, task);) ++seen[task];
        });
      }
      for (std::thread& thread : team) thread.join();
      bool each_once = true;
      for (const std::atomic<int>& times : seen) each_once &= times == 1;
      CHECK(each_once);
    }
  }
}

}  // namespace
}  // namespace treenet

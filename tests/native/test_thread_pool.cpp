#include <atomic>
#include <chrono>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "check.h"
#include "codec/thread_pool.h"

namespace treenet {
namespace {

TEST("every task of a loop in a task runs once") {
  for (const int threads : {1, 2, 3, 8}) {
    ThreadPool pool(threads);
    for (int round = 0; round < 100; ++round) {
      for (const std::int64_t outer : {1, 2, 4, 9}) {
        const std::int64_t inner = round % 8;
        std::vector<std::atomic<int>> runs(static_cast<std::size_t>(outer * inner));
        pool.run(outer, [&](std::int64_t i) {
          for (int again = 0; again < 2; ++again) {
            pool.run(inner, [&](std::int64_t k) { ++runs[static_cast<std::size_t>(i * inner + k)]; });
            for (std::int64_t k = 0; k < inner; ++k) {
              CHECK_EQUAL(runs[static_cast<std::size_t>(i * inner + k)].load(), again + 1);
            }
          }
        });
      }
    }
  }
}

TEST("whoever has no task left helps with a loop in another's, the caller of the outer loop too") {
  using Clock = std::chrono::steady_clock;
  ThreadPool pool(2);
  const auto caller = std::this_thread::get_id();
  for (const bool in_caller : {true, false}) {
    std::atomic<int> inside{0};
    std::atomic<bool> begun{false}, left{false}, together{false};
    // For the others to come.
    const auto wait_for = [](const auto& condition) {
      const Clock::time_point end = Clock::now() + std::chrono::seconds(20);
      while (!condition() && Clock::now() < end) std::this_thread::yield();
      return condition();
    };
    pool.run(2, [&](std::int64_t) {
      if ((std::this_thread::get_id() == caller) != in_caller) {
        left = wait_for([&] { return begun.load(); });
        return;
      }
      begun = true;
      if (!wait_for([&] { return left.load(); })) return;
      pool.run(2, [&](std::int64_t) {
        if (++inside == 1) together = wait_for([&] { return inside == 2; });
      });
    });
    CHECK(together);
  }
}

TEST("an exception in a loop in a task comes out, and the pool goes on") {
  for (const int threads : {1, 2, 3}) {
    ThreadPool pool(threads);
    for (int round = 0; round < 100; ++round) {
      std::string what;
      try {
        pool.run(4, [&](std::int64_t i) {
          pool.run(4, [&](std::int64_t k) {
            if (i == 2 && k == 3) throw std::runtime_error("thrown");
          });
        });
      } catch (const std::runtime_error& error) {
        what = error.what();
      }
      CHECK_EQUAL(what, std::string("thrown"));
      std::atomic<int> runs{0};
      pool.run(5, [&](std::int64_t) { ++runs; });
      CHECK_EQUAL(runs.load(), 5);
    }
  }
}

}  // namespace
}  // namespace treenet

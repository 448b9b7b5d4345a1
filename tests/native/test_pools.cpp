// Pools of buffers and threads. A forked child can use those whose locks another thread held as the process forked.
// What runs here while it forks, and in the children, allocates nothing that the parent's threads allocate too: the
// address sanitizer's allocator is itself not safe to fork before LLVM 18 (github.com/llvm/llvm-project/pull/75290).
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "check.h"
#include "codec/buffer_pool.h"
#include "codec/thread_pool.h"

namespace treenet {
namespace {

constexpr int kForks = 50;

// How many of kForks children did `use` and ended, while two threads of the parent do it all the time.
int good_children(const std::function<void()>& use) {
  std::atomic<bool> stop{false};
  std::vector<std::thread> users;
  for (int i = 0; i < 2; ++i) {
    users.emplace_back([&] {
      while (!stop) use();
    });
  }
  int good = 0;
  for (int i = 0; i < kForks && good == i; ++i) {
    const pid_t child = fork();
    if (child == 0) {
      alarm(30);  // a child that hangs dies
      use();
      _exit(0);
    }
    int status = 0;
    waitpid(child, &status, 0);
    good += WIFEXITED(status) && WEXITSTATUS(status) == 0;
  }
  stop = true;
  for (std::thread& user : users) user.join();
  return good;
}

TEST("a forked child takes and gives back buffers") {
  const auto pool = std::make_shared<BufferPool>(1 << 20);
  {
    const auto first = pool->take(64), second = pool->take(64);  // which the two threads then pass back and forth
  }
  CHECK_EQUAL(good_children([&] { pool->take(64); }), kForks);
}

TEST("a thread is given what it gave back last, if there is something that does as well") {
  const auto pool = std::make_shared<BufferPool>(1 << 20);
  const auto address = [](const BufferPool::Lease& lease) { return lease.as<void>(); };
  const void *first, *second;
  {
    auto a = pool->take(640), b = pool->take(640);
    first = address(a);
    second = address(b);
    {
      const auto earlier = std::move(a);
    }
  }
  CHECK(address(pool->take(640)) == second);
  const void* of_other = nullptr;  // which has given back none
  std::thread([&] { of_other = address(pool->take(640)); }).join();
  CHECK(of_other == first);
  CHECK(address(pool->take(640)) == second);
  std::thread([&] { of_other = address(pool->take(320)); }).join();
  CHECK(of_other == first);
}

TEST("a forked child runs loops, and loops inside them") {
  ThreadPool pool(3);
  std::atomic<int> runs{0};
  const auto nested = [&](std::int64_t) { pool.run(2, [&](std::int64_t) { ++runs; }); };
  CHECK_EQUAL(good_children([&] { pool.run(2, nested); }), kForks);
}

}  // namespace
}  // namespace treenet

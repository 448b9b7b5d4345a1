// A pool of threads that run the tasks of a loop. Several threads may run loops at once; each helps with its own.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "codec/process.h"

namespace treenet {

class ThreadPool {
 public:
  // `threads` includes the caller of `run`; 1 makes no thread at all. Throws Error(kBackend) if the system gives fewer.
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int threads() const { return threads_; }

  // Runs task(0) .. task(count - 1), count below 2^31, in any order and on any of the threads, and returns when all are
  // done. Each thread begins with its own share (Shares). The first exception of a task is thrown here, after the
  // others ended; tasks not yet started are dropped then. A task may run a loop itself: threads that
  // have nothing else to do help, and so does the caller when it only waits for that task.
  void run(std::int64_t count, const std::function<void(std::int64_t)>& task);

 private:
  struct Loop;
  class Team;

  const int threads_;
  const Origin origin_;  // in a forked child the caller of `run` works alone, and the team is never touched again
  std::unique_ptr<Team> team_;
};

}  // namespace treenet

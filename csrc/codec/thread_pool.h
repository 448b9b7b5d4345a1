// A pool of threads that run the tasks of a loop. Several threads may run loops at once; each helps with its own.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <functional>
#include <list>
#include <mutex>
#include <thread>
#include <vector>

namespace treenet {

class ThreadPool {
 public:
  // `threads` includes the caller of `run`; 1 makes no thread at all.
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int threads() const { return static_cast<int>(workers_.size()) + 1; }

  // Runs task(0) .. task(count - 1), in any order and on any of the threads, and returns when all are done. The first exception of
  // a task is thrown here, after the others ended; tasks not yet started are dropped then.
  void run(std::int64_t count, const std::function<void(std::int64_t)>& task);

 private:
  struct Loop {
    const std::function<void(std::int64_t)>& task;
    const std::int64_t count;
    std::atomic<std::int64_t> next{0};
    int helpers = 0;  // workers inside, guarded by mutex_
    std::exception_ptr error;  // guarded by mutex_
  };

  void work();
  void take_part(Loop& loop);

  std::mutex mutex_;
  std::condition_variable wake_, done_;
  std::list<Loop*> loops_;  // those with tasks that may not have been started
  bool stop_ = false;
  std::vector<std::thread> workers_;
};

}  // namespace treenet

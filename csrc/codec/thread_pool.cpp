#include "codec/thread_pool.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <exception>
#include <list>
#include <mutex>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include "codec/error.h"

namespace treenet {

struct ThreadPool::Loop {
  const std::function<void(std::int64_t)>& task;
  const std::int64_t count;
  std::atomic<std::int64_t> next{0};
  int helpers = 0;  // workers inside, guarded by the team's mutex
  std::mutex error_mutex;
  std::exception_ptr error;  // the first, guarded by error_mutex

  void take_part() {
    for (;;) {
      const std::int64_t i = next.fetch_add(1, std::memory_order_relaxed);
      if (i >= count) return;
      try {
        task(i);
      } catch (...) {
        const std::lock_guard lock(error_mutex);
        if (!error) error = std::current_exception();
        next.store(count, std::memory_order_relaxed);
      }
    }
  }
};

class ThreadPool::Team {
 public:
  explicit Team(int workers) {
    try {
      for (int i = 0; i < workers; ++i) workers_.emplace_back([this] { work(); });
    } catch (const std::system_error&) {
      stop();
      throw Error(ErrorCode::kBackend,
                  "the system does not give " + std::to_string(workers + 1) + " threads; ask for fewer");
    }
  }

  ~Team() { stop(); }

  // The caller takes part in its loop; workers that are idle help.
  void share(Loop& loop) {
    {
      const std::lock_guard lock(mutex_);
      loops_.push_back(&loop);
    }
    if (loop.count > 2) {
      wake_.notify_all();
    } else {
      wake_.notify_one();
    }
    loop.take_part();
    std::unique_lock lock(mutex_);
    loops_.remove(&loop);  // no worker can enter any more
    done_.wait(lock, [&] { return loop.helpers == 0; });
  }

 private:
  void stop() {
    {
      const std::lock_guard lock(mutex_);
      stop_ = true;
    }
    wake_.notify_all();
    for (std::thread& worker : workers_) worker.join();
  }

  void work() {
    const NearestRounding rounding;  // a thread starts with the mode of the one that made it
    std::unique_lock lock(mutex_);
    for (;;) {
      const auto open = std::find_if(loops_.begin(), loops_.end(), [](const Loop* loop) {
        return loop->next.load(std::memory_order_relaxed) < loop->count;
      });
      if (open == loops_.end()) {
        if (stop_) return;
        wake_.wait(lock);
        continue;
      }
      Loop& loop = **open;
      ++loop.helpers;
      lock.unlock();
      loop.take_part();
      lock.lock();
      if (--loop.helpers == 0) done_.notify_all();
    }
  }

  std::mutex mutex_;
  std::condition_variable wake_, done_;
  std::list<Loop*> loops_;  // those with tasks that may not have been started
  bool stop_ = false;
  std::vector<std::thread> workers_;
};

ThreadPool::ThreadPool(int threads)
    : threads_(std::max(threads, 1)), team_(threads > 1 ? new Team(threads - 1) : nullptr) {}

ThreadPool::~ThreadPool() {
  // Joining threads that are not there would wait for ever: the child leaks what is left of them.
  if (origin_.is_forked_child()) static_cast<void>(team_.release());
}

void ThreadPool::run(std::int64_t count, const std::function<void(std::int64_t)>& task) {
  Loop loop{.task = task, .count = count, .error_mutex = {}, .error = nullptr};
  if (count > 1 && team_ && !origin_.is_forked_child()) {
    team_->share(loop);
  } else {
    loop.take_part();
  }
  if (loop.error) std::rethrow_exception(loop.error);
}

}  // namespace treenet

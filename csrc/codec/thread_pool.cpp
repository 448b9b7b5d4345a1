#include "codec/thread_pool.h"

#include <algorithm>

namespace treenet {

ThreadPool::ThreadPool(int threads) {
  for (int i = 1; i < threads; ++i) workers_.emplace_back([this] { work(); });
}

ThreadPool::~ThreadPool() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

void ThreadPool::take_part(Loop& loop) {
  for (;;) {
    const std::int64_t i = loop.next.fetch_add(1, std::memory_order_relaxed);
    if (i >= loop.count) return;
    try {
      loop.task(i);
    } catch (...) {
      const std::lock_guard lock(mutex_);
      if (!loop.error) loop.error = std::current_exception();
      loop.next.store(loop.count, std::memory_order_relaxed);
    }
  }
}

void ThreadPool::run(std::int64_t count, const std::function<void(std::int64_t)>& task) {
  Loop loop{.task = task, .count = count, .error = nullptr};
  const bool shared = count > 1 && !workers_.empty();
  if (shared) {
    {
      const std::lock_guard lock(mutex_);
      loops_.push_back(&loop);
    }
    if (count > 2) {
      wake_.notify_all();
    } else {
      wake_.notify_one();
    }
  }
  take_part(loop);
  if (shared) {
    std::unique_lock lock(mutex_);
    loops_.remove(&loop);  // no worker can enter any more
    done_.wait(lock, [&] { return loop.helpers == 0; });
  }
  if (loop.error) std::rethrow_exception(loop.error);
}

void ThreadPool::work() {
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
    take_part(loop);
    lock.lock();
    if (--loop.helpers == 0) done_.notify_all();
  }
}

}  // namespace treenet

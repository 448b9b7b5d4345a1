#include "codec/thread_pool.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <list>
#include <mutex>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "codec/error.h"
#include "codec/shares.h"

namespace treenet {
namespace {

// A codec's loops follow each other closely, and a thread that sleeps takes longer to wake than most wait for the next.
constexpr std::chrono::microseconds kPatience{200};
constexpr int kPatient = 4;  // workers at most: the others' time may be wanted elsewhere

// Waits a moment for a condition that needs no lock; false if it did not come true.
template <class Condition>
bool soon(Condition condition) {
  const auto end = std::chrono::steady_clock::now() + kPatience;
  do {
    if (condition()) return true;
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
  } while (std::chrono::steady_clock::now() < end);
  return false;
}

}  // namespace

struct ThreadPool::Loop {
  const std::function<void(std::int64_t)>& task;
  Shares shares;
  const Loop* const outer = innermost;  // in whose task it is, or null
  std::atomic<int> helpers{0};          // others inside; more only with the team's mutex
  std::mutex error_mutex;
  std::exception_ptr error;  // the first, guarded by error_mutex

  // The one whose task this thread runs.
  static thread_local const Loop* innermost;

  bool is_inside(const Loop& loop) const {
    const Loop* next = outer;
    while (next != nullptr && next != &loop) next = next->outer;
    return next != nullptr;
  }

  // Of a worker, or as thread 0 of a caller, its own or one further out.
  void take_part(int thread) {
    for (std::int64_t i; shares.take(thread, i);) {
      const Loop* const before = std::exchange(innermost, this);
      try {
        task(i);
      } catch (...) {
        const std::lock_guard lock(error_mutex);
        if (!error) error = std::current_exception();
        shares.drop();
      }
      innermost = before;
    }
  }
};

thread_local const ThreadPool::Loop* ThreadPool::Loop::innermost = nullptr;

class ThreadPool::Team {
 public:
  explicit Team(int workers) {
    try {
      for (int i = 1; i <= workers; ++i) workers_.emplace_back([this, i] { work(i); });
    } catch (const std::system_error&) {
      stop();
      throw Error(ErrorCode::kBackend,
                  "the system does not give " + std::to_string(workers + 1) + " threads; ask for fewer");
    }
  }

  ~Team() { stop(); }

  // The caller takes part in its loop, and then in those inside it, until all tasks are done. It takes no others
  // meanwhile, whose tasks can be long. Workers that are idle help.
  void share(Loop& loop, std::int64_t count) {
    {
      const std::lock_guard lock(mutex_);
      loops_.push_back(&loop);
      ++shared_;
    }
    if (count > 2) {
      wake_.notify_all();
    } else {
      wake_.notify_one();
    }
    if (loop.outer != nullptr) done_.notify_all();
    loop.take_part(0);
    std::unique_lock lock(mutex_);
    loops_.remove(&loop);  // nobody can enter any more
    while (loop.helpers != 0) {
      if (help(lock, 0, [&](const Loop& other) { return other.is_inside(loop); })) continue;
      const std::uint64_t seen = shared_;
      const auto changed = [&] { return loop.helpers == 0 || shared_ != seen; };
      lock.unlock();
      const bool did_change = soon(changed);
      lock.lock();
      if (!did_change) done_.wait(lock, changed);
    }
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

  // Takes part in an open loop that is wanted, if there is one. `lock` has the mutex, before and after.
  template <class Wanted>
  bool help(std::unique_lock<std::mutex>& lock, int thread, Wanted wanted) {
    const auto open = std::find_if(loops_.begin(), loops_.end(),
                                   [&](const Loop* loop) { return loop->shares.is_open() && wanted(*loop); });
    if (open == loops_.end()) return false;
    Loop& loop = **open;
    ++loop.helpers;
    lock.unlock();
    loop.take_part(thread);
    lock.lock();
    if (--loop.helpers == 0) done_.notify_all();
    return true;
  }

  void work(int thread) {
    const NearestRounding rounding;  // a thread starts with the mode of the one that made it
    std::unique_lock lock(mutex_);
    for (;;) {
      if (help(lock, thread, [](const Loop&) { return true; })) continue;
      if (stop_) return;
      const std::uint64_t seen = shared_;
      lock.unlock();
      const bool more = ++patient_ <= kPatient && soon([&] { return shared_ != seen; });
      --patient_;
      lock.lock();
      if (!more) wake_.wait(lock, [&] { return stop_ || shared_ != seen; });
    }
  }

  std::mutex mutex_;
  std::condition_variable wake_, done_;
  std::list<Loop*> loops_;                // those with tasks that may not have been started
  std::atomic<std::uint64_t> shared_{0};  // how many loops there have been
  std::atomic<int> patient_{0};           // workers that wait a moment before they sleep
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
  if (count <= 1 || !team_ || origin_.is_forked_child()) {
    for (std::int64_t i = 0; i < count; ++i) task(i);
    return;
  }
  Loop loop{.task = task, .shares{count, threads_}, .error_mutex = {}, .error = nullptr};
  team_->share(loop, count);
  if (loop.error) std::rethrow_exception(loop.error);
}

}  // namespace treenet

#include "codec/process.h"

#include <pthread.h>

#include <atomic>
#include <new>

namespace treenet {

unsigned Origin::forks() {
  static std::atomic<unsigned> count{0};
  static const int failed = pthread_atfork(nullptr, nullptr, [] { ++count; });
  if (failed != 0) throw std::bad_alloc();  // its only reason
  return count;
}

}  // namespace treenet

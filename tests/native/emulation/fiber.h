// A place where code runs with a stack of its own, one at a time on a host thread.
#pragma once

#include <cstddef>

#if !defined(__x86_64__)
#include <ucontext.h>
#endif

namespace treenet::cuda::emulation {

class Fiber {
 public:
  static constexpr std::size_t kStackBytes = 128 * 1024;

  // The code that runs already.
  Fiber() = default;
  // Runs `body`, which never returns, from the first change to it on.
  explicit Fiber(void (*body)());
  ~Fiber();
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  // Leaves `from`, which runs, and goes on in `to`; returns when something changes to `from`.
  static void change(Fiber& from, Fiber& to);

 private:
  static void enter();

#if defined(__x86_64__)
  void* context_ = nullptr;  // the top of the stack, where the registers are
#else
  ucontext_t context_{};
#endif
  void (*body_)() = nullptr;
  void* mapping_ = nullptr;
  // For the address sanitizer, which keeps track of stacks.
  const void* stack_ = nullptr;
  std::size_t stack_bytes_ = 0;
  void* fake_stack_ = nullptr;
};

}  // namespace treenet::cuda::emulation

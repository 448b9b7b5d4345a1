#include "emulation/fiber.h"

#include <sys/mman.h>

#include <cstdint>
#include <cstring>
#include <new>

#if defined(__SANITIZE_ADDRESS__)
#define TREENET_ADDRESS_SANITIZER
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define TREENET_ADDRESS_SANITIZER
#endif
#endif

#if defined(TREENET_ADDRESS_SANITIZER)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

#if defined(__x86_64__)
// swapcontext would ask the kernel for the signal mask at every change. This keeps what a function has to keep.
extern "C" void treenet_emulation_change(void** from, void* to);
asm(R"(
  .text
  .p2align 4
  .globl treenet_emulation_change
  .hidden treenet_emulation_change
  .type treenet_emulation_change, @function
treenet_emulation_change:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
  .size treenet_emulation_change, .-treenet_emulation_change
)");
#endif

namespace treenet::cuda::emulation {
namespace {

constexpr std::size_t kGuardBytes = 4096;  // below the stack, and no access to it
constexpr std::size_t kMappingBytes = kGuardBytes + Fiber::kStackBytes;

thread_local Fiber* left = nullptr;  // in the last change
thread_local Fiber* entered = nullptr;

}  // namespace

Fiber::Fiber(void (*body)()) : body_(body) {
  mapping_ = mmap(nullptr, kMappingBytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (mapping_ == MAP_FAILED) throw std::bad_alloc();
  char* const stack = static_cast<char*>(mapping_) + kGuardBytes;
  if (mprotect(stack, kStackBytes, PROT_READ | PROT_WRITE) != 0) {
    munmap(mapping_, kMappingBytes);
    throw std::bad_alloc();
  }
  stack_ = stack;
  stack_bytes_ = kStackBytes;
#if defined(__x86_64__)
  // As if `enter` were called from address 0 and had changed to another fiber before its first instruction.
  void* const frame[8] = {nullptr, nullptr, nullptr, nullptr, nullptr, nullptr, reinterpret_cast<void*>(&enter),
                          nullptr};
  context_ = stack + stack_bytes_ - sizeof(frame);
  std::memcpy(context_, frame, sizeof(frame));
#else
  getcontext(&context_);
  context_.uc_stack.ss_sp = stack;
  context_.uc_stack.ss_size = stack_bytes_;
  context_.uc_link = nullptr;
  makecontext(&context_, &enter, 0);
#endif
}

Fiber::~Fiber() {
  if (mapping_ == nullptr) return;
#if defined(TREENET_ADDRESS_SANITIZER)
  __asan_unpoison_memory_region(stack_, kStackBytes);  // what is mapped here next has no traps of these frames
#endif
  munmap(mapping_, kMappingBytes);
}

void Fiber::change(Fiber& from, Fiber& to) {
  left = &from;
  entered = &to;
#if defined(TREENET_ADDRESS_SANITIZER)
  __sanitizer_start_switch_fiber(&from.fake_stack_, to.stack_, to.stack_bytes_);
#endif
#if defined(__x86_64__)
  treenet_emulation_change(&from.context_, to.context_);
#else
  swapcontext(&from.context_, &to.context_);
#endif
#if defined(TREENET_ADDRESS_SANITIZER)
  __sanitizer_finish_switch_fiber(from.fake_stack_, &left->stack_, &left->stack_bytes_);
#endif
}

void Fiber::enter() {
#if defined(TREENET_ADDRESS_SANITIZER)
  __sanitizer_finish_switch_fiber(nullptr, &left->stack_, &left->stack_bytes_);
#endif
  entered->body_();
}

}  // namespace treenet::cuda::emulation

// What a forked child may not touch, and the floating-point environment that the arithmetic needs.
#pragma once

#include <cfenv>

namespace treenet {

// A forked child has its parent's objects but none of its other threads, and a lock may be held for ever by one of
// those. Objects with locks remember where they were made and leave their locks alone elsewhere. They ask before every
// lock, which is too often for getpid(): a system call, thousands of times for an image.
class Origin {
 public:
  bool is_forked_child() const { return forks_ != forks(); }

 private:
  // From the first process that made one of these to this one.
  static unsigned forks();

  unsigned forks_ = forks();
};

// Rounds to nearest, ties to even (SPEC §1), whatever the caller has set, until it goes.
class NearestRounding {
 public:
  NearestRounding() : previous_(std::fegetround()) {
    if (previous_ != FE_TONEAREST) std::fesetround(FE_TONEAREST);
  }
  ~NearestRounding() {
    if (previous_ != FE_TONEAREST) std::fesetround(previous_);
  }
  NearestRounding(const NearestRounding&) = delete;
  NearestRounding& operator=(const NearestRounding&) = delete;

 private:
  const int previous_;
};

}  // namespace treenet

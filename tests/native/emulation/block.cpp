#include "emulation/block.h"

#include <bit>
#include <cstdio>
#include <cstring>
#include <numeric>
#include <utility>

#include "codec/error.h"
#include "emulation/device.h"

namespace treenet::cuda::emulation {
namespace {

// Thrown where a thread waits in a block that has failed, so that its stack is left in order.
struct Cancelled {};

constexpr Collective kBarrier{"__syncthreads", nullptr};

thread_local Block* running = nullptr;
thread_local Fiber host;
thread_local std::vector<std::unique_ptr<Fiber>> fibers;  // of threads 0, 1, ...; every block uses them again

std::string show(const Place& place) {
  const std::string path = place.file_name();
  return path.substr(path.find_last_of('/') + 1) + ":" + std::to_string(place.line());
}

bool is_same(const Place& a, const Place& b) {
  return a.line() == b.line() && a.column() == b.column() && std::strcmp(a.file_name(), b.file_name()) == 0;
}

std::string show(const Collective& collective, unsigned mask, const Place& place) {
  if (&collective == &kBarrier) return std::string(collective.name) + " (" + show(place) + ")";
  char digits[16];
  std::snprintf(digits, sizeof(digits), "0x%08x", mask);
  return std::string(collective.name) + " of lanes " + digits + " (" + show(place) + ")";
}

}  // namespace

Block::Block(const std::function<void()>& kernel, unsigned threads, std::size_t shared_bytes, Schedule& schedule)
    : kernel_(kernel),
      threads_(threads),
      shared_bytes_(shared_bytes),
      schedule_(schedule),
      shared_(static_cast<std::uint8_t*>(::operator new(shared_bytes, std::align_val_t{kSharedAlignment}))),
      thread_(threads),
      warp_((threads + kLanes - 1) / kLanes) {
  std::memset(shared(), kPoison, shared_bytes);
  std::iota(turn_order_.begin(), turn_order_.end(), std::uint8_t{0});
  for (unsigned w = 0; w < warp_.size(); ++w) {
    const unsigned lanes = threads - w * kLanes;
    warp_[w].lanes = lanes < kLanes ? (1u << lanes) - 1 : kAllLanes;
    set_ready(w, warp_[w].lanes);
  }
  while (fibers.size() < threads) fibers.push_back(std::make_unique<Fiber>(&run_threads));
}

Block& Block::current() {
  if (running == nullptr) throw Error(ErrorCode::kBackend, "used outside of a kernel");
  return *running;
}

bool Block::is_running() { return running != nullptr; }

void Block::run() {
  running = this;
  choose();
  Fiber::change(host, *fibers[current_]);
  running = nullptr;
  if (error_) std::rethrow_exception(error_);
}

// The body of all fibers, which every block in turn goes on with.
void Block::run_threads() {
  for (;;) {
    Block& block = *running;
    const unsigned self = block.current_;
    std::exception_ptr error;
    try {
      if (!block.cancelled_) block.kernel_();
    } catch (const Cancelled&) {
    } catch (...) {
      error = std::current_exception();
    }
    if (error) block.cancel(std::exchange(error, nullptr));
    block.clear_ready(self);
    block.warp_[self / kLanes].ended |= 1u << self % kLanes;
    ++block.ended_;
    block.suspend(self);
  }
}

// Goes on with the thread whose turn it is, or with the host if all have ended. Nothing of the block may be used by an
// ended thread after it: the fiber then runs in another one.
void Block::suspend(unsigned number) {
  Fiber& to = choose() ? *fibers[current_] : host;
  Fiber& from = *fibers[number];
  if (&from != &to) Fiber::change(from, to);
}

// Chooses the thread that runs next; false if all have ended.
bool Block::choose() {
  for (;;) {
    while (turn_next_ < kLanes) {
      const unsigned lane = turn_order_[turn_next_++];
      if ((warp_[turn_warp_].ready >> lane & 1) != 0) {
        current_ = turn_warp_ * kLanes + lane;
        threadIdx = {current_, 0, 0};
        return true;
      }
    }
    if (ready_ == 0) {
      if (ended_ == threads_) return false;
      cancel(std::make_exception_ptr(Error(ErrorCode::kBackend, deadlock())));
    }
    turn_warp_ = schedule_.pick(ready_);
    schedule_.arrange(turn_order_);
    turn_next_ = 0;
  }
}

void Block::set_ready(unsigned warp, unsigned lanes) {
  warp_[warp].ready |= lanes;
  ready_ |= 1u << warp;
}

void Block::clear_ready(unsigned number) {
  Warp& warp = warp_[number / kLanes];
  warp.ready &= ~(1u << number % kLanes);
  if (warp.ready == 0) ready_ &= ~(1u << number / kLanes);
}

void Block::cancel(std::exception_ptr error) {
  if (cancelled_) return;
  cancelled_ = true;
  error_ = std::move(error);
  for (unsigned w = 0; w < warp_.size(); ++w) {
    if (warp_[w].ended != warp_[w].lanes) set_ready(w, warp_[w].lanes & ~warp_[w].ended);
  }
}

void Block::meet(const Collective& collective, unsigned mask, void* operand, const Place& place) {
  const unsigned self = current_, bit = 1u << self % kLanes;
  if ((mask & bit) == 0) fail("is not one of the lanes that it calls " + show(collective, mask, place) + " for");
  thread_[self] = {&collective, mask, place};
  Warp& warp = warp_[self / kLanes];
  warp.operands[self % kLanes] = operand;
  unsigned m = 0;
  while (m < warp.meetings && (warp.meeting[m].collective != &collective || warp.meeting[m].mask != mask)) ++m;
  if (m == warp.meetings) warp.meeting[warp.meetings++] = {&collective, mask, 0};
  Meeting& meeting = warp.meeting[m];
  meeting.arrived |= bit;
  clear_ready(self);
  if (meeting.arrived == mask) {
    meeting = warp.meeting[--warp.meetings];
    collective.run(mask, warp.operands.data());
    set_ready(self / kLanes, mask);
  }
  suspend(self);
  if (cancelled_) throw Cancelled{};
}

void Block::meet_all(const Place& place) {
  const unsigned self = current_;
  thread_[self] = {&kBarrier, 0, place};
  clear_ready(self);
  if (++at_barrier_ == threads_) {
    check_barrier();
    at_barrier_ = 0;
    for (unsigned w = 0; w < warp_.size(); ++w) set_ready(w, warp_[w].lanes);
  }
  suspend(self);
  if (cancelled_) throw Cancelled{};
}

// Warps may meet at different places, the lanes of one may not: bar.sync is "aligned".
void Block::check_barrier() const {
  for (unsigned i = 0; i < threads_; ++i) {
    const unsigned first = i / kLanes * kLanes;
    if (is_same(thread_[i].place, thread_[first].place)) continue;
    fail(i, "is at another barrier than its warp: " + whereabouts(i) + "; " + whereabouts(first));
  }
}

void Block::fail(unsigned number, const std::string& message) const {
  throw Error(ErrorCode::kBackend, name(number) + " " + message);
}

// Says who waits for whom, when nobody can go on. A warp's meetings are looked at first: threads at a barrier may wait
// for those.
std::string Block::deadlock() const {
  for (unsigned w = 0; w < warp_.size(); ++w) {
    if (warp_[w].meetings == 0) continue;
    const Meeting& meeting = warp_[w].meeting[0];
    const auto waiting = w * kLanes + static_cast<unsigned>(std::countr_zero(meeting.arrived));
    const auto missing = w * kLanes + static_cast<unsigned>(std::countr_zero(meeting.mask & ~meeting.arrived));
    return whereabouts(waiting) + " for " + whereabouts(missing);
  }
  std::string waiting, missing;
  for (unsigned i = threads_; i-- > 0;) {
    const bool has_ended = (warp_[i / kLanes].ended >> i % kLanes & 1) != 0;
    (has_ended ? missing : waiting) = whereabouts(i);
  }
  return waiting + " for " + missing;
}

std::string Block::name(unsigned number) const {
  return "thread " + std::to_string(number) + " of block (" + std::to_string(blockIdx.x) + ", " +
         std::to_string(blockIdx.y) + ", " + std::to_string(blockIdx.z) + ")";
}

std::string Block::whereabouts(unsigned number) const {
  if (number >= threads_) return name(number) + ", which the block does not have";
  if ((warp_[number / kLanes].ended >> number % kLanes & 1) != 0) return name(number) + ", which has ended";
  const Thread& thread = thread_[number];
  return name(number) + ", which waits in " + show(*thread.waits_in, thread.mask, thread.place);
}

std::uint8_t* shared_memory() { return Block::current().shared(); }

void __syncthreads(const Place& place) { Block::current().meet_all(place); }

}  // namespace treenet::cuda::emulation

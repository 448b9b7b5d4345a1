// A block that runs: its threads, its shared memory, and who waits for whom.
#pragma once

#include <array>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <new>
#include <string>
#include <vector>

#include "emulation/fiber.h"
#include "emulation/schedule.h"
#include "emulation/warp.h"

namespace treenet::cuda::emulation {

inline constexpr unsigned kLanes = 32;
inline constexpr unsigned kAllLanes = 0xFFFFFFFFu;

// Something that lanes of a warp do together, once all of them have come.
struct Collective {
  const char* name;
  void (*run)(unsigned mask, void* const* operands);  // operands[lane], of the lanes of the mask
};

class Block {
 public:
  Block(const std::function<void()>& kernel, unsigned threads, std::size_t shared_bytes, Schedule& schedule);
  Block(const Block&) = delete;
  Block& operator=(const Block&) = delete;

  // Runs all threads to their ends. Throws the first error, when all threads have left the kernel.
  void run();

  // The one that runs on this host thread; an Error where none does.
  static Block& current();
  static bool is_running();

  std::uint8_t* shared() const { return shared_.get(); }
  std::size_t shared_bytes() const { return shared_bytes_; }
  unsigned lane() const { return current_ % kLanes; }

  // Of the thread that runs: waits for the other lanes of the mask. The last that comes runs the collective for all.
  void meet(const Collective& collective, unsigned mask, void* operand, const Place& place);
  // Waits for all threads of the block.
  void meet_all(const Place& place);
  // Throws an Error that names the thread, `number` or the one that runs.
  [[noreturn]] void fail(const std::string& message) const { fail(current_, message); }
  [[noreturn]] void fail(unsigned number, const std::string& message) const;

 private:
  struct Free {
    void operator()(std::uint8_t* memory) const { ::operator delete(memory, std::align_val_t{kSharedAlignment}); }
  };
  struct Thread {
    const Collective* waits_in = nullptr;
    unsigned mask = 0;
    Place place;
  };
  // Lanes that have come to a collective; others of the mask have not.
  struct Meeting {
    const Collective* collective;
    unsigned mask, arrived;
  };
  struct Warp {
    unsigned lanes = 0, ready = 0, ended = 0;
    unsigned meetings = 0;
    std::array<Meeting, kLanes> meeting;
    std::array<void*, kLanes> operands;
  };
  static constexpr std::size_t kSharedAlignment = 128;

  static void run_threads();
  void suspend(unsigned number);
  bool choose();
  void set_ready(unsigned warp, unsigned lanes);
  void clear_ready(unsigned number);
  void cancel(std::exception_ptr error);
  void check_barrier() const;
  std::string deadlock() const;
  std::string name(unsigned number) const;
  std::string whereabouts(unsigned number) const;

  const std::function<void()>& kernel_;
  const unsigned threads_;
  const std::size_t shared_bytes_;
  Schedule& schedule_;
  const std::unique_ptr<std::uint8_t[], Free> shared_;
  std::vector<Thread> thread_;
  std::vector<Warp> warp_;
  unsigned ended_ = 0, at_barrier_ = 0;  // threads
  unsigned ready_ = 0;                   // warps that have lanes which can run
  // The turn: lanes of a warp, one after the other.
  unsigned turn_warp_ = 0, turn_next_ = kLanes;
  std::array<std::uint8_t, kLanes> turn_order_;
  unsigned current_ = 0;  // the thread that runs
  bool cancelled_ = false;
  std::exception_ptr error_;
};

}  // namespace treenet::cuda::emulation

#include <atomic>
#include <climits>
#include <numeric>
#include <string>
#include <vector>

#include "codec/error.h"
#include "emulation/block.h"
#include "emulation/device.h"
#include "emulation/stream.h"

namespace treenet::cuda::emulation {
namespace {

std::atomic<std::uint64_t> seed{0};

struct Size {
  unsigned x, y, z, threads;
  std::size_t shared_bytes;
};

void check(const char* what, std::int64_t value, std::int64_t least, std::int64_t most) {
  if (value >= least && value <= most) return;
  throw Error(ErrorCode::kBackend, "launch with " + std::to_string(value) + " " + what + ", which has to be " +
                                       std::to_string(least) + " to " + std::to_string(most));
}

void run(const std::function<void()>& kernel, const Size& size) {
  Schedule schedule(seed);
  gridDim = {size.x, size.y, size.z};
  blockDim = {size.threads, 1, 1};
  std::vector<std::uint64_t> order(static_cast<std::size_t>(size.x) * size.y * size.z);
  std::iota(order.begin(), order.end(), std::uint64_t{0});
  schedule.arrange(order);
  for (const std::uint64_t i : order) {
    blockIdx = {static_cast<unsigned>(i % size.x), static_cast<unsigned>(i / size.x % size.y),
                static_cast<unsigned>(i / size.x / size.y)};
    Block(kernel, size.threads, size.shared_bytes, schedule).run();
  }
}

}  // namespace

void launch(std::function<void()> thread, int x, int y, int z, int threads, std::size_t shared_bytes, void* stream) {
  if (Block::is_running()) Block::current().fail("launches a kernel");
  check("blocks in x", x, 1, INT_MAX);
  check("blocks in y", y, 1, 65535);
  check("blocks in z", z, 1, 65535);
  check("threads a block", threads, 1, kMaxThreads);
  check("bytes of shared memory", static_cast<std::int64_t>(shared_bytes), 0, kMaxSharedBytes);
  const Size size{static_cast<unsigned>(x), static_cast<unsigned>(y), static_cast<unsigned>(z),
                  static_cast<unsigned>(threads), shared_bytes};
  submit(stream, [kernel = std::move(thread), size] { run(kernel, size); });
}

void set_schedule(std::uint64_t value) { seed = value; }

}  // namespace treenet::cuda::emulation

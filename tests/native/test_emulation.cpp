// The emulation of CUDA that the kernels are tested on: it computes what a GPU computes, and reports what a GPU does
// not forgive.
#include <algorithm>
#include <array>
#include <bit>
#include <climits>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <functional>
#include <limits>
#include <memory>
#include <numeric>
#include <random>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "check.h"
#include "cuda/fragments.h"
#include "cuda/launch.h"
#include "cuda/mma.h"
#include "cuda/platform.h"
#include "cuda/runtime.h"

namespace treenet::cuda {
namespace {

using Code = std::function<void()>;

constexpr ErrorCode kBackend = ErrorCode::kBackend;
constexpr std::uint64_t kSeeds = 8;

struct CodeParameters {
  const Code* code;
};

__global__ void run_code(CodeParameters parameters) { (*parameters.code)(); }

// Runs `code` in every thread of the grid.
void run(const Grid& grid, const Code& code) { launch(run_code, grid, nullptr, CodeParameters{&code}); }

void run_warp(const Code& code) { run({.threads = kWarp}, code); }

int lane() { return static_cast<int>(threadIdx.x % kWarp); }

// Sets the schedule until it goes.
struct Seeded {
  explicit Seeded(std::uint64_t seed) { emulation::set_schedule(seed); }
  ~Seeded() { emulation::set_schedule(0); }
};

template <class T>
std::vector<T> random_numbers(std::size_t count, unsigned seed) {
  std::mt19937 random(seed);
  std::vector<T> numbers(count);
  for (T& number : numbers) number = static_cast<T>(random());
  return numbers;
}

std::uint32_t bytes_at(const void* from) {
  std::uint32_t bits;
  std::memcpy(&bits, from, 4);
  return bits;
}

// Products of random matrices that go to the lanes as mma.h says, against a plain loop. `mma` gets the lane's fragments
// with as many registers as kDepth has.
template <class A, class B, int kDepth>
void check_product(const std::function<void(FragmentD&, const FragmentA&, const FragmentB&)>& mma) {
  for (unsigned seed = 0; seed < 4; ++seed) {
    const Seeded schedule(seed);
    const auto a = random_numbers<A>(16 * kDepth, seed);         // [row][k]
    const auto b = random_numbers<B>(8 * kDepth, seed + 1);      // [column][k]
    const auto c = random_numbers<std::int32_t>(128, seed + 2);  // [row][column]
    std::vector<std::int32_t> d(128);
    run_warp([&] {
      const int g = lane() / 4, t = lane() % 4;
      FragmentA fa{};
      FragmentB fb{};
      for (int half = 0; half < kDepth / 16; ++half) {
        const int k = 16 * half + 4 * t;
        fa[2 * half] = bytes_at(&a[g * kDepth + k]);
        fa[2 * half + 1] = bytes_at(&a[(g + 8) * kDepth + k]);
        fb[half] = bytes_at(&b[g * kDepth + k]);
      }
      const int at[4] = {g * 8 + 2 * t, g * 8 + 2 * t + 1, (g + 8) * 8 + 2 * t, (g + 8) * 8 + 2 * t + 1};
      FragmentD fd = {c[at[0]], c[at[1]], c[at[2]], c[at[3]]};
      mma(fd, fa, fb);
      for (int i = 0; i < 4; ++i) d[at[i]] = fd[i];
    });
    for (int row = 0; row < 16; ++row) {
      for (int column = 0; column < 8; ++column) {
        auto sum = static_cast<std::uint32_t>(c[row * 8 + column]);
        for (int k = 0; k < kDepth; ++k) {
          sum += static_cast<std::uint32_t>(a[row * kDepth + k] * b[column * kDepth + k]);
        }
        CHECK_EQUAL(d[row * 8 + column], static_cast<std::int32_t>(sum));
      }
    }
  }
}

TEST("products of tensor cores are those of a loop") {
  check_product<std::uint8_t, std::int8_t, 32>([](auto& d, auto& a, auto& b) { mma_u8_s8(d, a, b[0], b[1]); });
  check_product<std::int8_t, std::int8_t, 32>([](auto& d, auto& a, auto& b) { mma_s8_s8(d, a, b[0], b[1]); });
  check_product<std::uint8_t, std::uint8_t, 32>([](auto& d, auto& a, auto& b) { mma_u8_u8(d, a, b[0], b[1]); });
  check_product<std::uint8_t, std::int8_t, 16>([](auto& d, auto& a, auto& b) { mma_k16_u8_s8(d, a[0], a[1], b[0]); });
}

TEST("matrices are loaded from rows of shared memory") {
  const auto bytes = random_numbers<std::uint8_t>(32 * 48, 1);
  std::array<std::array<std::uint32_t, 4>, kWarp> loaded;
  run({.threads = kWarp, .shared_bytes = bytes.size()}, [&] {
    std::memcpy(shared_memory() + 48 * lane(), &bytes[48 * lane()], 48);
    __syncwarp();
    FragmentA a;
    load_matrices(a, shared_row(shared_memory() + 48 * (31 - lane()) + 16));
    for (int i = 0; i < 4; ++i) loaded[lane()][i] = a[i];
  });
  for (int l = 0; l < kWarp; ++l) {
    for (int matrix = 0; matrix < 4; ++matrix) {
      const int row = 31 - (8 * matrix + l / 4);
      CHECK_EQUAL(loaded[l][matrix], bytes_at(&bytes[48 * row + 16 + 4 * (l % 4)]));
    }
  }
}

template <class T>
void check_shuffles(T scale) {
  std::array<std::array<T, 4>, kWarp> all, eights;
  const auto value = [&](int l) { return static_cast<T>(l * scale); };
  run_warp([&] {
    const T own = value(lane());
    const unsigned every = kAllLanes;
    all[lane()] = {__shfl_sync(every, own, lane() + 33), __shfl_up_sync(every, own, 3), __shfl_down_sync(every, own, 3),
                   __shfl_xor_sync(every, own, 5)};
    eights[lane()] = {__shfl_sync(every, own, 10, 8), __shfl_up_sync(every, own, 3, 8),
                      __shfl_down_sync(every, own, 3, 8), __shfl_xor_sync(every, own, 8, 8)};
  });
  for (int l = 0; l < kWarp; ++l) {
    CHECK_EQUAL(all[l][0], value((l + 1) % kWarp));
    CHECK_EQUAL(all[l][1], value(l < 3 ? l : l - 3));
    CHECK_EQUAL(all[l][2], value(l > 28 ? l : l + 3));
    CHECK_EQUAL(all[l][3], value(l ^ 5));
    CHECK_EQUAL(eights[l][0], value(l / 8 * 8 + 2));
    CHECK_EQUAL(eights[l][1], value(l % 8 < 3 ? l : l - 3));
    CHECK_EQUAL(eights[l][2], value(l % 8 > 4 ? l : l + 3));
    CHECK_EQUAL(eights[l][3], value(l / 8 % 2 == 0 ? l : l - 8));  // only from earlier segments
  }
}

TEST("shuffles read the lanes that CUDA's read") {
  for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
    const Seeded schedule(seed);
    check_shuffles<int>(-1000);
    check_shuffles<unsigned>(0x08000001);
    check_shuffles<float>(0.5f);
    check_shuffles<long long>(-(1ll << 40));
    check_shuffles<std::uint64_t>(std::uint64_t{1} << 50);
  }
}

TEST("votes and sums are of the lanes of the mask, and parts of a warp meet on their own") {
  for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
    const Seeded schedule(seed);
    std::array<unsigned, kWarp> ballots, sums;
    std::array<int, kWarp> any, all, signed_sums;
    run_warp([&] {
      const bool is_low = lane() < 8;
      const unsigned mask = is_low ? 0xFFu : 0xFFFFFF00u;
      if (is_low) __syncwarp(mask);
      ballots[lane()] = __ballot_sync(mask, lane() % 3 == 0 ? 2 : 0);
      any[lane()] = __any_sync(mask, lane() == 8);
      all[lane()] = __all_sync(mask, lane() != 8);
      sums[lane()] = __reduce_add_sync(mask, 1u << lane());
      signed_sums[lane()] = __reduce_add_sync(kAllLanes, -lane());
    });
    for (int l = 0; l < kWarp; ++l) {
      CHECK_EQUAL(ballots[l], l < 8 ? 0x49u : 0x49249200u);
      CHECK_EQUAL(any[l], l < 8 ? 0 : 1);
      CHECK_EQUAL(all[l], l < 8 ? 1 : 0);
      CHECK_EQUAL(sums[l], l < 8 ? 0xFFu : 0xFFFFFF00u);
      CHECK_EQUAL(signed_sums[l], -496);
    }
  }
}

TEST("all threads of all blocks run, and a barrier holds them together") {
  constexpr int kThreads = 200;  // the last warp is not full
  for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
    const Seeded schedule(seed);
    std::vector<unsigned> reversed(12 * kThreads);
    int blocks = 0;
    run({.x = 2, .y = 3, .z = 2, .threads = kThreads, .shared_bytes = 4 * kThreads}, [&] {
      auto* const shared = reinterpret_cast<unsigned*>(shared_memory());
      const unsigned block = (blockIdx.z * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x;
      for (unsigned round = 0; round < 3; ++round) {
        shared[threadIdx.x] = block * blockDim.x + threadIdx.x;
        __syncthreads();
        reversed[block * kThreads + threadIdx.x] = shared[kThreads - 1 - threadIdx.x];
        __syncthreads();
      }
      if (threadIdx.x == 0) atomicAdd(&blocks, 1);
    });
    CHECK_EQUAL(blocks, 12);
    for (unsigned i = 0; i < reversed.size(); ++i) {
      CHECK_EQUAL(reversed[i], i / kThreads * kThreads + kThreads - 1 - i % kThreads);
    }
  }
}

// In how many schedules after that in order the threads of a block read other than with it.
template <int kThreads>
int changes(const std::function<void()>& hold, int neighbour) {
  std::vector<unsigned> in_order(kThreads), read(kThreads);
  int count = 0;
  for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
    const Seeded schedule(seed);
    run({.threads = kThreads, .shared_bytes = 4 * kThreads}, [&] {
      auto* const shared = reinterpret_cast<unsigned*>(shared_memory());
      shared[threadIdx.x] = threadIdx.x;
      hold();
      read[threadIdx.x] = shared[(threadIdx.x + kThreads - neighbour) % kThreads];
    });
    if (seed == 0) in_order = read;
    count += read != in_order;
  }
  return count;
}

TEST("a missing barrier shows under other schedules") {
  CHECK(changes<128>([] {}, 32) > 0);
  CHECK(changes<128>([] { __syncwarp(); }, 32) > 0);
  CHECK_EQUAL(changes<128>([] { __syncthreads(); }, 32), 0);
  CHECK(changes<32>([] {}, 1) > 0);
  CHECK_EQUAL(changes<32>([] { __syncwarp(); }, 1), 0);
}

TEST("schedules: in order, or as the seed says") {
  const auto order = [](std::uint64_t seed) {
    const Seeded schedule(seed);
    std::vector<unsigned> threads;
    run({.x = 2, .threads = 64}, [&] {
      threads.push_back(blockIdx.x * 64 + threadIdx.x);
      __syncthreads();
      __syncwarp();
    });
    return threads;
  };
  std::vector<unsigned> in_order(128);
  std::iota(in_order.begin(), in_order.end(), 0u);
  CHECK_EQUAL(order(0), in_order);
  CHECK(order(1) != in_order && order(1) != order(2));
  CHECK_EQUAL(order(1), order(1));
}

TEST("atomic sums") {
  int count = 0;
  unsigned wide = 0;
  unsigned long long sum = 0;
  std::vector<int> before;
  run({.x = 3, .threads = 64}, [&] {
    before.push_back(atomicAdd(&count, 1));
    atomicAdd(&wide, 0xFFFFFFFFu);
    atomicAdd(&sum, 1ull << 32);
  });
  CHECK_EQUAL(count, 192);
  CHECK_EQUAL(before.back(), 191);
  CHECK_EQUAL(wide, 0u - 192u);
  CHECK_EQUAL(sum, 192ull << 32);
}

TEST("arithmetic of one thread") {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  CHECK_EQUAL(__float2int_rn(0.5f), 0);
  CHECK_EQUAL(__float2int_rn(1.5f), 2);
  CHECK_EQUAL(__float2int_rn(-2.5f), -2);
  CHECK_EQUAL(__float2int_rn(2147483520.0f), 2147483520);
  CHECK_EQUAL(__float2int_rn(2147483648.0f), INT_MAX);
  CHECK_EQUAL(__float2int_rn(-2147483648.0f), INT_MIN);
  CHECK_EQUAL(__float2int_rn(-kInfinity), INT_MIN);
  CHECK_EQUAL(__float2int_rn(std::nanf("")), 0);
  CHECK_EQUAL(__int2float_rn(16777217), 16777216.0f);
  CHECK_EQUAL(__fdiv_rn(1.0f, 3.0f), std::bit_cast<float>(0x3EAAAAABu));
  CHECK_EQUAL(__fdiv_rn(1.0f, 0.0f), kInfinity);
  CHECK_EQUAL(__fsqrt_rn(2.0f), std::bit_cast<float>(0x3FB504F3u));
  CHECK_EQUAL(__fadd_rn(__fmul_rn(16777215.0f, 16777215.0f), -281474943156224.0f), 0.0f);  // would be 1 if fused
  CHECK_EQUAL(__fsub_rn(1.0f, 0.25f), 0.75f);
  CHECK_EQUAL(__byte_perm(0x33221100, 0x77665544, 0x7250), 0x77225500u);
  CHECK_EQUAL(__dp4a(0x7F80FF01, 0x02030405, 10), 10 + 254 - 384 - 4 + 5);
  CHECK_EQUAL(__dp4a(0x7F80FF01u, 0x02030405u, 10u), 10u + 254 + 384 + 1020 + 5);
  CHECK_EQUAL(__popc(0xF0F00001u), 9);
  CHECK_EQUAL(__clz(0), 32);
  CHECK_EQUAL(__clz(0x00010000), 15);
  CHECK_EQUAL(__ffs(0), 0);
  CHECK_EQUAL(__ffs(INT_MIN), 32);
  CHECK_EQUAL(min(-1, 2), -1);
  CHECK_EQUAL(max(-1, 2u), 0xFFFFFFFFu);
  const uint4 vector = make_uint4(1, 2, 3, 4);
  CHECK_EQUAL(__ldg(&vector).w, 4u);
}

TEST("values are clamped as they are packed, and summed from there") {
  CHECK_EQUAL(pack_s16(-40000, 32768), 0x7FFF8000u);
  CHECK_EQUAL(pack_s16(-1, 2), 0x0002FFFFu);
  CHECK_EQUAL(pack_u8(-5, 300, 7, 255), 0xFF07FF00u);
  CHECK_EQUAL(__dp2a_lo(static_cast<int>(0x8000FFFFu), 0x0001, 5), 4);
  CHECK_EQUAL(__dp2a_lo(static_cast<int>(0x8000FFFFu), 0x0100, 5), 5 - 32768);
}

// A root's significand depends on the number's and on whether its exponent is even: the numbers of [1, 4) stand for
// all. From every estimate: test_roots.cpp.
TEST("roots are correctly rounded for every significand, from estimates on both sides") {
  std::uint32_t wrong = 0;
  for (auto bits = std::bit_cast<std::uint32_t>(1.0f); bits < std::bit_cast<std::uint32_t>(4.0f); ++bits) {
    const float number = std::bit_cast<float>(bits), root = std::sqrt(number);
    const double inverse = 1 / std::sqrt(static_cast<double>(number));
    wrong += root_of(number) != root;
    for (const double error : {-0x1p-14, -0x1p-20, 0.0, 0x1p-17, 0x1p-14}) {
      wrong += root_from(number, static_cast<float>(inverse * (1 + error))) != root;
    }
  }
  CHECK_EQUAL(wrong, 0u);
}

TEST("shared memory is poisoned for every block") {
  std::vector<int> wrong(4);
  run({.x = 4, .threads = 32, .shared_bytes = 1000}, [&] {
    if (threadIdx.x != 0) return;
    CHECK_EQUAL(reinterpret_cast<std::uintptr_t>(shared_memory()) % 128, 0u);
    wrong[blockIdx.x] =
        1000 - static_cast<int>(std::count(shared_memory(), shared_memory() + 1000, emulation::kPoison));
    std::memset(shared_memory(), 0, 1000);
  });
  CHECK_EQUAL(wrong, std::vector<int>(4));
}

TEST("lanes in different collectives are reported") {
  CHECK_ERROR(run_warp([] { lane() < 16 ? __syncwarp() : (void)__any_sync(kAllLanes, 1); }), kBackend,
              "thread 0 of block (0, 0, 0), which waits in __syncwarp of lanes 0xffffffff (test_emulation.cpp:");
  CHECK_ERROR(run_warp([] { __syncwarp(lane() < 16 ? 0x1FFFFu : kAllLanes); }), kBackend,
              "for thread 16 of block (0, 0, 0), which waits in __syncwarp of lanes 0xffffffff");
  CHECK_ERROR(run({.threads = 64}, [] { threadIdx.x == 40 ? __syncthreads() : __syncwarp(); }), kBackend,
              "for thread 40 of block (0, 0, 0), which waits in __syncthreads (test_emulation.cpp:");
}

TEST("lanes that are not there are reported") {
  FragmentD d{};
  CHECK_ERROR(run_warp([&] {
                if (lane() != 7) mma_u8_s8(d, FragmentA{}, 0, 0);
              }),
              kBackend, "waits in mma.m16n8k32 of lanes 0xffffffff");
  CHECK_ERROR(run({.x = 3, .threads = 48},
                  [] {
                    if (threadIdx.x < 32 || blockIdx.x == 1) __syncwarp();
                  }),
              kBackend, "for thread 48 of block (1, 0, 0), which the block does not have");
  CHECK_ERROR(run_warp([] { __syncwarp(0xFFFF); }), kBackend, "thread 16 of block (0, 0, 0) is not one of the lanes");
  CHECK_ERROR(run_warp([] { __shfl_sync(lane() < 16 ? 0xFFFFu : 0xFFFF0000u, 1, 20); }), kBackend,
              "thread 0 of block (0, 0, 0) shuffles from lane 20, which does not take part");
  CHECK_ERROR(run_warp([] { __shfl_xor_sync(kAllLanes, 1, 1, 12); }), kBackend, "a width of 12");
}

TEST("barriers that not all threads reach are reported") {
  CHECK_ERROR(run({.threads = 96},
                  [] {
                    if (threadIdx.x < 70) __syncthreads();
                  }),
              kBackend, "for thread 70 of block (0, 0, 0), which has ended");
  // Not inside of a macro, which is all one line.
  const auto apart = [] {
    if (threadIdx.x == 33) {
      __syncthreads();
    } else {
      __syncthreads();
    }
  };
  CHECK_ERROR(run({.threads = 64}, apart), kBackend,
              "thread 33 of block (0, 0, 0) is at another barrier than its warp");
}

TEST("rows of matrices outside of shared memory are reported") {
  const Grid grid{.threads = kWarp, .shared_bytes = 512};
  FragmentA a;
  alignas(16) std::uint8_t elsewhere[16] = {};
  CHECK_ERROR(run(grid, [&] { load_matrices(a, shared_row(shared_memory() + 8 * lane())); }), kBackend,
              "thread 1 of block (0, 0, 0) loads a row from byte 8 of shared memory: not a multiple of 16");
  CHECK_ERROR(run(grid, [&] { load_matrices(a, shared_row(shared_memory() + 16 * (lane() + 1))); }), kBackend,
              "thread 31 of block (0, 0, 0) loads a row that is not in the 512 bytes");
  CHECK_ERROR(run(grid, [&] { load_matrices(a, shared_row(elsewhere)); }), kBackend,
              "thread 0 of block (0, 0, 0) loads a row");
}

TEST("launches that no GPU takes are reported") {
  const Code nothing = [] {};
  CHECK_ERROR(run({.threads = 1025}, nothing), kBackend, "1025 threads a block");
  CHECK_ERROR(run({.threads = 0}, nothing), kBackend, "0 threads a block");
  CHECK_ERROR(run({.x = 0}, nothing), kBackend, "0 blocks in x");
  CHECK_ERROR(run({.y = 65536}, nothing), kBackend, "65536 blocks in y");
  CHECK_ERROR(run({.shared_bytes = 227 * 1024 + 1}, nothing), kBackend, "232449 bytes of shared memory");
  CHECK_ERROR(run_warp([&] { run_warp(nothing); }), kBackend, "thread 0 of block (0, 0, 0) launches a kernel");
  CHECK_ERROR(shared_memory(), kBackend, "outside of a kernel");
  run({.threads = 1024, .shared_bytes = 227 * 1024}, [] { __syncthreads(); });
}

TEST("what a kernel throws comes out of the launch, and all threads leave it") {
  for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
    const Seeded schedule(seed);
    const auto held = std::make_shared<int>();
    std::string caught;
    try {
      run({.x = 2, .threads = 96}, [&] {
        const auto own = held;
        __syncthreads();
        if (threadIdx.x == 50) throw std::logic_error("thread 50");
        __syncwarp();
        __syncthreads();
      });
    } catch (const std::logic_error& error) {
      caught = error.what();
    }
    CHECK_EQUAL(caught, "thread 50");
    CHECK_EQUAL(held.use_count(), 1);
  }
}

TEST("host threads launch at the same time") {
  int sum = 0;
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 3; ++i) {
      threads.emplace_back([&] {
        run({.x = 50, .threads = 96, .shared_bytes = 4}, [&] {
          auto* const shared = reinterpret_cast<unsigned*>(shared_memory());
          if (threadIdx.x == 7) *shared = blockIdx.x;
          __syncthreads();
          atomicAdd(&sum, *shared == blockIdx.x && blockDim.x == 96);
        });
      });
    }
  }
  CHECK_EQUAL(sum, 3 * 50 * 96);
}

TEST("device memory is poisoned, and of the size asked for") {
  std::string why;
  CHECK_EQUAL(device_count(why), 1);
  CHECK_EQUAL(device_properties(0).name, "emulated");
  CHECK_ERROR(DeviceGuard(1), kBackend, "no CUDA device 1");
  const DeviceGuard guard(0);
  const DeviceBuffer buffer(1001);
  const auto* const bytes = buffer.as<std::uint8_t>();
  CHECK_EQUAL(std::count(bytes, bytes + buffer.size(), emulation::kPoison), 1001);
  const PinnedBuffer pinned(12);
  CHECK_EQUAL(*pinned.as<std::uint8_t>(), emulation::kPoison);
  CHECK_EQUAL(DeviceBuffer(0).size(), 0u);
}

struct AddParameters {
  int* numbers;
  int value;
};

__global__ void __launch_bounds__(64) add(const __grid_constant__ AddParameters parameters) {
  parameters.numbers[blockIdx.x * blockDim.x + threadIdx.x] += parameters.value;
}

TEST("a graph does nothing while it is recorded, and all of it at each launch") {
  const Stream stream;
  const DeviceBuffer buffer(128 * sizeof(int));
  PinnedBuffer in(buffer.size()), out(buffer.size());
  std::fill_n(in.as<int>(), 128, 1);
  std::fill_n(out.as<int>(), 128, -1);
  const Graph graph([&](StreamHandle recorded) {
    fill_zero(buffer.as<void>(), buffer.size(), recorded);
    copy_to_device(buffer.as<int>() + 64, in.as<int>(), 64 * sizeof(int), recorded);
    launch(add, {.x = 2, .threads = 64}, recorded, AddParameters{buffer.as<int>(), 5});
    copy_to_host(out.as<int>(), buffer.as<int>(), buffer.size(), recorded);
  });
  CHECK_EQUAL(*buffer.as<std::uint8_t>(), emulation::kPoison);
  CHECK_EQUAL(out.as<int>()[0], -1);
  for (int round = 1; round < 3; ++round) {
    std::fill_n(in.as<int>(), 128, round);
    graph.launch(stream.handle());
    wait(stream.handle());
    CHECK_EQUAL(out.as<int>()[63], 5);
    CHECK_EQUAL(out.as<int>()[64], round + 5);
  }
}

TEST("streams that are recorded are neither waited for nor marked by events") {
  CHECK_ERROR(Graph([](StreamHandle recorded) { wait(recorded); }), kBackend, "wait for a stream that is recorded");
  CHECK_ERROR(Graph([](StreamHandle recorded) { Event().record(recorded); }), kBackend, "event");
}

}  // namespace
}  // namespace treenet::cuda

// Between positions of the latents and symbols in the order of coding (SPEC §7.2): what the host's entropy coder reads
// and writes, in its own memory, is only what is coded. It crosses the bus in words of 16 bytes, by kernels that do no
// more: a position's few bytes at a time take several times as long.
#include <algorithm>

#include "cuda/kernels.h"
#include "cuda/launch.h"

namespace treenet::cuda {
namespace {

constexpr int kWarps = 4;
constexpr int kScanThreads = 256;
constexpr int kCopyThreads = 256, kMostCopyBlocks = 32;  // of an image
constexpr int kLanes = 32;                               // the channels of a position

// Row `row` of bottleneck b among the runs of its image, and where it lies.
struct Run {
  int b, row;
};
__device__ __forceinline__ int run_number(const Run& run, int height, int segment_rows) {
  const int begin = run.row / segment_rows * segment_rows;
  const int rows = min(segment_rows, height - begin);
  return kBottleneckCount * begin + run.b * rows + run.row - begin;
}

struct Warp {
  int lane, image;
  Run run;
  bool valid;
};
__device__ __forceinline__ Warp this_warp(int height) {
  const int thread = static_cast<int>(threadIdx.x);
  const int k = static_cast<int>(blockIdx.x) * kWarps + thread / kWarp;
  return {thread % kWarp,
          static_cast<int>(blockIdx.z),
          {k % kBottleneckCount, k / kBottleneckCount},
          k < kBottleneckCount * height};
}

// What a launch needs to know beside its parameters.
template <class Parameters>
struct OfParity {
  Parameters p;
  int parity;
};

// Where a symbol is, and its place among the coded ones of its row.
struct Element {
  std::int64_t at;
  int index, rank;
  bool coded;
};
constexpr int kAtOnce = 8;  // positions: what is loaded for them does not wait for each other

// Visits the positions of one parity of the warp's row, kAtOnce at a time; a lane is a channel. visit(elements, count)
// has `count` of them. Returns the number of coded symbols of the row.
template <class Visit>
__device__ __forceinline__ int for_each_symbol(const OfParity<SymbolParameters>& call, const Warp& warp, Visit visit) {
  const SymbolParameters& p = call.p;
  const std::int64_t plane = static_cast<std::int64_t>(warp.run.b) * p.images + warp.image;
  const std::int64_t row = (plane * p.height + warp.run.row) * p.width;
  int coded_before = 0;
  for (int column = (warp.run.row + call.parity) & 1; column < p.width; column += 2 * kAtOnce) {
    const int count = min(kAtOnce, (p.width - column + 1) / 2);
    Element elements[kAtOnce];
#pragma unroll
    for (int k = 0; k < kAtOnce; ++k) {
      elements[k].at = (row + column + 2 * k) * kLanes + warp.lane;
      elements[k].index = k < count ? p.index[elements[k].at] : -1;
    }
#pragma unroll
    for (int k = 0; k < kAtOnce; ++k) {
      elements[k].coded = k < count && elements[k].index >= p.skip;
      const unsigned coded = __ballot_sync(kAllLanes, elements[k].coded);
      elements[k].rank = coded_before + __popc(coded & ((1u << warp.lane) - 1));
      coded_before += __popc(coded);
    }
    visit(elements, count);
  }
  return coded_before;
}

__device__ __forceinline__ std::int32_t* runs_of(const SymbolParameters& p, std::int32_t* begins, int image) {
  return begins + static_cast<std::int64_t>(image) * (kBottleneckCount * p.height + 1);
}

// The number of coded symbols of every run.
__global__ void __launch_bounds__(kWarps* kWarp) count_kernel(const __grid_constant__ OfParity<SymbolParameters> call) {
  const Warp warp = this_warp(call.p.height);
  if (!warp.valid) return;
  const int count = for_each_symbol(call, warp, [](const Element(&)[kAtOnce], int) {});
  if (warp.lane == 0) {
    runs_of(call.p, call.p.row_begin, warp.image)[run_number(warp.run, call.p.height, call.p.segment_rows)] = count;
  }
}

// From these numbers to where each run begins, for an image a block. Every thread sums a stretch of runs, then one
// thread the stretches.
__global__ void __launch_bounds__(kScanThreads) scan_kernel(const __grid_constant__ SymbolParameters p) {
  std::int32_t* const stretch = reinterpret_cast<std::int32_t*>(shared_memory());
  std::int32_t* const runs = runs_of(p, p.row_begin, static_cast<int>(blockIdx.x));
  std::int32_t* const host = runs_of(p, p.row_begin_host, static_cast<int>(blockIdx.x));
  const int count = kBottleneckCount * p.height;
  const int each = (count + kScanThreads - 1) / kScanThreads, thread = static_cast<int>(threadIdx.x);
  const int begin = min(count, thread * each), end = min(count, begin + each);
  std::int32_t sum = 0;
  for (int i = begin; i < end; ++i) sum += runs[i];
  stretch[thread] = sum;
  __syncthreads();
  if (thread == 0) {
    std::int32_t before = 0;
    for (int i = 0; i < kScanThreads; ++i) {
      const std::int32_t own = stretch[i];
      stretch[i] = before;
      before += own;
    }
    runs[count] = host[count] = before;
  }
  __syncthreads();
  std::int32_t at = stretch[thread];
  for (int i = begin; i < end; ++i) {
    const std::int32_t own = runs[i];
    runs[i] = host[i] = at;
    at += own;
  }
}

__global__ void __launch_bounds__(kWarps* kWarp)
    gather_kernel(const __grid_constant__ OfParity<SymbolParameters> call) {
  const SymbolParameters& p = call.p;
  const Warp warp = this_warp(p.height);
  if (!warp.valid) return;
  const std::int64_t begin =
      warp.image * p.capacity + runs_of(p, p.row_begin, warp.image)[run_number(warp.run, p.height, p.segment_rows)];
  for_each_symbol(call, warp, [&](const Element(&elements)[kAtOnce], int) {
    std::int16_t symbol[kAtOnce] = {};
    if (p.symbols != nullptr) {
#pragma unroll
      for (int k = 0; k < kAtOnce; ++k) {
        if (elements[k].coded) symbol[k] = p.symbols[elements[k].at];
      }
    }
#pragma unroll
    for (int k = 0; k < kAtOnce; ++k) {
      if (!elements[k].coded) continue;
      p.coded_tables[begin + elements[k].rank] = static_cast<std::uint8_t>(elements[k].index);
      if (p.symbols != nullptr) p.coded_symbols[begin + elements[k].rank] = symbol[k];
    }
  });
}

// The first `count` elements and, as they are whole words, up to 15 bytes behind them.
template <class T>
__device__ __forceinline__ void copy_words(const T* from, T* to, int count) {
  constexpr int kEach = sizeof(uint4) / sizeof(T);
  const int first = static_cast<int>(blockIdx.x) * kCopyThreads + static_cast<int>(threadIdx.x);
  for (int i = first; i * kEach < count; i += static_cast<int>(gridDim.x) * kCopyThreads) {
    reinterpret_cast<uint4*>(to)[i] = reinterpret_cast<const uint4*>(from)[i];
  }
}

// Coded symbols of an image to the host, with their tables, or from it.
template <bool kToHost>
__global__ void __launch_bounds__(kCopyThreads) copy_kernel(const __grid_constant__ SymbolParameters p) {
  const int image = static_cast<int>(blockIdx.z);
  const int count = runs_of(p, p.row_begin, image)[kBottleneckCount * p.height];
  const std::int64_t begin = image * p.capacity;
  if (!kToHost) return copy_words(p.coded_symbols_host + begin, p.coded_symbols + begin, count);
  copy_words(p.coded_tables + begin, p.coded_tables_host + begin, count);
  if (p.symbols != nullptr) copy_words(p.coded_symbols + begin, p.coded_symbols_host + begin, count);
}

__global__ void __launch_bounds__(kWarps* kWarp)
    scatter_kernel(const __grid_constant__ OfParity<SymbolParameters> call) {
  const SymbolParameters& p = call.p;
  const Warp warp = this_warp(p.height);
  if (!warp.valid) return;
  const std::int64_t begin =
      warp.image * p.capacity + runs_of(p, p.row_begin, warp.image)[run_number(warp.run, p.height, p.segment_rows)];
  for_each_symbol(call, warp, [&](const Element(&elements)[kAtOnce], int count) {
    std::int32_t symbol[kAtOnce], mean[kAtOnce];
#pragma unroll
    for (int k = 0; k < kAtOnce; ++k) {
      symbol[k] = elements[k].coded ? p.coded_symbols[begin + elements[k].rank] : 0;
      mean[k] = k < count ? p.mean[elements[k].at] : 0;
    }
#pragma unroll
    for (int k = 0; k < kAtOnce; ++k) {
      if (k >= count) continue;
      p.decoded[elements[k].at] = static_cast<std::int16_t>(min(max(64 * symbol[k] + mean[k], -32768), 32767));
    }
  });
}

// Hyper-latents, all of them coded. A row of one bottleneck is a run here too.
template <bool kGather>
__global__ void __launch_bounds__(kWarps* kWarp) hyper_symbols_kernel(const __grid_constant__ HyperSymbolParameters p) {
  const Warp warp = this_warp(p.height);
  if (!warp.valid) return;
  const int length = p.width * kLanes;
  const std::int64_t plane = static_cast<std::int64_t>(warp.run.b) * p.images + warp.image;
  std::int16_t* const latents = p.hyper_latents + (plane * p.height + warp.run.row) * length;
  std::int16_t* const coded = p.coded + (static_cast<std::int64_t>(warp.image) * kBottleneckCount * p.height +
                                         run_number(warp.run, p.height, p.segment_rows)) *
                                            length;
  const std::int16_t* const from = kGather ? latents : coded;
  std::int16_t* const to = kGather ? coded : latents;
  for (int first = warp.lane; first < length; first += kAtOnce * kWarp) {
    std::int16_t values[kAtOnce] = {};
#pragma unroll
    for (int k = 0; k < kAtOnce; ++k) {
      if (first + k * kWarp < length) values[k] = from[first + k * kWarp];
    }
#pragma unroll
    for (int k = 0; k < kAtOnce; ++k) {
      if (first + k * kWarp < length) to[first + k * kWarp] = values[k];
    }
  }
}

Grid grid_of_copy(const SymbolParameters& p) {
  constexpr std::int64_t kBlock = kCopyThreads * sizeof(uint4);  // symbols, were they all coded: half of them, or fewer
  return {.x = static_cast<int>(std::min<std::int64_t>((p.capacity + kBlock - 1) / kBlock, kMostCopyBlocks)),
          .z = p.images,
          .threads = kCopyThreads};
}

Grid grid_of_runs(int height, int images) {
  return {.x = (kBottleneckCount * height + kWarps - 1) / kWarps, .z = images, .threads = kWarps * kWarp};
}

}  // namespace

void gather_symbols(int parity, const SymbolParameters& p, StreamHandle stream) {
  const Grid grid = grid_of_runs(p.height, p.images);
  const OfParity<SymbolParameters> call{p, parity};
  launch(count_kernel, grid, stream, call);
  launch(scan_kernel, {.x = p.images, .threads = kScanThreads, .shared_bytes = kScanThreads * sizeof(std::int32_t)},
         stream, p);
  launch(gather_kernel, grid, stream, call);
  launch(copy_kernel<true>, grid_of_copy(p), stream, p);
}

void scatter_symbols(int parity, const SymbolParameters& p, StreamHandle stream) {
  launch(copy_kernel<false>, grid_of_copy(p), stream, p);
  launch(scatter_kernel, grid_of_runs(p.height, p.images), stream, OfParity<SymbolParameters>{p, parity});
}

void gather_hyper_symbols(const HyperSymbolParameters& p, StreamHandle stream) {
  launch(hyper_symbols_kernel<true>, grid_of_runs(p.height, p.images), stream, p);
}

void scatter_hyper_symbols(const HyperSymbolParameters& p, StreamHandle stream) {
  launch(hyper_symbols_kernel<false>, grid_of_runs(p.height, p.images), stream, p);
}

}  // namespace treenet::cuda

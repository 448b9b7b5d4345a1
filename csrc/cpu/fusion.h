// Attentional fusion (SPEC §2.7): sums for the global branch, and the attention with its blend at every position.
#pragma once

#include "cpu/lines.h"

namespace treenet::cpu::TREENET_ISA {

template <class T>
void sum_positions(const T* x, const T* y, std::int64_t begin, std::int64_t end, std::int64_t* sums) {
  // Partial sums of int32 over runs short enough that 2 * 32768 * run stays below 2^31.
  constexpr std::int64_t kRun = 16384;
  for (std::int64_t start = begin; start < end; start += kRun) {
    const std::int64_t stop = start + kRun < end ? start + kRun : end;
    std::int32_t partial[kChannels] = {};
    for (std::int64_t i = start; i < stop; ++i) {
      for (int c = 0; c < kChannels; ++c) partial[c] += x[i * kChannels + c];
    }
    if (y != nullptr) {
      for (std::int64_t i = start; i < stop; ++i) {
        for (int c = 0; c < kChannels; ++c) partial[c] += y[i * kChannels + c];
      }
    }
    for (int c = 0; c < kChannels; ++c) sums[c] += partial[c];
  }
}

// Attention on p0 (+ p1) and blend of x and y, positions [begin, end). Line is p's type where convolutions read it.
template <class T, class Line>
void blend(const PackedAttention& attention, const float* global, const std::uint8_t* sigmoid, const T* p0, const T* p1,
           const T* x, const T* y, T* out, std::int64_t begin, std::int64_t end, void* scratch) {
  Arena arena{static_cast<std::uint8_t*>(scratch)};
  Line* first = arena.take<Line>(kBlock);
  Line* second = arena.take<Line>(kBlock);
  T* x_block = arena.take<T>(kBlock);
  T* y_block = arena.take<T>(kBlock);
  T* result = arena.take<T>(kBlock);
  std::int32_t* accumulators = arena.take<std::int32_t>(kBlock);
  U8Line* hidden = arena.take<U8Line>(kBlock);
  const PackedConv& local1 = attention.local1;  // as many taps as there are p
  const auto load = [](Line* to, const T* from, std::ptrdiff_t count) {
    for (std::ptrdiff_t k = 0; k < count; ++k) to[k] = static_cast<Line>(from[k]);
  };
  for (std::int64_t i = begin; i < end; i += kBlockPixels) {
    const std::ptrdiff_t count = (end - i < kBlockPixels ? end - i : kBlockPixels) * kChannels;
    const std::ptrdiff_t offset = i * kChannels;
    load(first, p0 + offset, count);
    if (p1 != nullptr) load(second, p1 + offset, count);
    std::memcpy(x_block, x + offset, count * sizeof(T));
    std::memcpy(y_block, y + offset, count * sizeof(T));
    const std::uint8_t* taps[2] = {bytes(first), bytes(second)};
    conv_block<Line, 32, kChannels * sizeof(Line)>(taps, local1, 0, 0, accumulators);
    requantise_block<32, false>(accumulators, local1, 0, 0, 0, 255, hidden);
    const std::uint8_t* hidden_tap = bytes(hidden);
    conv_block<U8Line, 32, kChannels * sizeof(U8Line)>(&hidden_tap, attention.local2, 0, 0, accumulators);
    blend_block(accumulators, attention.local2.multiplier, global, sigmoid, x_block, y_block, result);
    std::memcpy(out + offset, result, count * sizeof(T));
  }
}

}  // namespace treenet::cpu::TREENET_ISA

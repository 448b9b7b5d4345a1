// Attentional fusion (SPEC §2.7): the attention with its blend at every position.
#pragma once

#include "cpu/lines.h"

namespace treenet::cpu::TREENET_ISA {

// The inputs of a block of 12 positions.
template <class T>
struct BlendBlock {
  const T *p0, *p1, *x, *y;
};

// Line is the type in which convolutions read a T.
template <class T, class Line>
class Blender {
 public:
  Blender(const Blend<T>& blend, void* scratch) : blend_(blend) {
    Arena arena{static_cast<std::uint8_t*>(scratch)};
    for (Line*& line : lines_) line = arena.take<Line>(kBlock);
    for (T*& copy : copies_) copy = arena.take<T>(kBlock);
    result_ = arena.take<T>(kBlock);
    accumulators_ = arena.take<std::int32_t>(kBlock);
    hidden_ = arena.take<U8Line>(kBlock);
  }

  // Positions [begin, end), at most 12 of them, added to `sums`.
  void block(std::int64_t begin, std::int64_t end, std::int64_t* sums) {
    const auto count = static_cast<std::int32_t>(end - begin);
    const std::int64_t offset = begin * kChannels;
    BlendBlock<T> in{blend_.p0 + offset, blend_.p1, blend_.x + offset, blend_.y + offset};
    if (in.p1 != nullptr) in.p1 += offset;
    T* out = blend_.out + offset;
    if (count == kBlockPixels) {
      compute(in, out);
      add_to_sums(out, count, sums);
      return;
    }
    // Not a whole block: nothing is to be read or written behind the last position.
    const std::size_t size = static_cast<std::size_t>(count) * kChannels * sizeof(T);
    const T** sources[4] = {&in.p0, &in.p1, &in.x, &in.y};
    for (int i = 0; i < 4; ++i) {
      if (*sources[i] != nullptr) *sources[i] = static_cast<const T*>(std::memcpy(copies_[i], *sources[i], size));
    }
    compute(in, result_);
    std::memcpy(out, result_, size);
    add_to_sums(result_, count, sums);
  }

 private:
  void compute(const BlendBlock<T>& in, T* out) {
    const PackedAttention& attention = *blend_.attention;
    const std::uint8_t* taps[2] = {as_line(in.p0, lines_[0]), in.p1 != nullptr ? as_line(in.p1, lines_[1]) : nullptr};
    conv_block<Line, 32, kChannels * sizeof(Line)>(taps, attention.local1, 0, 0, accumulators_);
    requantise_block<32, false>(accumulators_, attention.local1, 0, 0, 0, 255, hidden_);
    const std::uint8_t* hidden = bytes(hidden_);
    conv_block<U8Line, 32, kChannels * sizeof(U8Line)>(&hidden, attention.local2, 0, 0, accumulators_);
    blend_block(accumulators_, attention.local2.multiplier, blend_.global, blend_.sigmoid, in.x, in.y, out);
  }

  static const std::uint8_t* as_line(const T* block, Line* line) {
    if constexpr (sizeof(T) == sizeof(Line)) {
      return bytes(block);
    } else {
      for (int k = 0; k < kBlock; ++k) line[k] = static_cast<Line>(block[k]);
      return bytes(line);
    }
  }

  const Blend<T>& blend_;
  Line* lines_[2];
  T* copies_[4];
  T* result_;
  std::int32_t* accumulators_;
  U8Line* hidden_;
};

template <class T, class Line>
void blend(const Blend<T>& blend, std::int64_t begin, std::int64_t end, std::int64_t* sums, void* scratch) {
  Blender<T, Line> blender(blend, scratch);
  for (std::int64_t i = begin; i < end; i += kBlockPixels) {
    blender.block(i, end - i < kBlockPixels ? end : i + kBlockPixels, sums);
  }
}

}  // namespace treenet::cpu::TREENET_ISA

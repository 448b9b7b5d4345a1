// Attentional fusion (SPEC §2.7): both attentions with their blends, block by block.
#pragma once

#include "cpu/lines.h"

namespace treenet::cpu::TREENET_ISA {

inline constexpr std::int32_t kFusionBlock = kFusionPixels * kChannels;

// Line is the type in which convolutions read a T.
template <class T, class Line>
class Fuser {
 public:
  Fuser(const FusionTask<T>& task, void* scratch) : task_(task) {
    Arena arena{static_cast<std::uint8_t*>(scratch)};
    for (Line*& line : lines_) line = arena.take<Line>(kFusionBlock);
    for (T*& copy : copies_) copy = arena.take<T>(kFusionBlock);
    middle_ = arena.take<T>(kFusionBlock);
    result_ = arena.take<T>(kFusionBlock);
    accumulators_ = arena.take<std::int32_t>(kBlock);
    hidden_ = arena.take<U8Line>(kBlock);
  }

  // Both for `count` positions, at most kFusionPixels, from `begin` on: adds the first attention's blend to `sums`, or
  // writes the fusion to the task's output.
  void sums(std::int64_t begin, std::int32_t count, std::int64_t* sums) {
    load(begin, count);
    attend(*task_.first, task_.first_global, x_, y_, middle_);
    add_to_sums(middle_, count, sums);
  }
  void fuse(std::int64_t begin, std::int32_t count) {
    load(begin, count);
    attend(*task_.first, task_.first_global, x_, y_, middle_);
    T* out = task_.out + begin * kChannels;
    if (count == kFusionPixels) {
      attend(*task_.second, task_.second_global, middle_, nullptr, out);
    } else {
      attend(*task_.second, task_.second_global, middle_, nullptr, result_);
      std::memcpy(out, result_, size_of(count));
    }
  }

 private:
  static std::size_t size_of(std::int32_t count) { return static_cast<std::size_t>(count) * kChannels * sizeof(T); }

  // x and y of a block; a copy where it is not whole, as nothing is to be read behind the last position.
  void load(std::int64_t begin, std::int32_t count) {
    x_ = task_.x + begin * kChannels;
    y_ = task_.y + begin * kChannels;
    if (count < kFusionPixels) {
      x_ = static_cast<const T*>(std::memcpy(copies_[0], x_, size_of(count)));
      y_ = static_cast<const T*>(std::memcpy(copies_[1], y_, size_of(count)));
    }
  }

  // The blend of x and y by the attention on p0, or on p0 + p1 where there is one.
  void attend(const PackedAttention& attention, const float* global, const T* p0, const T* p1, T* out) {
    const std::uint8_t* taps[2] = {as_line(p0, lines_[0]), p1 != nullptr ? as_line(p1, lines_[1]) : nullptr};
    conv_block<Line, kHidden, kChannels * sizeof(Line)>(taps, attention.local1, 0, 0, accumulators_);
    requantise_block<kHidden, false, std::uint8_t>(accumulators_, attention.local1, 0, 0, hidden_);
    blend_pixels(bytes(hidden_), attention.local2, global, task_.sigmoid, x_, y_, out);
  }

  static const std::uint8_t* as_line(const T* block, Line* line) {
    if constexpr (sizeof(T) == sizeof(Line)) {
      return bytes(block);
    } else {
      for (int k = 0; k < kFusionBlock; ++k) line[k] = static_cast<Line>(block[k]);
      return bytes(line);
    }
  }

  const FusionTask<T>& task_;
  const T *x_, *y_;
  Line* lines_[2];
  T* copies_[2];
  T *middle_, *result_;
  std::int32_t* accumulators_;
  U8Line* hidden_;
};

// Calls run(begin, count) for the blocks of positions [begin, end).
template <class Run>
inline void for_each_block(std::int64_t begin, std::int64_t end, Run run) {
  for (std::int64_t i = begin; i < end; i += kFusionPixels) {
    run(i, static_cast<std::int32_t>(end - i < kFusionPixels ? end - i : kFusionPixels));
  }
}

template <class T, class Line>
void fusion_sums(const FusionTask<T>& task, std::int64_t begin, std::int64_t end, std::int64_t* sums, void* scratch) {
  Fuser<T, Line> fuser(task, scratch);
  for_each_block(begin, end, [&](std::int64_t i, std::int32_t count) { fuser.sums(i, count, sums); });
}

template <class T, class Line>
void fusion(const FusionTask<T>& task, std::int64_t begin, std::int64_t end, void* scratch) {
  Fuser<T, Line> fuser(task, scratch);
  for_each_block(begin, end, [&](std::int64_t i, std::int32_t count) { fuser.fuse(i, count); });
}

}  // namespace treenet::cpu::TREENET_ISA

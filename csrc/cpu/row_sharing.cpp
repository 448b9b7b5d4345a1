#include "cpu/row_sharing.h"

#include <algorithm>
#include <thread>

namespace treenet::cpu {
namespace {

// Another worker's part begins at a multiple of so many rows, and there have to be two times as many left to share.
// Kernels compute up to eight rows of an upsampling block's output together (conv3x3.h); those of eight lose little by
// a part that begins in their middle.
constexpr std::uint32_t kRowsTogether = 4;
// Of a band: what a part computes again of the lines above is little beside them.
constexpr int kFewestRows = 16;
constexpr int kRowBits = 20;
constexpr std::uint64_t kRowMask = (1u << kRowBits) - 1;

}  // namespace

Tiling::Tiling(int width, int widest, int block)
    : width(width),
      across((width + widest - 1) / widest),
      columns(((width + across - 1) / across + block - 1) / block * block) {}

Tile Tiling::tile(int index, const Rows& rows) const {
  const int begin = index * columns;
  return {begin, std::min(width, begin + columns), rows};
}

RowSharing::Part RowSharing::Part::of(std::uint64_t packed) {
  return {static_cast<std::uint32_t>(packed >> (2 * kRowBits)),
          static_cast<std::uint32_t>(packed >> kRowBits & kRowMask), static_cast<std::uint32_t>(packed & kRowMask)};
}

std::uint64_t RowSharing::Part::packed() const {
  return std::uint64_t{tile} << (2 * kRowBits) | std::uint64_t{next} << kRowBits | end;
}

RowSharing::RowSharing(int tiles, int begin, int end, int workers, int bands)
    : tiles_(tiles),
      begin_(begin),
      end_(end),
      bands_(std::clamp((end - begin) / kFewestRows, 1, bands)),
      whole_(std::int64_t{tiles} * bands_, workers),
      slots_(workers) {}

// Of a tile as far as a band goes, band after band.
RowSharing::Part RowSharing::whole(std::int64_t index) const {
  const auto first_row = [&](std::int64_t band) {
    const std::int64_t row = begin_ + (end_ - begin_) * band / bands_;
    return static_cast<std::uint32_t>(band == bands_ ? end_ : band == 0 ? begin_ : row / kRowsTogether * kRowsTogether);
  };
  const std::int64_t band = index / tiles_;
  return {static_cast<std::uint32_t>(index % tiles_), first_row(band), first_row(band + 1)};
}

bool RowSharing::begin(int worker, int& tile) {
  const auto take = [&](const Part& part) {
    slots_[worker].part = part.packed();
    tile = static_cast<int>(part.tile);
  };
  for (;;) {
    if (whole_.is_open()) {
      ++moving_;
      std::int64_t index;
      const bool taken = whole_.take(worker, index);
      if (taken) take(whole(index));
      --moving_;
      if (taken) return true;
    }
    const bool all_seen = moving_ == 0;
    Slot* from = nullptr;
    std::uint64_t packed = 0;
    std::uint32_t left = 0;
    for (Slot& slot : slots_) {
      const std::uint64_t candidate = slot.part;
      const Part part = Part::of(candidate);
      if (part.end - part.next > left) {
        from = &slot;
        packed = candidate;
        left = part.end - part.next;
      }
    }
    if (left < 2 * kRowsTogether) {
      if (all_seen) return false;
      std::this_thread::yield();  // something is between two workers, and seen in a moment
      continue;
    }
    Part upper = Part::of(packed), lower = upper;
    upper.end = lower.next = (upper.next + left / 2 + kRowsTogether - 1) / kRowsTogether * kRowsTogether;
    ++moving_;
    // The number says all of a part: if it is the same, it does not matter what it was in between.
    const bool taken_over = from->part.compare_exchange_strong(packed, upper.packed());
    if (taken_over) take(lower);
    --moving_;
    if (taken_over) return true;
  }
}

bool RowSharing::next(int worker, std::int32_t& row) {
  std::atomic<std::uint64_t>& own = slots_[worker].part;
  std::uint64_t packed = own;
  for (;;) {
    Part part = Part::of(packed);
    if (part.next >= part.end) return false;
    row = static_cast<std::int32_t>(part.next++);
    if (own.compare_exchange_weak(packed, part.packed())) return true;
  }
}

bool next_row(const Rows& rows, std::int32_t& row) { return rows.sharing->next(rows.worker, row); }

}  // namespace treenet::cpu

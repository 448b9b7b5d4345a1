// How workers share the rows of a level's tiles.
//
// A worker streams down a tile, and to begin anywhere costs it the lines above. So each takes tiles as wholes as far as
// a band of rows goes, its own before others', and hands the lower half of one over only when another has nothing left
// to do.
#pragma once

#include <atomic>
#include <cstdint>
#include <vector>

#include "codec/shares.h"
#include "cpu/kernels.h"

namespace treenet::cpu {

// A level's columns in tiles: as even as whole blocks of `block` pixels can be, and none wider than `widest`, a
// multiple of them.
struct Tiling {
  Tiling(int width, int widest, int block);
  // Of tile `index`, from the left; the rows are those of `rows`.
  Tile tile(int index, const Rows& rows) const;

  int width, across, columns;
};

class RowSharing {
 public:
  // Rows [begin, end) of tiles 0 .. tiles - 1, by `bands` bands, or fewer where these would have few rows. At most
  // 65536 rows, 2^20 tiles and 1024 workers.
  RowSharing(int tiles, int begin, int end, int workers, int bands);

  // Gives `worker` a tile, or what another leaves it of one; the rows come from `next`. False if nothing is left.
  bool begin(int worker, int& tile);
  // The next row of the worker's tile, in ascending order. False if none is left.
  bool next(int worker, std::int32_t& row);

 private:
  // What a worker has of its tile: rows [next, end). One number, so that no other worker sees or changes half of it.
  struct Part {
    std::uint32_t tile, next, end;

    static Part of(std::uint64_t packed);
    std::uint64_t packed() const;
  };
  struct alignas(64) Slot {
    std::atomic<std::uint64_t> part;
  };

  Part whole(std::int64_t index) const;

  const int tiles_, begin_, end_, bands_;
  Shares whole_;                // tiles of bands
  std::atomic<int> moving_{0};  // workers between taking rows and showing them in their slot
  std::vector<Slot> slots_;     // by worker
};

}  // namespace treenet::cpu

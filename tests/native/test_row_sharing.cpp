// Every row of every tile comes to one worker, in ascending order and without gaps, however workers hurry or wait.
#include <atomic>
#include <cstdint>
#include <set>
#include <thread>
#include <utility>
#include <vector>

#include "check.h"
#include "cpu/row_sharing.h"

namespace treenet::cpu {
namespace {

struct Outcome {
  bool each_once = true, in_order = true;
  int parts = 0;             // how often a worker began
  std::vector<int> rows_of;  // by worker
};

// `pace(worker)` is called for each row.
template <class Pace>
Outcome share(int tiles, int rows, int workers, int bands, Pace pace, int begin = 0) {
  RowSharing sharing(tiles, begin, begin + rows, workers, bands);
  std::vector<std::atomic<int>> seen(static_cast<std::size_t>(tiles) * rows);
  std::atomic<bool> in_order{true};
  std::atomic<int> parts{0};
  Outcome outcome;
  outcome.rows_of.resize(workers);
  std::vector<std::thread> threads;
  for (int worker = 0; worker < workers; ++worker) {
    threads.emplace_back([&, worker] {
      for (int tile; sharing.begin(worker, tile);) {
        ++parts;
        std::int32_t last = -1;
        for (std::int32_t row; next_row({&sharing, worker}, row); last = row) {
          if (last >= 0 && row != last + 1) in_order = false;
          ++seen[static_cast<std::size_t>(tile) * rows + row - begin];
          ++outcome.rows_of[worker];
          pace(worker);
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const std::atomic<int>& count : seen) outcome.each_once &= count == 1;
  outcome.in_order = in_order;
  outcome.parts = parts;
  return outcome;
}

TEST("each row is computed once, in order") {
  for (const int workers : {1, 2, 3, 8}) {
    for (const int rows : {1, 2, 7, 16, 17, 333, 65536}) {
      for (const int tiles : {1, 3, 20}) {
        for (const int bands : {1, workers}) {
          const Outcome outcome = share(tiles, rows, workers, bands, [](int) {});
          CHECK(outcome.each_once);
          CHECK(outcome.in_order);
        }
      }
    }
  }
}

TEST("rows may begin anywhere") {
  CHECK(share(3, 100, 2, 2, [](int) {}, 65000).each_once);
}

TEST("one worker takes whole tiles") {
  CHECK_EQUAL(share(5, 100, 1, 1, [](int) {}).parts, 5);
}

TEST("workers begin with bands of their own where there are some that have rows enough, and with other tiles else") {
  struct Case {
    int workers, rows, bands;
    std::vector<std::int32_t> first_rows;  // by worker
  };
  for (const Case& c : {Case{2, 1000, 2, {100, 600}},
                        {2, 1000, 1, {100, 100}},
                        {2, 31, 2, {100, 100}},
                        {3, 48, 3, {100, 116, 132}},
                        {4, 40, 4, {100, 100, 120, 120}},
                        {2, 35, 2, {100, 116}}}) {
    RowSharing sharing(4, 100, 100 + c.rows, c.workers, c.bands);
    std::set<std::pair<int, std::int32_t>> begun;  // tiles and their rows
    for (int worker = 0; worker < c.workers; ++worker) {
      int tile;
      std::int32_t row;
      CHECK(sharing.begin(worker, tile));
      CHECK(next_row({&sharing, worker}, row));
      CHECK_EQUAL(row, c.first_rows[worker]);
      CHECK(begun.insert({tile, row}).second);
    }
  }
}

TEST("a worker with nothing to do takes over from one that is slow") {
  // Nobody ends before the other has begun: the first waits at its first row until the other has had one.
  std::atomic<int> begun[2] = {0, 0};
  const Outcome outcome = share(1, 1000, 2, 1, [&](int worker) {
    begun[worker] = 1;
    while (begun[1 - worker] == 0) std::this_thread::yield();
  });
  CHECK(outcome.each_once);
  CHECK(outcome.parts >= 2);
  CHECK(outcome.rows_of[0] > 0 && outcome.rows_of[1] > 0);
}

TEST("tiles cover the columns, in whole blocks but for the last, and none is empty or too wide") {
  for (int width = 2; width <= 65536; width += width < 2000 ? 2 : 997) {
    const int block = width % 3 == 0 ? 12 : 16;
    const Tiling tiling(width, 192, block);
    int next = 0;
    for (int i = 0; i < tiling.across; ++i) {
      const Tile tile = tiling.tile(i, {});
      CHECK_EQUAL(tile.column_begin, next);
      CHECK_EQUAL(tile.column_begin % block, 0);
      CHECK(tile.column_end > tile.column_begin);
      CHECK(tile.column_end - tile.column_begin <= 192);
      next = tile.column_end;
    }
    CHECK_EQUAL(next, width);
  }
}

TEST("too few rows are not shared") {
  RowSharing sharing(1, 0, 7, 2, 1);
  int tile = -1;
  CHECK(sharing.begin(0, tile));
  CHECK(!sharing.begin(1, tile));
}

}  // namespace
}  // namespace treenet::cpu

// Whatever an image's size, each band finds in the windows what it reads, and they take no more than they are to.
#include <algorithm>
#include <array>
#include <cstddef>

#include "check.h"
#include "cpu/analysis_bands.h"

namespace treenet::cpu {
namespace {

constexpr int kLeaves = kLevels - 1;
constexpr std::size_t kMiB = std::size_t{1} << 20;

struct Outcome {
  int bands = 0, longest = 0, shortest = 0;  // rows of the leaves
};

// Goes through all bands as the analysis does.
Outcome go_through(const AnalysisBands& bands) {
  Outcome outcome;
  std::array<int, kLevels> done{}, first{};  // first: row in the window
  while (done[kLeaves] < bands.height(kLeaves)) {
    const AnalysisBands::Ends ends = bands.after(done[kLeaves]);
    const int rows = ends[kLeaves] - done[kLeaves];
    outcome.longest = std::max(outcome.longest, rows);
    outcome.shortest = outcome.bands == 0 ? rows : std::min(outcome.shortest, rows);
    ++outcome.bands;
    for (int k = 0; k < kLevels; ++k) {
      CHECK(ends[k] >= done[k] && ends[k] <= bands.height(k));
      CHECK(ends[k] - first[k] <= bands.window(k));
      if (k > 0 && ends[k] > done[k]) {
        CHECK_EQUAL(done[k] % 2, 0);
        CHECK(std::max(0, 2 * done[k] - 3) >= first[k - 1]);
        CHECK(std::min(bands.height(k - 1), 2 * ends[k] + 6) <= ends[k - 1]);
      }
    }
    for (int k = 0; k < kLeaves; ++k) {
      if (ends[k + 1] < bands.height(k + 1)) first[k] = AnalysisBands::first_needed(k, ends);
    }
    done = ends;
  }
  for (int k = 0; k < kLevels; ++k) CHECK_EQUAL(done[k], bands.height(k));
  return outcome;
}

TEST("bands read what is in the windows, and make each row once") {
  for (int height = 1; height <= 4096; height += height < 400 ? 1 : 231) {
    for (const int width : {1, 100, 513, 4096}) {
      for (const std::size_t kept : {std::size_t{0}, 40 * kMiB, 512 * kMiB}) {
        go_through(AnalysisBands(height, width, kept));
      }
    }
  }
}

TEST("windows take what they may, but for bands of the fewest rows") {
  for (const int height : {17, 40, 188, 500, 4096}) {
    for (const int width : {4, 250, 1000, 1024, 4096}) {
      for (const std::size_t kept : {std::size_t{0}, 40 * kMiB, 512 * kMiB}) {
        const AnalysisBands bands(height, width, kept);
        CHECK(bands.window_bytes() <= kept / 3 * 2 || go_through(bands).longest <= 16);
      }
    }
  }
}

TEST("small images are one band, and large ones as few and even ones as they can be") {
  struct Case {
    int height, width, bands, longest, shortest;
  };
  // 1080p; 12 megapixels, 24, 100; a strip either way.
  for (const Case& c : {Case{68, 120, 1, 68, 68},
                        {188, 250, 2, 96, 92},
                        {250, 375, 3, 84, 82},
                        {544, 728, 10, 56, 40},
                        {4096, 2, 1, 4096, 4096},
                        {4, 4096, 1, 4, 4}}) {
    const Outcome outcome = go_through(AnalysisBands(c.height, c.width, 512 * kMiB));
    CHECK_EQUAL(outcome.bands, c.bands);
    CHECK_EQUAL(outcome.longest, c.longest);
    CHECK_EQUAL(outcome.shortest, c.shortest);
  }
}

TEST("the whole is one band") {
  const Outcome outcome = go_through(AnalysisBands::whole(500, 500));
  CHECK_EQUAL(outcome.bands, 1);
  CHECK_EQUAL(outcome.longest, 500);
}

}  // namespace
}  // namespace treenet::cpu

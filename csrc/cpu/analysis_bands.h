// The bands of rows in which an image goes through all levels of the analysis, each of which has memory for a window of
// its rows.
//
// Row i of a level is made from rows 2i - 3 to 2i + 3 of the level above. Two rows are computed together (conv3x3.h),
// and with what they are made from up to two more lines of t (residual_down.h), so rows up to 2i + 7 are read. A band
// begins with an even row; as its first lines are made from what the band before had, it is not to be short. A long one
// takes memory, and is in no cache on its way from level to level.
#pragma once

#include <array>
#include <cstddef>

#include "codec/model.h"

namespace treenet::cpu {

class AnalysisBands {
 public:
  using Ends = std::array<int, kLevels>;

  // Of leaves of this size. The windows are to take two thirds of `kept_bytes`, or what bands of the fewest rows take.
  AnalysisBands(int leaf_height, int leaf_width, std::size_t kept_bytes);
  // All rows in one band.
  static AnalysisBands whole(int leaf_height, int leaf_width);

  // Where each level ends with the band after the one that ended at row `done` of the leaves.
  Ends after(int done) const;
  int height(int level) const { return leaf_height_ << (kLevels - 1 - level); }
  // Rows of a level that are to be in memory at once: of the leaves all.
  int window(int level) const;
  // The first row of a level, which is not the leaves, that bands after one with these ends need.
  static int first_needed(int level, const Ends& ends) { return 2 * ends[level + 1] - kAbove; }
  // Of all levels' windows but the leaves'.
  std::size_t window_bytes() const;

 private:
  // Rows that a band needs of the level above, below twice its end and above twice its begin.
  static constexpr int kBelow = 8, kAbove = 4;

  AnalysisBands(int leaf_height, int leaf_width, int rows)
      : leaf_height_(leaf_height), leaf_width_(leaf_width), rows_(rows) {}

  int leaf_height_, leaf_width_;
  int rows_;  // of the leaves in a band
};

}  // namespace treenet::cpu

#include "cpu/analysis_bands.h"

#include <algorithm>
#include <cstdint>

#include "cpu/kernels.h"

namespace treenet::cpu {
namespace {

constexpr int kLeaves = kLevels - 1;
// Rows of the leaves in a band.
constexpr int kStep = 4, kFewest = 16, kMost = 96;
// Windows of so many bytes are no burden: images that need no more are not divided.
constexpr std::size_t kAtOnce = std::size_t{96} << 20;

}  // namespace

AnalysisBands AnalysisBands::whole(int leaf_height, int leaf_width) { return {leaf_height, leaf_width, leaf_height}; }

AnalysisBands::AnalysisBands(int leaf_height, int leaf_width, std::size_t kept_bytes)
    : AnalysisBands(leaf_height, leaf_width, leaf_height) {
  const std::size_t limit = kept_bytes / 3 * 2;
  if (window_bytes() <= std::min(limit, kAtOnce)) return;
  int most = kMost;
  for (rows_ = most; most > kFewest && window_bytes() > limit; rows_ = most) most -= kStep;
  const int bands = (leaf_height + most - 1) / most;
  rows_ = ((leaf_height + bands - 1) / bands + kStep - 1) / kStep * kStep;  // as even as they can be
}

AnalysisBands::Ends AnalysisBands::after(int done) const {
  Ends ends;
  ends[kLeaves] = std::min(leaf_height_, done + rows_);
  for (int k = kLeaves; k > 0; --k) ends[k - 1] = std::min(height(k - 1), 2 * ends[k] + kBelow);
  return ends;
}

// The first band is the longest one, but for what later ones have from the one before.
int AnalysisBands::window(int level) const {
  return level == kLeaves ? leaf_height_ : std::min(height(level), after(0)[level] + kAbove);
}

std::size_t AnalysisBands::window_bytes() const {
  // Nodes double from level to level, as their columns halve.
  const std::size_t row = (static_cast<std::size_t>(leaf_width_) << kLeaves) * kChannels * sizeof(std::int16_t);
  std::size_t rows = 0;
  for (int k = 0; k < kLeaves; ++k) rows += static_cast<std::size_t>(window(k));
  return rows * row;
}

}  // namespace treenet::cpu

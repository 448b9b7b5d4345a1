#include "codec/segments.h"

#include <algorithm>

namespace treenet {
namespace {

constexpr int kHyperStride = 4;                 // one hyper-latent position above 4 x 4 latent positions
constexpr int kHyperPositionsPerSegment = 512;  // at most, unless a single row has more

}  // namespace

std::vector<Segment> segments(int height, int width) {
  const int z_height = (height + kHyperStride - 1) / kHyperStride;
  const int z_width = (width + kHyperStride - 1) / kHyperStride;
  const int rows = std::max(1, kHyperPositionsPerSegment / z_width);
  std::vector<Segment> result;
  for (int z = 0; z < z_height; z += rows) {
    const int z_end = std::min(z + rows, z_height);
    result.push_back({z, z_end, kHyperStride * z, std::min(kHyperStride * z_end, height)});
  }
  return result;
}

}  // namespace treenet

#include "codec/geometry.h"

#include <algorithm>
#include <numeric>

#include "codec/model.h"

namespace treenet {
namespace {

constexpr int kHyperStride = 4;                 // one hyper-latent position above 4 x 4 latent positions
constexpr int kHyperPositionsPerSegment = 128;  // at most, unless a single row has more

int ceil_divide(int a, int b) { return (a + b - 1) / b; }

}  // namespace

Geometry::Geometry(int height, int width)
    : height(height),
      width(width),
      latent_height(ceil_divide(height, kBlockSide)),
      latent_width(ceil_divide(width, kBlockSide)),
      hyper_height(ceil_divide(latent_height, kHyperStride)),
      hyper_width(ceil_divide(latent_width, kHyperStride)) {
  const int rows = std::max(1, kHyperPositionsPerSegment / hyper_width);
  for (int z = 0; z < hyper_height; z += rows) {
    const int z_end = std::min(z + rows, hyper_height);
    segments.push_back({z, z_end, kHyperStride * z, std::min(kHyperStride * z_end, latent_height)});
  }
}

std::vector<std::uint8_t> hyper_tables(const Geometry& geometry, const Segment& segment) {
  const std::ptrdiff_t positions = static_cast<std::ptrdiff_t>(segment.z_end - segment.z_begin) * geometry.hyper_width;
  std::vector<std::uint8_t> tables(static_cast<std::size_t>(positions) * kBottlenecks * kTransformChannels);
  auto next = tables.begin();
  for (int b = 0; b < kBottlenecks; ++b) {
    for (std::ptrdiff_t i = 0; i < positions; ++i, next += kTransformChannels) {
      std::iota(next, next + kTransformChannels, static_cast<std::uint8_t>(kGaussianTables + b * kTransformChannels));
    }
  }
  return tables;
}

}  // namespace treenet

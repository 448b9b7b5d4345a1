// A kernel's output in parts.
#pragma once

#include <algorithm>
#include <functional>
#include <random>
#include <vector>

#include "codec/aligned_buffer.h"
#include "cpu/kernels.h"
#include "cpu/row_sharing.h"

namespace treenet::cpu {

// Runs task(tile, scratch) over `width` columns, and over the rows between one of `bounds` and the next.
inline void in_tiles(const KernelTable& kernels, int width, int columns, const std::vector<int>& bounds,
                     const std::function<void(const Tile&, void*)>& task) {
  AlignedBuffer scratch(kernels.scratch_bytes());
  std::mt19937 random(1);  // whatever another kernel may have left
  std::generate_n(scratch.as<std::uint32_t>(), kernels.scratch_bytes() / 4, std::ref(random));
  const Tiling tiling(width, columns, kernels.block_pixels);
  for (std::size_t part = 0; part + 1 < bounds.size(); ++part) {
    RowSharing sharing(tiling.across, bounds[part], bounds[part + 1], 1, 1);
    for (int index; sharing.begin(0, index);) task(tiling.tile(index, {&sharing, 0}), scratch.as<void>());
  }
}

}  // namespace treenet::cpu

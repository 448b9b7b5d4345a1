#include "cpu/symbols.h"

#include <algorithm>

namespace treenet::cpu {
namespace {

// The positions of a part in a row: the element of the first one's first channel, and how many they are.
struct Positions {
  Positions(const LatentPart& part, int row) {
    const int column = (row + parity_of(part.stage)) & 1, width = part.mean.width;
    first = (static_cast<std::ptrdiff_t>(row) * width + column) * kChannels;
    count = (width - column + 1) / 2;
  }

  std::ptrdiff_t first;
  int count;
};

// Calls visit(positions) for the rows of a part, in coding order.
template <class Visit>
void for_each_row(const LatentPart& part, Visit visit) {
  for (int row = part.segment.y_begin; row < part.segment.y_end; ++row) visit(Positions(part, row));
}

LatentRow row_of(const LatentPart& part, const Positions& positions, std::int16_t* decoded) {
  return {part.mean.as<std::int16_t>() + positions.first, part.index.as<std::uint8_t>() + positions.first, decoded,
          positions.count, part.skip};
}

}  // namespace

StageLists joined(std::array<StageLists, kBottlenecks> parts) {
  std::size_t size = 0;
  for (const StageLists& part : parts) size += part.tables.size();
  StageLists all;
  all.tables.reserve(size);
  all.room.reserve(size);
  for (const StageLists& part : parts) {
    all.tables.insert(all.tables.end(), part.tables.begin(), part.tables.end());
    all.room.insert(all.room.end(), part.symbols().begin(), part.symbols().end());
  }
  return all;
}

void gather_hyper(const Segment& segment, const Latents& hyper_latents, std::int16_t* symbols) {
  for (const Tensor& z : hyper_latents) {
    const std::ptrdiff_t row = static_cast<std::ptrdiff_t>(z.width) * kChannels;
    const std::ptrdiff_t count = (segment.z_end - segment.z_begin) * row;
    symbols = std::copy_n(z.as<std::int16_t>() + segment.z_begin * row, count, symbols);
  }
}

void scatter_hyper(const Segment& segment, const std::int16_t* symbols, Latents& hyper_latents) {
  for (const Tensor& z : hyper_latents) {
    const std::ptrdiff_t row = static_cast<std::ptrdiff_t>(z.width) * kChannels;
    const std::ptrdiff_t count = (segment.z_end - segment.z_begin) * row;
    std::copy_n(symbols, count, z.as<std::int16_t>() + segment.z_begin * row);
    symbols += count;
  }
}

void list_tables(const KernelTable& kernels, const LatentPart& part, std::vector<std::uint8_t>& tables) {
  std::size_t count = tables.size();
  for_each_row(part, [&](const Positions& positions) {
    const std::size_t most = count + static_cast<std::size_t>(positions.count) * kChannels + kBeyond;
    if (tables.size() < most) tables.resize(most);
    count += kernels.list_tables(row_of(part, positions, nullptr), tables.data() + count);
  });
  tables.resize(count);
}

void quantise_latents(const KernelTable& kernels, const LatentPart& part, const Tensor& latents, std::int16_t* symbols,
                      Tensor& decoded) {
  for_each_row(part, [&](const Positions& positions) {
    symbols += kernels.quantise_row(row_of(part, positions, decoded.as<std::int16_t>() + positions.first),
                                    latents.as<std::int16_t>() + positions.first, symbols);
  });
}

const std::int16_t* dequantise_latents(const KernelTable& kernels, const LatentPart& part, const std::int16_t* symbols,
                                       Tensor& decoded) {
  for_each_row(part, [&](const Positions& positions) {
    symbols += kernels.dequantise_row(row_of(part, positions, decoded.as<std::int16_t>() + positions.first), symbols);
  });
  return symbols;
}

void spread_symbols(const LatentPart& part, const std::int16_t* symbols, Tensor& to) {
  for_each_row(part, [&](const Positions& positions) {
    for (int p = 0; p < positions.count; ++p) {
      const std::ptrdiff_t at = positions.first + static_cast<std::ptrdiff_t>(2 * p) * kChannels;
      for (std::ptrdiff_t i = at; i < at + kChannels; ++i) {
        const bool coded = part.index.as<std::uint8_t>()[i] >= part.skip;
        to.as<std::int16_t>()[i] = coded ? *symbols++ : std::int16_t{0};
      }
    }
  });
}

}  // namespace treenet::cpu

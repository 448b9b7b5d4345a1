#include "cpu/symbols.h"

#include <algorithm>

namespace treenet::cpu {
namespace {

// Calls visit(b, row) for the rows of a part, in coding order.
template <class Visit>
void for_each_row(const LatentPart& part, Visit visit) {
  for (int b = 0; b < kBottlenecks; ++b) {
    for (int row = part.segment.y_begin; row < part.segment.y_end; ++row) visit(b, row);
  }
}

// The positions of a part in a row: the element of the first one's first channel, and how many they are.
struct Positions {
  Positions(const LatentPart& part, int row) {
    const int column = (row + parity_of(part.stage)) & 1, width = part.mean[0].width;
    first = (static_cast<std::ptrdiff_t>(row) * width + column) * kChannels;
    count = (width - column + 1) / 2;
  }

  std::ptrdiff_t first;
  int count;
};

LatentRow row_of(const LatentPart& part, int b, const Positions& positions, std::int16_t* decoded) {
  return {part.mean[b].as<std::int16_t>() + positions.first, part.index[b].as<std::uint8_t>() + positions.first,
          decoded, positions.count, part.skip};
}

}  // namespace

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

void list_tables(const KernelTable& kernels, const LatentPart& part, StageLists& lists) {
  std::vector<std::uint8_t>& tables = lists.tables;
  std::size_t count = 0;
  for_each_row(part, [&](int b, int row) {
    const Positions positions(part, row);
    const std::size_t most = count + static_cast<std::size_t>(positions.count) * kChannels + kBeyond;
    if (tables.size() < most) tables.resize(most);
    count += kernels.list_tables(row_of(part, b, positions, nullptr), tables.data() + count);
  });
  tables.resize(count);
  lists.make_room();
}

void quantise_latents(const KernelTable& kernels, const LatentPart& part, const Latents& latents, StageLists& lists,
                      Latents& decoded) {
  std::int16_t* symbols = lists.room.data();
  for_each_row(part, [&](int b, int row) {
    const Positions positions(part, row);
    symbols += kernels.quantise_row(row_of(part, b, positions, decoded[b].as<std::int16_t>() + positions.first),
                                    latents[b].as<std::int16_t>() + positions.first, symbols);
  });
}

void dequantise_latents(const KernelTable& kernels, const LatentPart& part, const StageLists& lists, Latents& decoded) {
  const std::int16_t* symbols = lists.room.data();
  for_each_row(part, [&](int b, int row) {
    const Positions positions(part, row);
    symbols +=
        kernels.dequantise_row(row_of(part, b, positions, decoded[b].as<std::int16_t>() + positions.first), symbols);
  });
}

void spread_symbols(const LatentPart& part, const StageLists& lists, Latents& to) {
  auto symbol = lists.symbols().begin();
  for_each_row(part, [&](int b, int row) {
    const Positions positions(part, row);
    for (int p = 0; p < positions.count; ++p) {
      const std::ptrdiff_t at = positions.first + static_cast<std::ptrdiff_t>(2 * p) * kChannels;
      for (std::ptrdiff_t i = at; i < at + kChannels; ++i) {
        const bool coded = part.index[b].as<std::uint8_t>()[i] >= part.skip;
        to[b].as<std::int16_t>()[i] = coded ? *symbol++ : std::int16_t{0};
      }
    }
  });
}

}  // namespace treenet::cpu

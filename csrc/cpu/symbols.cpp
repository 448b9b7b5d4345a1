#include "cpu/symbols.h"

#include <algorithm>

namespace treenet::cpu {
namespace {

constexpr int kFractionBits = 6;  // means and latents have 64 units a step (SPEC §5)

std::int16_t saturated(std::int32_t value) { return static_cast<std::int16_t>(std::clamp(value, -32768, 32767)); }

// Calls visit(b, offset of the position's first channel) in coding order.
template <class Visit>
void for_each_position(const LatentPart& part, Visit visit) {
  const int width = part.mean[0].width;
  for (int b = 0; b < kBottlenecks; ++b) {
    for (int row = part.segment.y_begin; row < part.segment.y_end; ++row) {
      const std::ptrdiff_t line = static_cast<std::ptrdiff_t>(row) * width;
      for (int column = (row + parity_of(part.stage)) & 1; column < width; column += 2) {
        visit(b, (line + column) * kChannels);
      }
    }
  }
}

void trace_symbol(Latents* trace, int b, std::ptrdiff_t at, std::int32_t symbol) {
  if (trace != nullptr) (*trace)[b].as<std::int16_t>()[at] = static_cast<std::int16_t>(symbol);
}

}  // namespace

void gather_hyper(const Segment& segment, const Latents& hyper_latents, std::vector<std::int16_t>& symbols) {
  symbols.clear();
  for (const Tensor& z : hyper_latents) {
    const std::int16_t* values = z.as<std::int16_t>();
    const std::ptrdiff_t row = static_cast<std::ptrdiff_t>(z.width) * kChannels;
    symbols.insert(symbols.end(), values + segment.z_begin * row, values + segment.z_end * row);
  }
}

void scatter_hyper(const Segment& segment, std::span<const std::int16_t> symbols, Latents& hyper_latents) {
  const std::int16_t* from = symbols.data();
  for (const Tensor& z : hyper_latents) {
    const std::ptrdiff_t row = static_cast<std::ptrdiff_t>(z.width) * kChannels;
    const std::ptrdiff_t count = (segment.z_end - segment.z_begin) * row;
    std::copy(from, from + count, z.as<std::int16_t>() + segment.z_begin * row);
    from += count;
  }
}

void quantise_latents(const LatentPart& part, const Latents& latents, StageLists& out, Latents& decoded,
                      Latents* trace_symbols) {
  out.symbols.clear();
  out.tables.clear();
  for_each_position(part, [&](int b, std::ptrdiff_t offset) {
    const std::int16_t* mean = part.mean[b].as<std::int16_t>();
    const std::uint8_t* index = part.index[b].as<std::uint8_t>();
    for (std::ptrdiff_t at = offset; at < offset + kChannels; ++at) {
      std::int32_t symbol = 0;
      if (index[at] >= part.skip) {
        constexpr std::int32_t kHalf = 1 << (kFractionBits - 1);
        symbol = (latents[b].as<std::int16_t>()[at] - mean[at] + kHalf) >> kFractionBits;
        out.symbols.push_back(static_cast<std::int16_t>(symbol));
        out.tables.push_back(index[at]);
      }
      decoded[b].as<std::int16_t>()[at] = saturated((symbol << kFractionBits) + mean[at]);
      trace_symbol(trace_symbols, b, at, symbol);
    }
  });
}

void latent_tables(const LatentPart& part, std::vector<std::uint8_t>& tables) {
  tables.clear();
  for_each_position(part, [&](int b, std::ptrdiff_t offset) {
    const std::uint8_t* index = part.index[b].as<std::uint8_t>() + offset;
    for (int c = 0; c < kChannels; ++c) {
      if (index[c] >= part.skip) tables.push_back(index[c]);
    }
  });
}

void dequantise_latents(const LatentPart& part, std::span<const std::int16_t> symbols, Latents& decoded,
                        Latents* trace_symbols) {
  const std::int16_t* next = symbols.data();
  for_each_position(part, [&](int b, std::ptrdiff_t offset) {
    const std::int16_t* mean = part.mean[b].as<std::int16_t>();
    const std::uint8_t* index = part.index[b].as<std::uint8_t>();
    for (std::ptrdiff_t at = offset; at < offset + kChannels; ++at) {
      const std::int32_t symbol = index[at] >= part.skip ? *next++ : 0;
      decoded[b].as<std::int16_t>()[at] = saturated(symbol * (1 << kFractionBits) + mean[at]);
      trace_symbol(trace_symbols, b, at, symbol);
    }
  });
}

}  // namespace treenet::cpu

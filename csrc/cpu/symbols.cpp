#include "cpu/symbols.h"

#include <algorithm>
#include <bit>

namespace treenet::cpu {
namespace {

constexpr int kFractionBits = 6;  // means and latents have 64 units a step (SPEC §5)

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

// The channels of a position that carry a symbol, as bits: those whose index, 0..63, is at least `skip`, 0..64.
std::uint32_t coded_channels(const std::uint8_t* index, int skip) {
  constexpr std::uint64_t kOnes = 0x0101010101010101;
  std::uint32_t result = 0;
  for (int c = 0; c < kChannels; c += 8) {
    std::uint64_t eight = 0;
    for (int i = 0; i < 8; ++i) eight |= std::uint64_t{index[c + i]} << (8 * i);
    // A byte's highest bit, then all eight of these together.
    const std::uint64_t coded = (eight + (128 - skip) * kOnes) >> 7 & kOnes;
    result |= static_cast<std::uint32_t>(coded * 0x0102040810204080 >> 56) << c;
  }
  return result;
}

// Calls visit(c) for each of them, in order. Most positions have few.
template <class Visit>
void for_each_channel(std::uint32_t coded, Visit visit) {
  for (; coded != 0; coded &= coded - 1) visit(std::countr_zero(coded));
}

// The decoded values of all positions, and S, which is 0 where nothing is coded, for who traces it. The symbol of
// element `at` of bottleneck b is symbol_of(b, at), asked for in coding order.
template <class SymbolOf>
void decode_positions(const LatentPart& part, Latents& decoded, Latents* trace, SymbolOf symbol_of) {
  for_each_position(part, [&](int b, std::ptrdiff_t offset) {
    const std::int16_t* mean = part.mean[b].as<std::int16_t>() + offset;
    std::int16_t* to = decoded[b].as<std::int16_t>() + offset;
    std::int16_t* const traced = trace != nullptr ? (*trace)[b].as<std::int16_t>() + offset : nullptr;
    std::copy_n(mean, kChannels, to);
    if (traced != nullptr) std::fill_n(traced, kChannels, std::int16_t{0});
    for_each_channel(coded_channels(part.index[b].as<std::uint8_t>() + offset, part.skip), [&](int c) {
      const std::int32_t symbol = symbol_of(b, offset + c);
      to[c] = static_cast<std::int16_t>(std::clamp(symbol * (1 << kFractionBits) + mean[c], -32768, 32767));
      if (traced != nullptr) traced[c] = static_cast<std::int16_t>(symbol);
    });
  });
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
  decode_positions(part, decoded, trace_symbols, [&](int b, std::ptrdiff_t at) {
    constexpr std::int32_t kHalf = 1 << (kFractionBits - 1);
    const std::int32_t difference = latents[b].as<std::int16_t>()[at] - part.mean[b].as<std::int16_t>()[at];
    const std::int32_t symbol = (difference + kHalf) >> kFractionBits;
    out.symbols.push_back(static_cast<std::int16_t>(symbol));
    out.tables.push_back(part.index[b].as<std::uint8_t>()[at]);
    return symbol;
  });
}

void latent_tables(const LatentPart& part, std::vector<std::uint8_t>& tables) {
  tables.clear();
  for_each_position(part, [&](int b, std::ptrdiff_t offset) {
    const std::uint8_t* index = part.index[b].as<std::uint8_t>() + offset;
    for_each_channel(coded_channels(index, part.skip), [&](int c) { tables.push_back(index[c]); });
  });
}

void dequantise_latents(const LatentPart& part, std::span<const std::int16_t> symbols, Latents& decoded,
                        Latents* trace_symbols) {
  const std::int16_t* next = symbols.data();
  decode_positions(part, decoded, trace_symbols, [&](int, std::ptrdiff_t) -> std::int32_t { return *next++; });
}

}  // namespace treenet::cpu

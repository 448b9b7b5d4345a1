// Latents to symbols and back (SPEC §5, §7.2): which symbols a segment has in each stage, in their order.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "codec/geometry.h"
#include "cpu/kernels.h"
#include "cpu/tensor.h"

namespace treenet::cpu {

// The symbols of one stage of a segment and their tables, in coding order.
struct StageLists {
  // For the symbols of the tables that there are.
  void make_room() { room.resize(tables.size() + kBeyond); }
  std::span<std::int16_t> symbols() { return std::span(room).first(tables.size()); }
  std::span<const std::int16_t> symbols() const { return std::span(room).first(tables.size()); }

  std::vector<std::uint8_t> tables;
  std::vector<std::int16_t> room;  // of the symbols, and behind them what kernels may write and read
};

// The lists of a stage's bottlenecks one after the other, which is coding order; no more room than for the symbols.
StageLists joined(std::array<StageLists, kBottlenecks> parts);

// The values of a segment's hyper-latents, in coding order, from and to `hyper_latents`.
void gather_hyper(const Segment& segment, const Latents& hyper_latents, std::int16_t* symbols);
void scatter_hyper(const Segment& segment, const std::int16_t* symbols, Latents& hyper_latents);

// What a segment has of a bottleneck's latents in a stage: its rows, and the positions of that stage, are touched.
struct LatentPart {
  const Segment& segment;
  Stage stage;
  int skip;  // indices below carry no symbol
  const Tensor& mean;
  const Tensor& index;
};

// Adds the tables of a part's symbols.
void list_tables(const KernelTable& kernels, const LatentPart& part, std::vector<std::uint8_t>& tables);
// Then, for the encoder: the symbols of Y, and the decoded values. Behind symbols there is room as StageLists has it.
void quantise_latents(const KernelTable& kernels, const LatentPart& part, const Tensor& latents, std::int16_t* symbols,
                      Tensor& decoded);
// Or for the decoder: the decoded values from symbols. Returns the end of these.
const std::int16_t* dequantise_latents(const KernelTable& kernels, const LatentPart& part, const std::int16_t* symbols,
                                       Tensor& decoded);
// For who traces them: S at every position (s16 x 32), 0 where nothing is coded.
void spread_symbols(const LatentPart& part, const std::int16_t* symbols, Tensor& to);

}  // namespace treenet::cpu

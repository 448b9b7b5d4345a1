// Latents to symbols and back (SPEC §5, §7.2): which symbols a segment has in each stage, in their order.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "codec/geometry.h"
#include "cpu/tensor.h"

namespace treenet::cpu {

// The symbols of one stage of a segment and their tables, in coding order.
struct StageLists {
  std::vector<std::int16_t> symbols;
  std::vector<std::uint8_t> tables;
};

// The values of a segment's hyper-latents, in coding order, from and to `hyper_latents`.
void gather_hyper(const Segment& segment, const Latents& hyper_latents, std::vector<std::int16_t>& symbols);
void scatter_hyper(const Segment& segment, std::span<const std::int16_t> symbols, Latents& hyper_latents);

// A segment of a stage of the latents: its rows, and the positions of that stage, are touched.
struct LatentPart {
  const Segment& segment;
  Stage stage;
  int skip;  // indices below carry no symbol
  const Latents& mean;
  const Latents& index;
};

// Encoder: symbols of Y with their tables, and the decoded values. Where `trace_symbols` is given, S at every position
// too (s16 x 32).
void quantise_latents(const LatentPart& part, const Latents& latents, StageLists& out, Latents& decoded,
                      Latents* trace_symbols);
// Decoder: the tables of the symbols to come; then the decoded values from them.
void latent_tables(const LatentPart& part, std::vector<std::uint8_t>& tables);
void dequantise_latents(const LatentPart& part, std::span<const std::int16_t> symbols, Latents& decoded,
                        Latents* trace_symbols);

}  // namespace treenet::cpu

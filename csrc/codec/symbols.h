// Latents to symbols and back (SPEC §5, §7.2): which symbols a segment has in each stage, in their order.
#pragma once

#include <cstdint>
#include <vector>

#include "codec/backend.h"
#include "codec/crc32.h"
#include "codec/geometry.h"

namespace treenet {

// The symbols of one stage of a segment and their tables, in coding order.
struct StageLists {
  std::vector<std::int16_t> symbols;
  std::vector<std::uint8_t> tables;
};

// The values of a segment's hyper-latents, in coding order, from and to `hyper_latents`.
void gather_hyper(const Segment& segment, const Latents& hyper_latents, std::vector<std::int16_t>& symbols);
void scatter_hyper(const Segment& segment, std::span<const std::int16_t> symbols, Latents& hyper_latents);

// What a latent's stage works on. Rows of the segment and positions of one parity are touched.
struct LatentStage {
  const Segment& segment;
  Parity parity;
  int skip;  // indices below carry no symbol
  const Latents& mean;
  const Latents& index;
};

// Encoder: symbols of Y with their tables, and the decoded values. Where `trace_symbols` is given, S at every position
// too (s16 x 32).
void quantise_latents(const LatentStage& stage, const Latents& latents, StageLists& out, Latents& decoded,
                      Latents* trace_symbols);
// Decoder: the tables of the symbols to come; then the decoded values from them.
void latent_tables(const LatentStage& stage, std::vector<std::uint8_t>& tables);
void dequantise_latents(const LatentStage& stage, std::span<const std::int16_t> symbols, Latents& decoded,
                        Latents* trace_symbols);

}  // namespace treenet

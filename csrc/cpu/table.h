// Fills the kernel table for the instruction set whose primitives (isa_*.h, symbols_*.h) were included before.
#pragma once

#include <algorithm>

#include "cpu/fusion.h"
#include "cpu/hyper.h"
#include "cpu/latent_rows.h"
#include "cpu/parameters.h"
#include "cpu/residual_down.h"
#include "cpu/residual_up.h"

namespace treenet::cpu::TREENET_ISA {

// Enough for the largest working set of a kernel: its lines, with the slack that blocks of pixels read and write
// beyond their tile, and a few blocks.
inline std::size_t scratch_bytes() {
  constexpr std::size_t kBlocks = 64 * kBlock * sizeof(std::int32_t);
  constexpr std::size_t kDown = ResidualDown<FeatureLines, 2>::scratch_bytes(kDownTileColumns);
  constexpr std::size_t kDownImage = ResidualDown<ImageLines, 1>::scratch_bytes(kDownImageTileColumns);
  constexpr std::size_t kUp =
      ResidualUp<std::int16_t, std::int16_t, CopyS16Features, std::int16_t>::scratch_bytes(kUpTileColumns);
  constexpr std::int32_t kFeatures = kUpTileColumns + 4;  // columns that the output convolution reads
  constexpr std::size_t kOutput =
      ResidualUp<std::uint8_t, U8Line, WidenU8<U8Line>, std::int16_t>::scratch_bytes(kFeatures) +
      OutputConvolution::scratch_bytes(kFeatures) + OutputConvolution::rgb_length(kUpTileColumns) + 63;
  constexpr std::size_t kHyper = HyperLayer<S16>::scratch_bytes();
  constexpr std::size_t kParameters = ParametersOfStage::scratch_bytes();
  return std::max({kDown, kDownImage, kUp, kOutput, kHyper, kParameters}) + kBlocks;
}

constexpr KernelTable make_table(const char* name, const CoderLoops& loops) {
  KernelTable table{};
  table.name = name;
  table.u8_group = kU8Group;
  table.image_groups = kUsesImageGroups;
  table.winograd = kUsesWinograd;
  table.matrix_tiles = kMatrixTiles;
  table.block_pixels = kBlockPixels;
  table.scratch_bytes = scratch_bytes;
  table.down_tile_columns = kDownTileColumns;
  table.down_image_tile_columns = kDownImageTileColumns;
  table.up_tile_columns = kUpTileColumns;
  table.residual_down_image = residual_down<ImageLines, 1, InputPixels>;
  table.residual_down_siblings = residual_down<FeatureLines, 2, Plane>;
  table.residual_up_s16_s16 = residual_up<std::int16_t, std::int16_t, CopyS16Features, std::int16_t>;
  table.residual_up_s16_u8 = residual_up<std::int16_t, std::int16_t, CopyS16Features, std::uint8_t>;
  table.residual_up_u8_s16 = residual_up<std::uint8_t, U8Line, WidenU8<U8Line>, std::int16_t>;
  table.residual_up_output = residual_up_output;
  table.fusion_sums_u8 = fusion_sums<std::uint8_t, U8Line>;
  table.fusion_sums_s16 = fusion_sums<std::int16_t, std::int16_t>;
  table.fusion_u8 = fusion<std::uint8_t, U8Line>;
  table.fusion_s16 = fusion<std::int16_t, std::int16_t>;
  table.gain_s16 = gain_s16;
  table.conv3x3_s16 = conv3x3_s16;
  table.parameters_rows = parameters_rows;
  table.list_tables = list_tables;
  table.quantise_row = quantise_row;
  table.dequantise_row = dequantise_row;
  table.coder_loops = loops;
  return table;
}

}  // namespace treenet::cpu::TREENET_ISA

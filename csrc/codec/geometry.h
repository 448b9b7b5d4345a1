// The sizes that follow from an image's (SPEC §3), and the order of its symbols: segments and stages (SPEC §7.2).
#pragma once

#include <cstdint>
#include <vector>

namespace treenet {

inline constexpr int kBlockSide = 16;  // pixels, either way, for one position of the latents

// The stages of a segment, in order of coding.
enum Stage { kHyperLatents, kAnchors, kOthers };
inline constexpr int kStages = 3;

// Row + column modulo 2 at the latents' positions of a stage.
constexpr int parity_of(Stage stage) { return stage - kAnchors; }

// Whole rows of the hyper-latents z and the latent rows y beneath them: from begin up to, not including, end; counted
// over the whole image.
struct Segment {
  int z_begin, z_end;
  int y_begin, y_end;
};

struct Geometry {
  // Of an image; both 1 or more.
  Geometry(int height, int width);

  int height, width;
  int latent_height, latent_width;  // in positions; 16 times as many pixels are the image extended to whole blocks
  int hyper_height, hyper_width;
  std::vector<Segment> segments;  // top to bottom
};

// The tables of a segment's hyper-latents, in order of coding (SPEC §7.1): they depend on nothing that is coded.
std::vector<std::uint8_t> hyper_tables(const Geometry& geometry, const Segment& segment);

}  // namespace treenet

// The geometry of segments (SPEC §7.2): whole rows of the hyper-latents z and the latent rows y beneath them.
#pragma once

#include <vector>

namespace treenet {

// Rows from begin up to, not including, end; counted over the whole image.
struct Segment {
  int z_begin, z_end;
  int y_begin, y_end;
};

// The segments, top to bottom, of an image whose latents have `height` rows of `width` positions, both 1 or more.
std::vector<Segment> segments(int height, int width);

}  // namespace treenet

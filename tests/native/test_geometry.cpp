#include <vector>

#include "check.h"
#include "codec/geometry.h"

namespace treenet {
namespace {

// The segments of an image whose latents have `height` rows of `width` positions.
std::vector<Segment> segments(int height, int width) { return Geometry(16 * height, 16 * width).segments; }

TEST("sizes round up to whole blocks, and those to whole positions of the hyper-latents") {
  const Geometry kodak(512, 768), odd(17, 1);
  CHECK_EQUAL(kodak.latent_height, 32);
  CHECK_EQUAL(kodak.latent_width, 48);
  CHECK_EQUAL(kodak.hyper_height, 8);
  CHECK_EQUAL(kodak.hyper_width, 12);
  CHECK_EQUAL(odd.latent_height, 2);
  CHECK_EQUAL(odd.latent_width, 1);
  CHECK_EQUAL(odd.hyper_height, 1);
  CHECK_EQUAL(odd.hyper_width, 1);
}

TEST("tables of hyper-latents follow bottleneck and channel") {
  const Geometry geometry(80, 80);  // 2 x 2 positions of the hyper-latents
  const auto tables = hyper_tables(geometry, geometry.segments[0]);
  CHECK_EQUAL(tables.size(), 4u * 4 * 32);
  CHECK_EQUAL(tables[0], 64);
  CHECK_EQUAL(tables[31], 95);
  CHECK_EQUAL(tables[32], 64);
  CHECK_EQUAL(tables[4 * 32], 96);
  CHECK_EQUAL(tables.back(), 191);
}

TEST("an image of 1080p has five segments") {
  CHECK_EQUAL(segments(68, 120).size(), 5u);  // of 30 hyper-columns and 4 hyper-rows, and one hyper-row
}

TEST("a Kodak image is one segment") {
  const auto kodak = segments(32, 48);
  CHECK_EQUAL(kodak.size(), 1u);
  CHECK_EQUAL(kodak[0].z_begin, 0);
  CHECK_EQUAL(kodak[0].z_end, 8);
  CHECK_EQUAL(kodak[0].y_begin, 0);
  CHECK_EQUAL(kodak[0].y_end, 32);
}

TEST("rows that do not divide leave a shorter last segment") {
  // 90 columns: 23 hyper-columns, so 5 hyper-rows a segment; 43 rows: 11 hyper-rows.
  const auto parts = segments(43, 90);
  CHECK_EQUAL(parts.size(), 3u);
  CHECK_EQUAL(parts[0].z_end, 5);
  CHECK_EQUAL(parts[0].y_end, 20);
  CHECK_EQUAL(parts[2].z_begin, 10);
  CHECK_EQUAL(parts[2].z_end, 11);
  CHECK_EQUAL(parts[2].y_begin, 40);
  CHECK_EQUAL(parts[2].y_end, 43);
}

TEST("an image as wide as can be has a row of hyper-latents a segment") {
  CHECK_EQUAL(segments(4096, 4096).size(), 1024u);
  CHECK_EQUAL(segments(1, 4096).size(), 1u);
}

TEST("segments cover every row once, whatever the size") {
  for (int height = 1; height <= 140; ++height) {
    for (int width : {1, 2, 3, 4, 5, 48, 63, 120, 511, 512, 1025, 2048, 2049, 4096}) {
      int z = 0, y = 0;
      for (const Segment& segment : segments(height, width)) {
        CHECK_EQUAL(segment.z_begin, z);
        CHECK_EQUAL(segment.y_begin, y);
        CHECK(segment.z_end > z && segment.y_end > y);
        CHECK(segment.z_end - segment.z_begin == 1 || (segment.z_end - segment.z_begin) * ((width + 3) / 4) <= 128);
        z = segment.z_end;
        y = segment.y_end;
      }
      CHECK_EQUAL(z, (height + 3) / 4);
      CHECK_EQUAL(y, height);
    }
  }
}

}  // namespace
}  // namespace treenet

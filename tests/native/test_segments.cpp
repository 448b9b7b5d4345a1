#include <vector>

#include "check.h"
#include "codec/segments.h"

namespace treenet {
namespace {

TEST("a Kodak image is one segment") {
  const auto kodak = segments(32, 48);
  CHECK_EQUAL(kodak.size(), 1u);
  CHECK_EQUAL(kodak[0].z_begin, 0);
  CHECK_EQUAL(kodak[0].z_end, 8);
  CHECK_EQUAL(kodak[0].y_begin, 0);
  CHECK_EQUAL(kodak[0].y_end, 32);
}

TEST("rows that do not divide leave a shorter last segment") {
  // 90 columns: 23 hyper-columns, so 22 hyper-rows a segment; 91 rows: 23 hyper-rows.
  const auto parts = segments(91, 90);
  CHECK_EQUAL(parts.size(), 2u);
  CHECK_EQUAL(parts[0].z_end, 22);
  CHECK_EQUAL(parts[0].y_end, 88);
  CHECK_EQUAL(parts[1].z_begin, 22);
  CHECK_EQUAL(parts[1].z_end, 23);
  CHECK_EQUAL(parts[1].y_begin, 88);
  CHECK_EQUAL(parts[1].y_end, 91);
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
        CHECK(segment.z_end - segment.z_begin == 1 || (segment.z_end - segment.z_begin) * ((width + 3) / 4) <= 512);
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

#include "cpu/pixels.h"

#include <algorithm>
#include <cstring>

namespace treenet::cpu {
namespace {

constexpr int kColours = 3;

bool is_dense(const Strides& strides, int width) { return strides == Strides::dense(width, kColours); }

void copy_row(const std::uint8_t* from, const Strides& strides, int width, std::uint8_t* to) {
  if (strides.column == kColours && strides.channel == 1) {
    std::memcpy(to, from, static_cast<std::size_t>(width) * kColours);
    return;
  }
  for (int column = 0; column < width; ++column, from += strides.column, to += kColours) {
    for (int c = 0; c < kColours; ++c) to[c] = from[c * strides.channel];
  }
}

void deliver_row(const std::uint8_t* rgb, const PixelsOut& out, std::uint8_t* to) {
  for (int column = 0; column < out.width; ++column, rgb += kColours, to += out.strides.column) {
    if (out.grey) {
      *to = static_cast<std::uint8_t>((2 * (rgb[0] + rgb[1] + rgb[2]) + 3) / 6);
    } else {
      for (int c = 0; c < kColours; ++c) to[c * out.strides.channel] = rgb[c];
    }
  }
}

std::uint8_t* row_of(const Tensor& rgb, std::int64_t row) {
  return rgb.as<std::uint8_t>() + row * rgb.width * kColours;
}

}  // namespace

WholeBlocks::WholeBlocks(const ImageView& image, const Geometry& geometry, BufferPool& buffers, ThreadPool& threads) {
  const int height = geometry.latent_height * kBlockSide, width = geometry.latent_width * kBlockSide;
  if (image.height == height && image.width == width && is_dense(image.strides, width)) {
    plane_ = {const_cast<std::uint8_t*>(image.data), height, width, kColours};
    return;
  }
  copy_ = Tensor(buffers, DType::kU8, height, width, kColours);
  plane_ = cpu::plane(copy_);
  threads.run(height, [&](std::int64_t row) {
    std::uint8_t* to = row_of(copy_, row);
    copy_row(image.data + std::min<std::int64_t>(row, image.height - 1) * image.strides.row, image.strides, image.width,
             to);
    const std::uint8_t* last = to + static_cast<std::ptrdiff_t>(image.width - 1) * kColours;
    for (int column = image.width; column < width; ++column) std::memcpy(to + column * kColours, last, kColours);
  });
}

RgbRoom::RgbRoom(const PixelsOut& out, BufferPool& buffers) : out_(out) {
  if (out.lease != nullptr) out.lease->supply(out.values());
  if (!out.grey && is_dense(out.strides, out.width)) {
    plane_ = {out.data, out.height, out.width, kColours};
    return;
  }
  copy_ = Tensor(buffers, DType::kU8, out.height, out.width, kColours);
  plane_ = cpu::plane(copy_);
}

void RgbRoom::deliver(ThreadPool& threads) const {
  if (plane_.data == out_.data) return;
  threads.run(out_.height,
              [&](std::int64_t row) { deliver_row(row_of(copy_, row), out_, out_.data + row * out_.strides.row); });
}

}  // namespace treenet::cpu

// Rows of the caller's pixels, read into lines of a kernel and written from them (SPEC §3).
#pragma once

#include "cpu/lines.h"

namespace treenet::cpu::TREENET_ISA {

inline constexpr int kColours = 3;

inline bool is_interleaved(const PixelStrides& strides) { return strides.column == kColours && strides.channel == 1; }

typedef std::uint8_t SixteenBytes [[gnu::vector_size(16)]];

// Sixteen bytes as elements of a line.
template <class Element>
void store_sixteen(SixteenBytes values, Element* to) {
  if constexpr (sizeof(Element) == 1) {
    std::memcpy(to, &values, sizeof(values));
  } else {
    typedef Element Wide [[gnu::vector_size(16 * sizeof(Element))]];
    const Wide wide = __builtin_convertvector(values, Wide);
    std::memcpy(to, &wide, sizeof(wide));
  }
}

inline SixteenBytes load_sixteen(const std::uint8_t* from) {
  SixteenBytes values;
  std::memcpy(&values, from, sizeof(values));
  return values;
}

// Pixels of a row from `from` on, to four elements each, of which the last one is zero, as are its weights.
template <class Element>
void pad_pixels(const std::uint8_t* from, const PixelStrides& strides, std::int32_t pixels, Element* to) {
  if (is_interleaved(strides)) {
    // Four at a time, as long as 16 bytes can be read.
    for (; pixels >= 6; pixels -= 4, from += 12, to += 16) {
      store_sixteen(__builtin_shufflevector(load_sixteen(from), SixteenBytes{}, 0, 1, 2, 16, 3, 4, 5, 16, 6, 7, 8, 16,
                                            9, 10, 11, 16),
                    to);
    }
  } else if (strides.column == 1) {
    for (; pixels >= 16; pixels -= 16, from += 16, to += 64) {
      const SixteenBytes red = load_sixteen(from), green = load_sixteen(from + strides.channel),
                         blue = load_sixteen(from + 2 * strides.channel), zero{};
      const auto low = [](SixteenBytes a, SixteenBytes b) {
        return __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
      };
      const auto high = [](SixteenBytes a, SixteenBytes b) {
        return __builtin_shufflevector(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
      };
      const auto low_pairs = [](SixteenBytes a, SixteenBytes b) {
        return __builtin_shufflevector(a, b, 0, 1, 16, 17, 2, 3, 18, 19, 4, 5, 20, 21, 6, 7, 22, 23);
      };
      const auto high_pairs = [](SixteenBytes a, SixteenBytes b) {
        return __builtin_shufflevector(a, b, 8, 9, 24, 25, 10, 11, 26, 27, 12, 13, 28, 29, 14, 15, 30, 31);
      };
      store_sixteen(low_pairs(low(red, green), low(blue, zero)), to);
      store_sixteen(high_pairs(low(red, green), low(blue, zero)), to + 16);
      store_sixteen(low_pairs(high(red, green), high(blue, zero)), to + 32);
      store_sixteen(high_pairs(high(red, green), high(blue, zero)), to + 48);
    }
  }
  for (; pixels > 0; --pixels, from += strides.column, to += 4) {
    for (int c = 0; c < kColours; ++c) to[c] = from[c * strides.channel];
    to[kColours] = 0;
  }
}

// Columns [first, first + count) of a row of the image extended to whole blocks, four elements a pixel, with the zero
// point where the row or column lies outside of that. Beside the image its last row and column are repeated.
template <class Element>
void load_pixels(const InputPixels& image, std::int32_t row, std::int32_t first, std::int32_t count,
                 std::int32_t zero_point, Element* line) {
  constexpr std::ptrdiff_t kPixel = kColours + 1;
  if (row < 0 || row >= image.whole_height) {
    fill(line, count * kPixel, zero_point);
    return;
  }
  const std::int32_t begin = first < 0 ? 0 : first;
  const std::int32_t end = first + count > image.whole_width ? image.whole_width : first + count;
  const std::int32_t left = begin - first, inside = end > begin ? end - begin : 0;
  const std::int32_t own = image.width - begin < inside ? image.width - begin : inside;  // none or less: all repeated
  const std::uint8_t* source = image.data + (row < image.height ? row : image.height - 1) * image.strides.row;
  Element* const pixels = line + left * kPixel;
  fill(line, left * kPixel, zero_point);
  pad_pixels(source + begin * image.strides.column, image.strides, own, pixels);
  Element last[kPixel];
  pad_pixels(source + (image.width - 1) * image.strides.column, image.strides, 1, last);
  for (std::int32_t i = own > 0 ? own : 0; i < inside; ++i) std::memcpy(pixels + i * kPixel, last, sizeof(last));
  fill(pixels + inside * kPixel, (count - left - inside) * kPixel, zero_point);
}

// Pixels of a row, RGB in `rgb`, to where the caller wants them from `to` on.
inline void deliver_pixels(const std::uint8_t* __restrict rgb, std::int32_t count, const OutputPixels& out,
                           std::uint8_t* __restrict to) {
  const std::ptrdiff_t column = out.strides.column, channel = out.strides.channel;
  if (!out.grey && is_interleaved(out.strides)) {
    std::memcpy(to, rgb, static_cast<std::size_t>(count) * kColours);
  } else if (out.grey) {
    for (std::ptrdiff_t i = 0; i < count; ++i) {
      to[i * column] = static_cast<std::uint8_t>((2 * (rgb[3 * i] + rgb[3 * i + 1] + rgb[3 * i + 2]) + 3) / 6);
    }
  } else if (column == 1) {
    std::uint8_t* __restrict green = to + channel, * __restrict blue = to + 2 * channel;
    for (std::ptrdiff_t i = 0; i < count; ++i) {
      to[i] = rgb[3 * i];
      green[i] = rgb[3 * i + 1];
      blue[i] = rgb[3 * i + 2];
    }
  } else {
    for (std::ptrdiff_t i = 0; i < count; ++i) {
      for (int c = 0; c < kColours; ++c) to[i * column + c * channel] = rgb[3 * i + c];
    }
  }
}

}  // namespace treenet::cpu::TREENET_ISA

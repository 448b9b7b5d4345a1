// The last lines of a convolution's input, from which spans of its output are computed.
#pragma once

#include <type_traits>

#include "cpu/winograd_2x2.h"

namespace treenet::cpu::TREENET_ISA {

// Lines of `kPixel` elements a pixel. `kChecked` ones are known to have numbers that Winograd's F(2x2, 3x3) takes, or
// not.
template <class Element, int kPixel, int kSlots, bool kChecked>
class InputLines {
 public:
  using Sums = std::int32_t*;  // of a span

  static InputLines make(Arena& arena, std::int32_t pixels) {
    InputLines lines;
    lines.ring_ = LineRing<Element, kSlots>::make(arena, static_cast<std::ptrdiff_t>(pixels) * kPixel);
    return lines;
  }
  // Bytes of the arena.
  static constexpr std::size_t scratch_bytes(std::int32_t pixels) {
    return (static_cast<std::size_t>(pixels) * kPixel * sizeof(Element) + 63) * kSlots;
  }

  // Line `row` is made of columns [first, first + count) of that row of `in`, or of the zero point outside.
  template <class Stored, class Load>
  void load(const Plane& in, std::int32_t row, std::int32_t first, std::int32_t count, std::int32_t zero_point) {
    load_line<Stored>(in, row, first, count, zero_point, kPixel, ring_.at(row), Load{});
    check(row, count);
  }
  // Or it is made by these, or written to, and then check() called.
  Element* begin(std::int32_t row) const { return ring_.at(row); }
  template <bool kLeaky, class Sums>
  void requantise(std::int32_t row, std::int32_t pixel, const Sums& sums, const PackedConv& conv) const {
    requantise_block<kPixel, kLeaky, Element>(sums, conv, 0, 0, ring_.at(row) + offset(pixel));
  }
  void zero(std::int32_t row, std::int32_t pixel, std::int32_t count) const {
    fill(ring_.at(row) + offset(pixel), offset(count), 0);
  }
  void check(std::int32_t row, std::int32_t pixels) {
    if constexpr (kChecked) {
      large_[row & (kSlots - 1)] = !fit_winograd_2x2(ring_.at(row), offset(pixels));
    }
  }
  bool is_large(std::int32_t row) const { return large_[row & (kSlots - 1)]; }

  const Element* at(std::int32_t row, std::int32_t pixel) const { return ring_.at(row) + offset(pixel); }
  // Zeros from `pixel` on in all lines.
  void clear_from(std::int32_t pixel) const {
    const std::ptrdiff_t first = offset(pixel);
    for (int slot = 0; slot < kSlots; ++slot) fill(ring_.at(slot) + first, ring_.length - first, 0);
  }

  // Accumulators of `count` blocks, of which the first pixel has its taps at `taps` and every other kStep pixels on.
  template <int kOutputs, int kStep>
  void span(const Element* const* taps, const PackedConv& conv, std::int32_t block, std::int32_t count,
            std::int32_t* accumulators) const {
    const std::uint8_t* from[9];
    for (std::int32_t t = 0; t < conv.taps; ++t) from[t] = bytes(taps[t]);
    conv_span<Element, kOutputs, kStep * kPixel * sizeof(Element)>(from, conv, block, 0, count, accumulators);
  }

 private:
  static std::ptrdiff_t offset(std::int32_t pixel) { return static_cast<std::ptrdiff_t>(pixel) * kPixel; }

  LineRing<Element, kSlots> ring_;
  bool large_[kSlots] = {};
};

// s16 of any number of channels, as convolutions read them: as they are.
class PlainS16 {
 public:
  using Sums = std::int32_t*;  // of a span

  static PlainS16 make(Arena& arena, std::ptrdiff_t elements) {
    return PlainS16(arena.take<std::int16_t>(static_cast<std::size_t>(elements)));
  }
  // Bytes of the arena.
  static constexpr std::size_t scratch_bytes(std::ptrdiff_t elements) {
    return static_cast<std::size_t>(elements) * sizeof(std::int16_t) + 63;
  }
  // Elements from `first` on are made of `count` pixels of a row of `in`, from column `column` on, or of zeros outside.
  void load(const Plane& in, std::int32_t row, std::int32_t column, std::int32_t count, std::ptrdiff_t first) const {
    load_line<std::int16_t>(in, row, column, count, 0, in.channels, base_ + first, CopyS16{in.channels});
  }
  // Or they are written where begin() says, and then end() called with how many they are.
  std::int16_t* begin(std::ptrdiff_t first) const { return base_ + first; }
  void end(std::ptrdiff_t, std::ptrdiff_t) const {}
  // Or they are 64 elements that lie somewhere else.
  void copy64(const std::int16_t* from, std::ptrdiff_t first) const {
    std::memcpy(base_ + first, from, 64 * sizeof(std::int16_t));
  }
  const std::uint8_t* at(std::ptrdiff_t i) const { return bytes(base_ + i); }

  // Of `count` blocks of pixels to 32 outputs. Pixels lie kStride elements apart, or `stride` where that is 0. A
  // function of its own, as the compiler spills accumulators where it has several of them.
  template <int kStride>
  [[gnu::noinline]] void span(const std::uint8_t* const* taps, const PackedConv& conv, std::int32_t block,
                              std::ptrdiff_t stride, std::int32_t count, Sums sums) const {
    constexpr std::ptrdiff_t kBytes = sizeof(std::int16_t);
    conv_span<std::int16_t, kChannels, kStride * kBytes>(taps, conv, block, stride * kBytes, count, sums);
  }
  // A block's 32 outputs, to elements from `first` on, kStride from pixel to pixel.
  template <bool kLeaky, int kStride>
  void requantise(const Sums& sums, const PackedConv& conv, std::int32_t block, std::ptrdiff_t first) const {
    alignas(64) std::int16_t pixels[kBlock];
    requantise_block<kChannels, kLeaky, std::int16_t>(sums, conv, block, 0, pixels);
    for (int p = 0; p < kBlockPixels; ++p) {
      std::memcpy(base_ + first + p * kStride, pixels + p * kChannels, kChannels * sizeof(std::int16_t));
    }
  }

 private:
  explicit PlainS16(std::int16_t* base) : base_(base) {}
  std::int16_t* base_;
};

inline constexpr bool kUsesWinograd = kWinograd && !kMatrixTiles;

// What an instruction set keeps its lines in.
template <class Element, int kPixel, int kSlots, bool kChecked>
using Lines = std::conditional_t<kMatrixTiles && std::is_same_v<Element, std::int16_t>, SplitLines<kSlots>,
                                 InputLines<Element, kPixel, kSlots, kChecked>>;
using S16 = std::conditional_t<kMatrixTiles, SplitS16, PlainS16>;

}  // namespace treenet::cpu::TREENET_ISA

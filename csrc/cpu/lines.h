// Scratch memory and rings of lines, the working set of a kernel that streams rows.
//
// Included after TREENET_ISA is defined: everything that becomes code lives in a namespace of its instruction set, so
// that no function compiled for one can stand in for another's.
#pragma once

#include <cfloat>
#include <cstring>
#include <type_traits>
#include <utility>

#include "cpu/kernels.h"

// SPEC §1: a float step is one operation in single precision, correctly rounded.
static_assert(FLT_EVAL_METHOD == 0, "needs float arithmetic in single precision, as x86-64 and Arm have it");
#if defined(__FAST_MATH__)
#error "the codec's arithmetic is not to be compiled with -ffast-math"
#endif

namespace treenet::cpu::TREENET_ISA {

// Calls function(0), function(1), ... with numbers that are known when compiled.
template <int kCount, class Function>
[[gnu::always_inline]] inline void unrolled(Function&& function) {
  [&]<int... k>(std::integer_sequence<int, k...>) __attribute__((always_inline)) {
    (function(std::integral_constant<int, k>()), ...);
  }(std::make_integer_sequence<int, kCount>());
}

inline constexpr int kMaximumTaps = 12;     // of a convolution (the context's)
inline constexpr std::int32_t kHidden = 8;  // channels of an attention's hidden layer (SPEC §2.7)

// Output pixels of one register tile, or of one matrix tile.
#if defined(TREENET_MATRIX_TILES)
inline constexpr int kBlockPixels = kTileRows;
#else
inline constexpr int kBlockPixels = 12;
#endif
inline constexpr int kBlock = kBlockPixels * kChannels;
inline constexpr std::int32_t kFusionPixels = kBlock / kHidden;  // that a fusion goes through together

// Blocks that a schedule takes through its steps at a time, a span: so many, for the sake of weights and of all that
// begins and ends with a step, and what would be less than half of it to the end of a line.
constexpr int longest_span(int blocks) { return blocks + (blocks + 1) / 2 - 1; }
inline constexpr int kLargestSpan = 96 / kBlockPixels, kLongestSpan = longest_span(kLargestSpan);  // of any schedule

// Blocks of a span that begins with `columns` columns left.
template <int kSpanBlocks>
inline std::int32_t span_blocks(std::int32_t columns) {
  const std::int32_t blocks = (columns + kBlockPixels - 1) / kBlockPixels;
  return blocks <= longest_span(kSpanBlocks) ? blocks : kSpanBlocks;
}

// Sums of products of s16 as matrix tiles give them, of low bytes and of high ones: low + (high << 8), modulo 2^32. The
// next step adds them on its way. Of a block they lie as accumulators do.
struct SplitSums {
  std::int32_t *low, *high;
  SplitSums operator+(std::ptrdiff_t i) const { return {low + i, high + i}; }
};

// Sums of a 1x1 convolution of four bytes a pixel to 32 outputs, made where they are used: those of a block of pixels,
// kStride bytes apart, from element `first` on.
template <int kStride>
struct PointSums {
  const std::uint8_t* pixels;
  const PackedConv& conv;
  std::ptrdiff_t first = 0;
  PointSums operator+(std::ptrdiff_t i) const { return {pixels, conv, first + i}; }

  const std::uint8_t* pixel(int i) const { return pixels + element(i) / kChannels * kStride; }
  std::size_t output(int i) const { return element(i) % kChannels; }
  std::size_t element(int i) const { return static_cast<std::size_t>(first + i); }
};

// The indices of a position's numbers v, which count from 0 (SPEC §5), by their table.
inline void look_up_scales(const std::int16_t* v, const PackedParameters& parameters, std::uint8_t* index) {
  std::uint16_t clamped[kChannels];
  for (int c = 0; c < kChannels; ++c) clamped[c] = static_cast<std::uint16_t>(v[c] < 0 ? 0 : v[c]);
  for (int c = 0; c < kChannels; ++c) index[c] = parameters.scale_index[clamped[c]];
}

// Accumulators once gdn_squares_block has seen them.
inline const std::int32_t* joined(const std::int32_t* accumulators) { return accumulators; }
inline const std::int32_t* joined(const SplitSums& sums) { return sums.low; }

// Hands out pieces of a kernel's scratch, in order, each aligned to 64 bytes.
struct Arena {
  std::uint8_t* next;

  template <class T>
  T* take(std::size_t count) {
    T* piece = reinterpret_cast<T*>(next);
    next += (count * sizeof(T) + 63) / 64 * 64;
    return piece;
  }
  // Sums are accumulators (std::int32_t*), or SplitSums.
  template <class Sums>
  Sums take_sums(std::size_t count) {
    if constexpr (std::is_same_v<Sums, SplitSums>) {
      std::int32_t* low = take<std::int32_t>(count);
      return {low, take<std::int32_t>(count)};
    } else {
      return take<std::int32_t>(count);
    }
  }
};

// The last few rows of something, row r in slot r mod (mask + 1). Rows may be negative (above the image).
template <class T, int kSlots>
struct LineRing {
  static_assert((kSlots & (kSlots - 1)) == 0);
  T* base;
  std::ptrdiff_t length;  // elements a line, a multiple of 64 bytes

  static std::ptrdiff_t rounded(std::ptrdiff_t elements) {
    constexpr std::ptrdiff_t unit = 64 / sizeof(T);
    return (elements + unit - 1) / unit * unit;
  }
  static LineRing make(Arena& arena, std::ptrdiff_t elements) {
    const std::ptrdiff_t length = rounded(elements);
    return {arena.take<T>(static_cast<std::size_t>(length * kSlots)), length};
  }
  T* at(std::int32_t row) const { return base + (row & (kSlots - 1)) * length; }
};

template <class T>
void fill(T* to, std::ptrdiff_t count, std::int32_t value) {
  for (std::ptrdiff_t i = 0; i < count; ++i) to[i] = static_cast<T>(value);
}

// Copies columns [first, first + count) of a row of `in` (elements of type Stored, `in.channels` a pixel) to a line,
// with `zero_point` where the row or column lies outside. Convert widens, copies or splits a run of elements.
template <class Stored, class Line, class Convert>
void load_line(const Plane& in, std::int32_t row, std::int32_t first, std::int32_t count, std::int32_t zero_point,
               std::int32_t line_channels, Line line, Convert convert) {
  if (row < 0 || row >= in.height) {
    fill(line, static_cast<std::ptrdiff_t>(count) * line_channels, zero_point);
    return;
  }
  const std::int32_t begin = first < 0 ? 0 : first;
  const std::int32_t end = first + count > in.width ? in.width : first + count;
  const std::int32_t left = begin - first;
  const std::int32_t inside = end > begin ? end - begin : 0;
  fill(line, static_cast<std::ptrdiff_t>(left) * line_channels, zero_point);
  const Stored* source =
      static_cast<const Stored*>(in.data) + (static_cast<std::ptrdiff_t>(row) * in.width + begin) * in.channels;
  convert(source, line + static_cast<std::ptrdiff_t>(left) * line_channels, inside);
  fill(line + static_cast<std::ptrdiff_t>(left + inside) * line_channels,
       static_cast<std::ptrdiff_t>(count - left - inside) * line_channels, zero_point);
}

// Converters: `pixels` pixels of the transform's 32 channels.
struct CopyS16 {
  std::int32_t channels;
  void operator()(const std::int16_t* from, std::int16_t* to, std::int32_t pixels) const {
    std::memcpy(to, from, static_cast<std::size_t>(pixels) * channels * sizeof(std::int16_t));
  }
};
struct CopyS16Features : CopyS16 {
  constexpr CopyS16Features() : CopyS16{kChannels} {}
};
template <class Element>
struct WidenU8 {
  void operator()(const std::uint8_t* from, Element* to, std::int32_t pixels) const {
    if constexpr (sizeof(Element) == 1) {
      std::memcpy(to, from, static_cast<std::size_t>(pixels) * kChannels);
    } else {
      for (std::ptrdiff_t i = 0; i < static_cast<std::ptrdiff_t>(pixels) * kChannels; ++i) to[i] = from[i];
    }
  }
};
template <class T>
const std::uint8_t* bytes(const T* pointer) {
  return reinterpret_cast<const std::uint8_t*>(pointer);
}

}  // namespace treenet::cpu::TREENET_ISA

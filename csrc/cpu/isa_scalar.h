// The plain C++ twin of the vector primitives, and their contract.
//
// A block is kBlock int32 accumulators, [kBlockPixels][32 outputs], [kBlockPixels / 2][64] or [4 kBlockPixels][8]; see
// kernels.h. Every primitive is exactly the arithmetic of SPEC §2, element by element. Those of Winograd's algorithms,
// of GDN in parts, of the image by groups and of the output in lanes, which it has no use for, have their contract in
// winograd.h, gdn.h, conv_image.h and output_lanes.h.
#pragma once

#include <cmath>
#include <limits>
#include <type_traits>

#include "cpu/lines.h"

namespace treenet::cpu::TREENET_ISA {

using U8Line = std::uint8_t;  // the type of a u8 activation in a line
inline constexpr std::int32_t kU8Group = 4;
inline constexpr bool kWinograd = false;     // the twin computes what is written
inline constexpr int kTiles = kBlockPixels;  // of a block of Winograd's algorithms
inline constexpr int kVectorBytes = 16;
inline constexpr bool kPointSums = true;
inline constexpr bool kImageGroups = false;
// Accumulators that GDN is made of at a time, beside its products (gdn.h), and in how many pieces; or 0.
inline constexpr int kGdnPart = 0, kGdnPieces = 0;

// rne(value) clamped to [lo, hi]. The bounds are integers, so clamping first is the same.
inline std::int32_t round_clamped(float value, float lo, float hi) {
  const float clamped = value < lo ? lo : value > hi ? hi : value;
  return static_cast<std::int32_t>(std::lrintf(clamped));
}

// accumulators[pixel][output] = bias + sum over taps and groups of weights * elements. `taps[t]` is the first pixel's
// data for tap t; pixels follow each other at kStride bytes, or at `stride` where kStride is 0.
template <class Element, int kOutputs, int kStride>
void conv_block(const std::uint8_t* const* taps, const PackedConv& conv, std::int32_t block, std::ptrdiff_t stride,
                std::int32_t* accumulators) {
  constexpr int kPixels = kBlock / kOutputs;
  constexpr int kElements = 4 / sizeof(Element);
  using Weight = std::conditional_t<sizeof(Element) == 1, std::int8_t, std::int16_t>;
  const std::ptrdiff_t step = kStride != 0 ? kStride : stride;
  const std::uint8_t* weights = conv.weights + static_cast<std::ptrdiff_t>(block) * conv.block_bytes;
  const std::int32_t* bias = conv.bias + block * kOutputs;
  for (int p = 0; p < kPixels; ++p) {
    for (int o = 0; o < kOutputs; ++o) accumulators[p * kOutputs + o] = bias[o];
  }
  for (int t = 0; t < conv.taps; ++t) {
    for (int p = 0; p < kPixels; ++p) {
      const Element* pixel = reinterpret_cast<const Element*>(taps[t] + p * step);
      const Weight* weight = reinterpret_cast<const Weight*>(weights + static_cast<std::ptrdiff_t>(t) * conv.tap_bytes);
      std::int32_t* row = accumulators + p * kOutputs;
      for (int g = 0; g < conv.groups; ++g, pixel += kElements, weight += kOutputs * kElements) {
        for (int o = 0; o < kOutputs; ++o) {
          std::int32_t sum = 0;
          for (int e = 0; e < kElements; ++e) sum += weight[o * kElements + e] * pixel[e];
          // Unsigned, because the folded zero point may wrap on the way; the total does not (SPEC §9).
          row[o] = static_cast<std::int32_t>(static_cast<std::uint32_t>(row[o]) + static_cast<std::uint32_t>(sum));
        }
      }
    }
  }
}

// span_of_blocks does so for `count` blocks of pixels that follow each other, to as many blocks of accumulators.

// The bounds of an activation's type, less its zero point.
template <class Activation>
struct Bounds {
  float low, high;

  explicit Bounds(std::int32_t zero_point)
      : low(static_cast<float>(std::numeric_limits<Activation>::min() - zero_point)),
        high(static_cast<float>(std::numeric_limits<Activation>::max() - zero_point)) {}
};

// An accumulator, as it is or of split sums.
inline std::int32_t accumulator(const std::int32_t* accumulators, int i) { return accumulators[i]; }
inline std::int32_t accumulator(const SplitSums& sums, int i) {
  return static_cast<std::int32_t>(static_cast<std::uint32_t>(sums.low[i]) +
                                   (static_cast<std::uint32_t>(sums.high[i]) << 8));
}

template <int kStride>
std::int32_t accumulator(const PointSums<kStride>& sums, int i) {
  const std::size_t output = sums.output(i);
  std::int32_t sum = 0;
  for (int c = 0; c < 4; ++c) {
    sum += reinterpret_cast<const std::int8_t*>(sums.conv.weights)[4 * output + c] * sums.pixel(i)[c];
  }
  // Unsigned, as in conv_block.
  return static_cast<std::int32_t>(static_cast<std::uint32_t>(sums.conv.bias[output]) +
                                   static_cast<std::uint32_t>(sum));
}

// SPEC §2.2, for accumulators of block `block` of `conv`. `Activation` is the type of the result, and has its bounds;
// `Out` is what it is kept in. An s16 has zero point 0.
template <int kOutputs, bool kLeaky, class Activation, class Sums, class Out>
void requantise_block(const Sums& accumulators, const PackedConv& conv, std::int32_t block, std::int32_t zero_point,
                      Out* out) {
  const float* multiplier = conv.multiplier + block * kOutputs;
  const float* negative = conv.multiplier_negative + block * kOutputs;
  const Bounds<Activation> bounds(zero_point);
  for (int i = 0; i < kBlock; ++i) {
    const int o = i % kOutputs;
    const std::int32_t sum = accumulator(accumulators, i);
    const float value = static_cast<float>(sum) * (kLeaky && sum < 0 ? negative[o] : multiplier[o]);
    out[i] = static_cast<Out>(round_clamped(value, bounds.low, bounds.high) + zero_point);
  }
}

// SPEC §2.4: k * k.
inline void gdn_squares_block(const std::int32_t* accumulators, const float* magnitude, std::int16_t* squares) {
  for (int i = 0; i < kBlock; ++i) {
    const float size = std::fabs(static_cast<float>(accumulators[i])) * magnitude[i % kChannels];
    const std::int32_t k = round_clamped(size, 0.0f, 181.0f);
    squares[i] = static_cast<std::int16_t>(k * k);
  }
}

// The same of split sums, of which `low` are accumulators then.
inline void gdn_squares_block(const SplitSums& sums, const float* magnitude, std::int16_t* squares) {
  for (int i = 0; i < kBlock; ++i) sums.low[i] = accumulator(sums, i);
  gdn_squares_block(sums.low, magnitude, squares);
}

// SPEC §2.4 from n on, and §2.5, §2.6: clamp(rne(g + s) + zero point), s from the accumulators of `skip`.
template <bool kInverse, int kOutputs, class Norms, class Skip, class Out>
void gdn_add_skip_block(const std::int32_t* accumulators, const float* numerator, const Norms& norms, const Skip& skip,
                        const float* multiplier, std::int32_t zero_point, Out* out) {
  const Bounds<Out> bounds(zero_point);
  for (int i = 0; i < kBlock; ++i) {
    const float root = std::sqrt(static_cast<float>(accumulator(norms, i)));
    const float value = static_cast<float>(accumulators[i]) * numerator[i % kChannels];
    const float normalised = kInverse ? value * root : value / root;
    const float added = static_cast<float>(accumulator(skip, i)) * multiplier[i % kOutputs];
    out[i] = static_cast<Out>(round_clamped(normalised + added, bounds.low, bounds.high) + zero_point);
  }
}

// Adds `count` pixels, at most 65536, to sums[32].
template <class T>
void add_to_sums(const T* pixels, std::int32_t count, std::int64_t* sums) {
  for (std::int32_t p = 0; p < count; ++p) {
    for (int c = 0; c < kChannels; ++c) sums[c] += pixels[p * kChannels + c];
  }
}

// SPEC §2.7 of kFusionPixels pixels, from the hidden layer on, [pixel][kHidden]: out = y + ((W * (x - y) + 128) >> 8).
template <class T>
void blend_pixels(const std::uint8_t* hidden, const PackedConv& local2, const float* global,
                  const std::uint8_t* sigmoid, const T* x, const T* y, T* out) {
  std::int32_t accumulators[kBlock];
  for (int i = 0; i < kFusionPixels * kChannels; ++i) {
    if (i % kBlock == 0) {
      const std::uint8_t* from = hidden + i / kChannels * kHidden;
      conv_block<U8Line, kChannels, kHidden * sizeof(U8Line)>(&from, local2, 0, 0, accumulators);
    }
    const int c = i % kChannels;
    const float local = static_cast<float>(accumulators[i % kBlock]) * local2.multiplier[c];
    const std::int32_t l = round_clamped(local + global[c], -127.0f, 127.0f);
    const std::int32_t weight = l < 0 ? 128 - sigmoid[-l] : 128 + sigmoid[l];
    const std::int32_t difference = static_cast<std::int32_t>(x[i]) - y[i];
    out[i] = static_cast<T>(y[i] + ((weight * difference + 128) >> 8));
  }
}

// The low and the high bytes of two pixels of 32 channels.
inline void split_pixels(const std::int16_t* pixels, std::uint8_t* low, std::uint8_t* high) {
  for (int c = 0; c < 2 * kChannels; ++c) {
    low[c] = static_cast<std::uint8_t>(pixels[c]);
    high[c] = static_cast<std::uint8_t>(pixels[c] >> 8);
  }
}

// requantise_block to 32 channels of s16, of which it gives the low and the high bytes, kStride from pixel to pixel.
template <bool kLeaky, int kStride, class Sums>
void requantise_split_block(const Sums& sums, const PackedConv& conv, std::int32_t block, std::uint8_t* low,
                            std::uint8_t* high) {
  std::int16_t pixels[kBlock];
  requantise_block<kChannels, kLeaky, std::int16_t>(sums, conv, block, 0, pixels);
  for (int i = 0; i < kBlock; ++i) {
    const int at = i / kChannels * kStride + i % kChannels;
    low[at] = static_cast<std::uint8_t>(pixels[i]);
    high[at] = static_cast<std::uint8_t>(pixels[i] >> 8);
  }
}

// Scale indices of a position's 32 numbers v (SPEC §5).
inline void scale_indices(const std::int16_t* v, const PackedParameters& parameters, std::uint8_t* index) {
  look_up_scales(v, parameters, index);
}

inline void gain_pixel(const std::int16_t* in, const float* gain, std::int16_t* out) {
  for (int c = 0; c < kChannels; ++c) {
    out[c] = static_cast<std::int16_t>(round_clamped(static_cast<float>(in[c]) * gain[c], -32768.0f, 32767.0f));
  }
}

// SPEC §6: pixels from three lines of products, which start one feature pixel to the left.
inline void output_pixels(const std::int32_t* above, const std::int32_t* here, const std::int32_t* below,
                          const PackedOutput& output, std::int32_t count, std::uint8_t* out) {
  const std::int32_t* lines[3] = {above, here, below};
  for (std::int32_t i = 0; i < count; ++i) {
    for (int colour = 0; colour < 3; ++colour) {
      std::uint32_t sum = static_cast<std::uint32_t>(output.bias[colour]);
      for (int tap = 0; tap < 9; ++tap) {
        sum += static_cast<std::uint32_t>(
            lines[tap / 3][static_cast<std::ptrdiff_t>(i + tap % 3) * kChannels + tap * 3 + colour]);
      }
      const float value = static_cast<float>(static_cast<std::int32_t>(sum)) * output.multiplier[colour];
      out[3 * i + colour] = static_cast<std::uint8_t>(round_clamped(value, 0.0f, 255.0f));
    }
  }
}

}  // namespace treenet::cpu::TREENET_ISA

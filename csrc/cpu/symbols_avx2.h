// A position's symbols for AVX2. Contracts: symbols_scalar.h.
#pragma once

#include <immintrin.h>

#include "cpu/kernels.h"

namespace treenet::cpu::TREENET_ISA {

inline constexpr std::uint8_t kNothing = 0xFF;

// For a mask of eight: the marked elements' places, in order, and for each element its own among them; kNothing where
// there is none, which makes a zero of a shuffle.
struct Places {
  alignas(8) std::uint8_t packed[256][8], spread[256][8];
};
constexpr Places make_places() {
  Places places{};
  for (unsigned mask = 0; mask < 256; ++mask) {
    std::uint8_t count = 0;
    for (std::uint8_t element = 0; element < 8; ++element) {
      places.packed[mask][element] = places.spread[mask][element] = kNothing;
      if ((mask >> element & 1) == 0) continue;
      places.spread[mask][element] = count;
      places.packed[mask][count++] = element;
    }
  }
  return places;
}
inline constexpr Places kPlaces = make_places();

// Eight channels from element `at` on.
struct EightChannels {
  const LatentRow& row;
  std::ptrdiff_t at;
  __m128i index = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(row.index + at));
  __m128i marks = _mm_cmpeq_epi8(_mm_max_epu8(index, _mm_set1_epi8(static_cast<char>(row.skip))), index);
  unsigned coded = static_cast<unsigned>(_mm_movemask_epi8(marks)) & 0xFF;

  static __m256i load(const std::int16_t* from) {
    return _mm256_cvtepi16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
  }
  static void store(std::int16_t* to, __m128i words) { _mm_storeu_si128(reinterpret_cast<__m128i*>(to), words); }
  // Of eight numbers their 16 bits, at the bounds if they are beyond.
  static __m128i narrowed(__m256i numbers) {
    return _mm_packs_epi32(_mm256_castsi256_si128(numbers), _mm256_extracti128_si256(numbers, 1));
  }
  static __m128i load_places(const std::uint8_t* places) {
    return _mm_loadl_epi64(reinterpret_cast<const __m128i*>(places));
  }
  // Words by their places; twice kNothing is nothing, too.
  static __m128i permute(__m128i words, __m128i places) {
    const __m128i low = _mm_add_epi8(places, places), high = _mm_or_si128(low, _mm_set1_epi8(1));
    return _mm_shuffle_epi8(words, _mm_unpacklo_epi8(low, high));
  }

  int count() const { return _mm_popcnt_u32(coded); }
  __m256i mean() const { return load(row.mean + at); }
  // From symbols, which are zero where there is none.
  void store_decoded(__m256i symbols) const {
    store(row.decoded + at, narrowed(_mm256_add_epi32(_mm256_slli_epi32(symbols, kLatentBits), mean())));
  }
  void store_tables(std::uint8_t* to) const {
    const __m128i tables = _mm_shuffle_epi8(index, load_places(kPlaces.packed[coded]));
    _mm_storel_epi64(reinterpret_cast<__m128i*>(to), tables);
  }
};

inline std::ptrdiff_t list_tables_of_position(const LatentRow& row, std::ptrdiff_t at, std::uint8_t* tables) {
  std::ptrdiff_t before = 0;
#pragma GCC unroll 4
  for (std::ptrdiff_t c = 0; c < kChannels; c += 8) {
    const EightChannels channels{row, at + c};
    channels.store_tables(tables + before);
    before += channels.count();
  }
  return before;
}

inline std::ptrdiff_t quantise_position(const LatentRow& row, std::ptrdiff_t at, const std::int16_t* latents,
                                        std::int16_t* symbols) {
  std::ptrdiff_t before = 0;
#pragma GCC unroll 4
  for (std::ptrdiff_t c = 0; c < kChannels; c += 8) {
    const EightChannels channels{row, at + c};
    const __m256i difference = _mm256_sub_epi32(EightChannels::load(latents + at + c), channels.mean());
    const __m256i rounded = _mm256_add_epi32(difference, _mm256_set1_epi32(kLatentStep / 2));
    const __m256i quantised =
        _mm256_and_si256(_mm256_srai_epi32(rounded, kLatentBits), _mm256_cvtepi8_epi32(channels.marks));
    channels.store_decoded(quantised);
    EightChannels::store(symbols + before,
                         EightChannels::permute(EightChannels::narrowed(quantised),
                                                EightChannels::load_places(kPlaces.packed[channels.coded])));
    before += channels.count();
  }
  return before;
}

inline std::ptrdiff_t dequantise_position(const LatentRow& row, std::ptrdiff_t at, const std::int16_t* symbols) {
  std::ptrdiff_t before = 0;
#pragma GCC unroll 4
  for (std::ptrdiff_t c = 0; c < kChannels; c += 8) {
    const EightChannels channels{row, at + c};
    const __m128i words = _mm_loadu_si128(reinterpret_cast<const __m128i*>(symbols + before));
    const __m128i spread = EightChannels::permute(words, EightChannels::load_places(kPlaces.spread[channels.coded]));
    channels.store_decoded(_mm256_cvtepi16_epi32(spread));
    before += channels.count();
  }
  return before;
}

}  // namespace treenet::cpu::TREENET_ISA

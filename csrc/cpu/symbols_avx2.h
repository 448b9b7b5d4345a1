// Channels' symbols for AVX2. Contract: symbols_scalar.h.
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

// Eight channels.
struct CodedChannels {
  static constexpr int kCount = 8;
  const LatentRow& row;
  std::ptrdiff_t at;
  __m128i index = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(row.index + at));
  __m128i marks = _mm_cmpeq_epi8(_mm_max_epu8(index, _mm_set1_epi8(static_cast<char>(row.skip))), index);
  unsigned coded = static_cast<unsigned>(_mm_movemask_epi8(marks)) & 0xFF;

  int count() const { return _mm_popcnt_u32(coded); }
  void list_tables(std::uint8_t* tables) const {
    const __m128i packed = _mm_shuffle_epi8(index, load_places(kPlaces.packed[coded]));
    _mm_storel_epi64(reinterpret_cast<__m128i*>(tables), packed);
  }
  void quantise(const std::int16_t* latents, std::int16_t* symbols) const {
    const __m256i difference = _mm256_sub_epi32(load(latents), load(row.mean + at));
    const __m256i rounded = _mm256_add_epi32(difference, _mm256_set1_epi32(kLatentStep / 2));
    const __m256i quantised = _mm256_and_si256(_mm256_srai_epi32(rounded, kLatentBits), _mm256_cvtepi8_epi32(marks));
    store_decoded(quantised);
    store(symbols, permute(narrowed(quantised), load_places(kPlaces.packed[coded])));
  }
  void dequantise(const std::int16_t* symbols) const {
    const __m128i words = _mm_loadu_si128(reinterpret_cast<const __m128i*>(symbols));
    store_decoded(_mm256_cvtepi16_epi32(permute(words, load_places(kPlaces.spread[coded]))));
  }

 private:
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
  // From symbols, which are zero where there is none.
  void store_decoded(__m256i symbols) const {
    store(row.decoded + at, narrowed(_mm256_add_epi32(_mm256_slli_epi32(symbols, kLatentBits), load(row.mean + at))));
  }
};

}  // namespace treenet::cpu::TREENET_ISA

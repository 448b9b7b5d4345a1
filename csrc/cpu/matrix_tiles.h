// The matrix registers of AMX (Intel SDM, volume 1, chapter 18): eight tiles of 16 rows of 64 bytes, which
// TREENET_EMULATED_TILES has as plain memory, for tests on any machine.
//
// A product C += A B of tiles takes 16 cycles. Row i of A has 64 bytes, those of a pixel's activations; row r of B has,
// for each of 16 outputs, the four weights of bytes 4 r .. 4 r + 3 of A's rows; row i of C has 16 int32. Sums wrap.
//
// The compiler does not know of tiles: every use of them is volatile and clobbers memory, and so keeps its place.
#pragma once

#include <cstdlib>
#include <type_traits>

#include "cpu/lines.h"

namespace treenet::cpu::TREENET_ISA {

// Which of a product's factors are signed: activations and weights.
enum class Signs { kNone, kWeights, kBoth };

#if defined(TREENET_EMULATED_TILES)

inline thread_local std::uint8_t emulated_tiles[8][kTileRows][kTileBytes];
inline thread_local int emulated_holders = 0;

// Tiles have nothing that counts in them when they begin and end to be in use.
struct MatrixTiles {
  MatrixTiles() { reset(emulated_holders++ == 0); }
  ~MatrixTiles() { reset(--emulated_holders == 0); }
  MatrixTiles(const MatrixTiles&) = delete;
  MatrixTiles& operator=(const MatrixTiles&) = delete;

 private:
  static void reset(bool alone) {
    if (!alone) std::abort();  // the inner one would take the tiles from the outer one
    std::memset(emulated_tiles, 0xA5, sizeof(emulated_tiles));
  }
};
inline void check_tiles() {
  if (emulated_holders != 1) std::abort();  // as an invalid instruction does
}

template <int kTile>
inline void zero_tile() {
  check_tiles();
  std::memset(emulated_tiles[kTile], 0, kTileSize);
}
template <int kTile>
inline void load_tile(const void* from, std::ptrdiff_t stride) {
  check_tiles();
  for (int row = 0; row < kTileRows; ++row) {
    std::memcpy(emulated_tiles[kTile][row], static_cast<const std::uint8_t*>(from) + row * stride, kTileBytes);
  }
}
template <int kTile>
inline void store_tile(void* to, std::ptrdiff_t stride) {
  check_tiles();
  for (int row = 0; row < kTileRows; ++row) {
    std::memcpy(static_cast<std::uint8_t*>(to) + row * stride, emulated_tiles[kTile][row], kTileBytes);
  }
}
// Sanitizers have loads and stores to watch; here they would only take time, which is most of a test's.
template <Signs kSigns, int kC, int kA, int kB>
[[gnu::no_sanitize("address", "undefined")]] void multiply_tiles() {
  using A = std::conditional_t<kSigns == Signs::kBoth, std::int8_t, std::uint8_t>;
  using B = std::conditional_t<kSigns == Signs::kNone, std::uint8_t, std::int8_t>;
  std::int16_t b[kTileBytes][kTileSums];
  for (int k = 0; k < kTileBytes; ++k) {
    for (int o = 0; o < kTileSums; ++o) b[k][o] = static_cast<B>(emulated_tiles[kB][k / 4][4 * o + k % 4]);
  }
  for (int i = 0; i < kTileRows; ++i) {
    std::uint32_t sums[kTileSums];
    std::memcpy(sums, emulated_tiles[kC][i], sizeof(sums));
    for (int k = 0; k < kTileBytes; ++k) {
      const std::int32_t a = static_cast<A>(emulated_tiles[kA][i][k]);
      for (int o = 0; o < kTileSums; ++o) sums[o] += static_cast<std::uint32_t>(a * b[k][o]);
    }
    std::memcpy(emulated_tiles[kC][i], sums, sizeof(sums));
  }
}

#else

// What a kernel holds while it uses tiles. It leaves none in use, which would slow every switch between threads.
struct MatrixTiles {
  MatrixTiles() {
    struct {
      std::uint8_t palette = 1, start_row = 0, reserved[14] = {};
      std::uint16_t row_bytes[16] = {};
      std::uint8_t rows[16] = {};
    } configuration;
    for (int tile = 0; tile < 8; ++tile) {
      configuration.row_bytes[tile] = kTileBytes;
      configuration.rows[tile] = kTileRows;
    }
    static_assert(sizeof(configuration) == 64);
    asm volatile("ldtilecfg %0" : : "m"(configuration) : "memory");
  }
  ~MatrixTiles() { asm volatile("tilerelease" : : : "memory"); }
  MatrixTiles(const MatrixTiles&) = delete;
  MatrixTiles& operator=(const MatrixTiles&) = delete;
};

template <int kTile>
inline void zero_tile() {
  asm volatile("tilezero %%tmm%c0" : : "i"(kTile) : "memory");
}
template <int kTile>
inline void load_tile(const void* from, std::ptrdiff_t stride) {
  asm volatile("tileloadd (%0,%1,1), %%tmm%c2" : : "r"(from), "r"(stride), "i"(kTile) : "memory");
}
template <int kTile>
inline void store_tile(void* to, std::ptrdiff_t stride) {
  asm volatile("tilestored %%tmm%c2, (%0,%1,1)" : : "r"(to), "r"(stride), "i"(kTile) : "memory");
}
template <Signs kSigns, int kC, int kA, int kB>
inline void multiply_tiles() {
  if constexpr (kSigns == Signs::kNone) {
    asm volatile("tdpbuud %%tmm%c2, %%tmm%c1, %%tmm%c0" : : "i"(kC), "i"(kA), "i"(kB) : "memory");
  } else if constexpr (kSigns == Signs::kWeights) {
    asm volatile("tdpbusd %%tmm%c2, %%tmm%c1, %%tmm%c0" : : "i"(kC), "i"(kA), "i"(kB) : "memory");
  } else {
    asm volatile("tdpbssd %%tmm%c2, %%tmm%c1, %%tmm%c0" : : "i"(kC), "i"(kA), "i"(kB) : "memory");
  }
}

#endif

}  // namespace treenet::cpu::TREENET_ISA

// Rows of latents to symbols and back (SPEC §5) on every kernel table.
#include <algorithm>
#include <cstdint>
#include <random>
#include <vector>

#include "check.h"
#include "kernel_tables.h"

namespace treenet::cpu {
namespace {

constexpr std::int16_t kUntouched = 12345;

// Positions of any numbers, those at the bounds among them; every other one is the row's.
struct Latent {
  Latent(int positions, int skip, std::mt19937& random)
      : positions(positions),
        skip(skip),
        mean(numbers(channels(), random)),
        latents(numbers(channels(), random)),
        decoded(channels(), kUntouched),
        index(channels()) {
    for (std::uint8_t& i : index) i = static_cast<std::uint8_t>(random() % 64);
  }

  static std::vector<std::int16_t> numbers(std::size_t count, std::mt19937& random) {
    constexpr std::int16_t kBounds[] = {-32768, -32767, 32766, 32767};
    std::vector<std::int16_t> numbers(count);
    for (std::int16_t& number : numbers) {
      number = random() % 4 == 0 ? kBounds[random() % 4] : static_cast<std::int16_t>(random());
    }
    return numbers;
  }
  std::size_t channels() const { return static_cast<std::size_t>(std::max(2 * positions - 1, 0)) * kChannels; }
  LatentRow row() { return {mean.data(), index.data(), decoded.data(), positions, skip}; }

  // Calls visit(element) for those that carry a symbol, in coding order, and other(element) for the row's others.
  template <class Visit, class Other>
  void for_each(Visit visit, Other other) const {
    for (std::size_t i = 0; i < channels(); ++i) {
      if (i / kChannels % 2 != 0) continue;
      if (index[i] >= skip) {
        visit(i);
      } else {
        other(i);
      }
    }
  }
  // Symbols as SPEC §5 says, by floor of a quotient.
  int symbol(std::size_t i) const {
    const int steps = latents[i] - mean[i] + 32;
    return steps >= 0 ? steps / 64 : -((63 - steps) / 64);
  }
  static std::int16_t bounded(int value) { return static_cast<std::int16_t>(std::clamp(value, -32768, 32767)); }

  int positions, skip;
  std::vector<std::int16_t> mean, latents, decoded;
  std::vector<std::uint8_t> index;
};

template <class Test>
void everywhere(Test test) {
  std::vector<const KernelTable*> all = tables_beside_scalar();
  all.push_back(kernels_scalar);
  std::mt19937 random(1);
  for (const KernelTable* kernels : all) {
    for (const int positions : {0, 1, 2, 3, 40}) {
      for (const int skip : {0, 1, 20, 48, 62, 63, 64}) test(*kernels, Latent(positions, skip, random), random);
    }
  }
}

TEST("the tables of a row, and what its latents are quantised to, in no more room than there is to be") {
  everywhere([](const KernelTable& kernels, Latent latent, std::mt19937&) {
    std::vector<std::uint8_t> tables;
    std::vector<std::int16_t> symbols, decoded = latent.decoded;
    latent.for_each(
        [&](std::size_t i) {
          tables.push_back(latent.index[i]);
          symbols.push_back(static_cast<std::int16_t>(latent.symbol(i)));
          decoded[i] = Latent::bounded(64 * latent.symbol(i) + latent.mean[i]);
        },
        [&](std::size_t i) { decoded[i] = latent.mean[i]; });
    const auto count = static_cast<std::ptrdiff_t>(tables.size());
    std::vector<std::uint8_t> made_tables(tables.size() + kBeyond + 1, 255);
    std::vector<std::int16_t> made_symbols(tables.size() + kBeyond + 1, kUntouched);
    CHECK_EQUAL(kernels.list_tables(latent.row(), made_tables.data()), count);
    CHECK_EQUAL(kernels.quantise_row(latent.row(), latent.latents.data(), made_symbols.data()), count);
    CHECK_EQUAL(made_tables.back(), 255);
    CHECK_EQUAL(made_symbols.back(), kUntouched);
    made_tables.resize(tables.size());
    made_symbols.resize(symbols.size());
    CHECK(made_tables == tables);
    CHECK(made_symbols == symbols);
    CHECK(latent.decoded == decoded);
  });
}

TEST("decoded values from symbols of all 16 bits") {
  everywhere([](const KernelTable& kernels, Latent latent, std::mt19937& random) {
    std::vector<std::int16_t> decoded = latent.decoded, symbols = Latent::numbers(latent.channels(), random);
    std::size_t count = 0;
    latent.for_each([&](std::size_t i) { decoded[i] = Latent::bounded(64 * symbols[count++] + latent.mean[i]); },
                    [&](std::size_t i) { decoded[i] = latent.mean[i]; });
    symbols.resize(count + kBeyond);  // what may be read
    symbols.shrink_to_fit();
    CHECK_EQUAL(kernels.dequantise_row(latent.row(), symbols.data()), static_cast<std::ptrdiff_t>(count));
    CHECK(latent.decoded == decoded);
  });
}

}  // namespace
}  // namespace treenet::cpu

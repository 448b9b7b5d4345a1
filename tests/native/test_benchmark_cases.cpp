// The cases of benchmarks/native: that they count the paper's work, and that they run within their memory.
#include <cmath>
#include <map>
#include <memory>
#include <random>
#include <set>

#include "cases.h"
#include "check.h"
#include "codec/aligned_buffer.h"
#include "convolutions.h"
#include "cpu/dispatch.h"
#include "cpu/packed_model.h"
#include "peak.h"
#include "random_model.h"

namespace treenet::benchmarks {
namespace {

TEST("the cases add up to the paper's MACs") {
  // Those of its table, in kMAC a pixel; here by the first word of a kernel's name.
  const std::map<std::string, double> paper = {{"analysis", 6.862},           {"synthesis", 49.885},
                                               {"hyper_analysis", 0.370},     {"hyper_synthesis", 0.857},
                                               {"parameters", 0.442 + 0.801}, {"gain", 0}};
  std::map<std::string, double> counted;
  for (const std::string& name : case_names()) {
    if (name.starts_with("convolution.")) continue;  // parts of others
    const Case made("scalar", name, 64, 128);
    counted[name.substr(0, name.find('.'))] += made.count() * made.macs() / (64 * 128) / 1000;
  }
  CHECK_EQUAL(counted.size(), paper.size());
  for (const auto& [part, macs] : paper) CHECK(std::abs(counted.at(part) - macs) < 0.001);
}

TEST("every case runs on every instruction set") {
  for (const std::string& isa : cpu::usable_isas()) {
    for (const std::string& name : case_names()) Case(isa, name, 64, 128).run();
  }
}

TEST("convolutions by themselves compute the same on every instruction set") {
  const std::shared_ptr<const Model> model = testing::RandomModel(1).make();
  constexpr int kHeight = 26, kWidth = 90;
  std::mt19937 random(1);
  std::vector<std::uint8_t> bytes(kHeight * kWidth * cpu::kChannels);
  for (std::uint8_t& byte : bytes) byte = static_cast<std::uint8_t>(random());
  std::vector<std::int16_t> words(bytes.size());
  for (std::int16_t& word : words) word = static_cast<std::int16_t>(static_cast<int>(random() % 4000) - 2000);
  const cpu::Plane image{bytes.data(), kHeight, kWidth, 3}, narrow{bytes.data(), kHeight, kWidth, cpu::kChannels},
      wide{words.data(), kHeight, kWidth, cpu::kChannels};
  const auto numbers = [&](const std::string& isa) {
    const Convolutions& run = convolutions_for(isa);
    const cpu::PackedModel packed(*model, cpu::kernels_for(isa));
    AlignedBuffer scratch(run.scratch_bytes(kWidth));
    void* const room = scratch.as<void>();
    return std::vector{run.image(packed.analysis[0][0].conv1.direct, image, room),
                       run.s16_stride2(packed.analysis[1][0].conv1, wide, room),
                       run.s16(packed.analysis[0][0].conv2, wide, room),
                       run.s16_subpixel(packed.synthesis[1][0].conv1, wide, room),
                       run.u8(packed.synthesis[3][0].conv2, narrow, room),
                       run.u8_subpixel(packed.synthesis[3][0].conv1, narrow, room)};
  };
  const std::vector<std::uint32_t> expected = numbers("scalar");
  CHECK_EQUAL(std::set<std::uint32_t>(expected.begin(), expected.end()).size(), expected.size());
  for (const std::string& isa : cpu::usable_isas()) {
    cpu::prepare(isa);
    CHECK(numbers(isa) == expected);
  }
}

TEST("an activation of 16 bits takes the place of two only where 8 bits are multiplied as such") {
  for (const std::string& isa : cpu::usable_isas()) {
    const Case hyper(isa, "hyper_analysis", 64, 64);
    // The paper's number has the biases, too. By Winograd's algorithm, layers of stride 1 have four ninths: 36
    // positions of 41.
    const double products = hyper.products() / hyper.macs() * (1 + 1.0 / 288);
    const double share = cpu::kernels_for(isa).winograd ? (36 * 4.0 / 9 + 5) / 41 : 1;
    CHECK(std::abs(products - share * (isa == "avx2" ? 1 : 2)) < 1e-9);
  }
}

TEST("what has a multiply instruction of its own has a peak") {
  for (const std::string& isa : cpu::usable_isas()) {
    const std::optional<double> products = peak(isa);
    CHECK_EQUAL(products.has_value(), isa != "scalar");
    if (products) CHECK(*products > 0);
  }
  CHECK_ERROR(peak("mmx"), ErrorCode::kBackend, "unknown instruction set 'mmx'");
}

TEST("what is no case") {
  CHECK_ERROR(Case("scalar", "analysis.level4", 64, 64), ErrorCode::kInvalidArgument, "no kernel 'analysis.level4'");
  CHECK_ERROR(Case("scalar", "gain", 64, 96), ErrorCode::kInvalidArgument, "multiples of 64");
  CHECK_ERROR(Case("mmx", "gain", 64, 64), ErrorCode::kBackend, "unknown instruction set 'mmx'");
}

}  // namespace
}  // namespace treenet::benchmarks

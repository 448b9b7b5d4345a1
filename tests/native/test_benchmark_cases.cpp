// The cases of benchmarks/native: that they count the paper's work, and that they run within their memory.
#include <cmath>
#include <map>

#include "cases.h"
#include "check.h"
#include "cpu/dispatch.h"
#include "peak.h"

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

TEST("an activation of 16 bits takes the place of two only where 8 bits are multiplied as such") {
  for (const std::string& isa : cpu::usable_isas()) {
    const Case hyper(isa, "hyper_analysis", 64, 64);
    // The paper's number has the biases, too.
    const double products = hyper.products() / hyper.macs() * (1 + 1.0 / 288);
    CHECK(std::abs(products - (isa == "avx2" ? 1 : 2)) < 1e-9);
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

// What a model file may not be (SPEC §9).
#include "check.h"
#include "codec/model.h"
#include "random_model.h"

namespace treenet {
namespace {

using testing::RandomModel;

// The model after `change`, which has to be refused with a message that names `part`.
template <class Change>
void refused(const std::string& part, Change change) {
  RandomModel random(2);
  change(random);
  CHECK_ERROR(random.make(), ErrorCode::kModelFile, part);
}

TEST("a valid model is accepted") { CHECK(RandomModel(2).make() != nullptr); }

TEST("tensors that are missing, unknown, or of another type or shape") {
  refused("'bottleneck.2.context.bias' is missing",
          [](RandomModel& m) { m.tensors.erase("bottleneck.2.context.bias"); });
  refused("'extra' is unknown", [](RandomModel& m) { m.tensors["extra"] = m.tensors["sigmoid"]; });
  refused("'sigmoid'", [](RandomModel& m) { m.tensors["sigmoid"].dtype = DType::kI8; });
  refused("'gain.encode'", [](RandomModel& m) { m.tensors["gain.encode"].shape = {128, 100}; });
}

TEST("sums that may leave 32 bits") {
  refused("'synthesis.level0.1.conv1.weight' may overflow",
          [](RandomModel& m) { m.data<std::int32_t>("synthesis.level0.1.conv1.bias")[5] = 0x7FFFFFFF; });
  // u8 inputs could not reach the limit from here; these are s16.
  refused("'synthesis.level1.2.skip.weight' may overflow",
          [](RandomModel& m) { m.data<std::int32_t>("synthesis.level1.2.skip.bias")[7] = 0x7FFFFFFF - (1 << 26); });
}

TEST("values out of range") {
  refused("'synthesis.output.multiplier'", [](RandomModel& m) { m.data<float>("synthesis.output.multiplier")[1] = 0; });
  refused("'gain.decode'", [](RandomModel& m) { m.data<float>("gain.decode")[77] = INFINITY; });
  refused("gdn.beta", [](RandomModel& m) { m.data<std::int32_t>("analysis.level2.3.gdn.beta")[0] = 0; });
  refused("zero_point", [](RandomModel& m) { m.data<std::int32_t>("synthesis.level1.0.conv1.zero_point")[0] = 256; });
  refused("zero_point", [](RandomModel& m) { m.data<std::int32_t>("synthesis.level2.0.zero_point")[0] = -1; });
  refused("zero points", [](RandomModel& m) { m.data<std::int32_t>("synthesis.level2.1.zero_point")[0] ^= 1; });
  refused("masked", [](RandomModel& m) { m.data<std::int8_t>("bottleneck.0.context.weight")[12] = 1; });
  refused("'sigmoid'", [](RandomModel& m) { m.data<std::uint8_t>("sigmoid")[127] = 129; });
  refused("'entropy.threshold'", [](RandomModel& m) { m.data<std::int32_t>("entropy.threshold")[3] = 0; });
  refused("'entropy.skip'", [](RandomModel& m) { m.data<std::int32_t>("entropy.skip")[0] = 65; });
  refused("", [](RandomModel& m) { m.data<std::uint16_t>("entropy.prior.frequency")[256 * 9] -= 1; });
}

}  // namespace
}  // namespace treenet

#include "codec/model.h"

#include <algorithm>
#include <string>

#include "codec/error.h"
#include "codec/model_reader.h"

namespace treenet {
namespace {

[[noreturn]] void fail(const std::string& what) {
  throw Error(ErrorCode::kModelFile, "model file: " + what + "; the file was not made for this version of the codec");
}

std::unique_ptr<const EntropyTables> read_tables(ModelReader& reader) {
  std::vector<std::int32_t> offsets, counts;
  std::vector<std::uint16_t> frequencies;
  for (const auto& [name, rows] : {std::pair{std::string("entropy.gaussian"), kGaussianTables},
                                   std::pair{std::string("entropy.prior"), kBottlenecks * kTransformChannels}}) {
    const auto append = [](auto& to, const auto& from) { to.insert(to.end(), from.begin(), from.end()); };
    append(offsets, reader.read<std::int32_t>(name + ".offset", {rows}));
    append(counts, reader.read<std::int32_t>(name + ".count", {rows}));
    append(frequencies, reader.read<std::uint16_t>(name + ".frequency", {rows, kTableStride}));
  }
  try {
    return std::make_unique<const EntropyTables>(offsets, counts, frequencies);
  } catch (const Error& error) {
    fail(error.what());
  }
}

std::vector<std::uint8_t> read_scale_index(ModelReader& reader) {
  const std::vector<std::int32_t> thresholds = reader.read<std::int32_t>("entropy.threshold", {kGaussianTables - 1});
  if (!std::is_sorted(thresholds.begin(), thresholds.end()) || thresholds.front() < 1 || thresholds.back() > 32767) {
    fail("'entropy.threshold' must ascend within 1..32767");
  }
  std::vector<std::uint8_t> index(32768);
  for (int v = 0; v < 32768; ++v) {
    index[v] =
        static_cast<std::uint8_t>(std::upper_bound(thresholds.begin(), thresholds.end(), v) - thresholds.begin());
  }
  return index;
}

}  // namespace

Model::Model(const TensorMap& tensors, const std::array<std::uint8_t, 32>& model_hash) : hash(model_hash) {
  ModelReader reader(tensors);
  for (int level = 0; level < kLevels; ++level) {
    for (int node = 0; node < 1 << level; ++node) {
      const std::string name = "analysis.level" + std::to_string(level) + "." + std::to_string(node);
      analysis[level].push_back(reader.residual_down(name, level == 0 ? 3 : kTransformChannels));
    }
  }
  for (int b = 0; b < kBottlenecks; ++b) {
    analysis_fusion[b] = reader.fusion("analysis.fusion." + std::to_string(b), 0, true);
    bottleneck[b] = reader.bottleneck("bottleneck." + std::to_string(b));
  }
  for (int level = 0; level < kLevels; ++level) {
    const int nodes = kLevels - level;
    const int zero_point = level == 0 ? 0 : synthesis[level - 1][0].output_zero_point;
    for (int node = 0; node < nodes; ++node) {
      const std::string name = "synthesis.level" + std::to_string(level) + "." + std::to_string(node);
      synthesis[level].push_back(
          reader.residual_up(name, zero_point, synthesis_reads_wide(level), synthesis_is_wide(level)));
      if (synthesis[level][node].output_zero_point != synthesis[level][0].output_zero_point) {
        fail("the nodes of synthesis level " + std::to_string(level) + " differ in their zero points");
      }
    }
    for (int i = 0; i + 1 < nodes; ++i) {
      const std::string name = "synthesis.fusion" + std::to_string(level) + "." + std::to_string(i);
      synthesis_fusion[level].push_back(
          reader.fusion(name, synthesis[level][0].output_zero_point, synthesis_is_wide(level)));
    }
  }
  output = reader.convolution("synthesis.output", 3, kTransformChannels, 3, kLargestS16, true);

  constexpr int kLatentChannels = kBottlenecks * kTransformChannels;
  gain_encode = reader.factors("gain.encode", {kQualities, kLatentChannels});
  gain_decode = reader.factors("gain.decode", {kQualities, kLatentChannels});
  const std::vector<std::uint8_t> table = reader.read<std::uint8_t>("sigmoid", {128});
  if (table.front() != 0 || table.back() > 128 || !std::is_sorted(table.begin(), table.end())) {
    fail("'sigmoid' must ascend from 0 to at most 128");
  }
  std::copy(table.begin(), table.end(), sigmoid.begin());
  scale_index = read_scale_index(reader);
  entropy_skip = reader.read<std::int32_t>("entropy.skip", {1})[0];
  if (entropy_skip < 0 || entropy_skip > kGaussianTables) fail("'entropy.skip' is outside 0..64");
  reader.read<float>("entropy.scale", {kGaussianTables});  // for information only, but part of the format
  tables = read_tables(reader);
  reader.check_nothing_left();
}

}  // namespace treenet

// The trace of a run: copies of its intermediate tensors, by SPEC name, for tests and studies.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "codec/model.h"

namespace treenet {

struct Trace {
  struct Entry {
    DType dtype;
    std::vector<std::int64_t> shape;
    std::vector<std::uint8_t> data;
  };

  // Copies a dense tensor [height, width, channels] of u8 or s16 from the host's memory.
  void add(const std::string& name, DType dtype, int height, int width, int channels, const void* data) {
    const auto* bytes = static_cast<const std::uint8_t*>(data);
    const std::size_t size = size_of(dtype) * height * width * channels;
    entries[name] = {dtype, {height, width, channels}, std::vector<std::uint8_t>(bytes, bytes + size)};
  }

  std::map<std::string, Entry> entries;
};

}  // namespace treenet

#include "bindings/arrays.h"

#include <pybind11/numpy.h>

#include <cstdint>

namespace py = pybind11;

namespace treenet {

py::dict dict_of(const Trace& trace) {
  const auto array = [](const Trace::Entry& entry) -> py::array {
    switch (entry.dtype) {
      case DType::kU8:
        return py::array_t<std::uint8_t>(entry.shape, entry.data.data());
      default:
        return py::array_t<std::int16_t>(entry.shape, reinterpret_cast<const std::int16_t*>(entry.data.data()));
    }
  };
  py::dict result;
  for (const auto& [name, entry] : trace.entries) result[py::str(name)] = array(entry);
  return result;
}

}  // namespace treenet

// treenet_fast.rans: the entropy coder by itself, one stage in one segment.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "codec/entropy_tables.h"
#include "codec/error.h"
#include "codec/rans.h"
#include "cpu/dispatch.h"

namespace py = pybind11;

namespace treenet {
namespace {

template <typename T>
using Array = py::array_t<T, py::array::c_style>;

template <typename T>
std::span<const T> view(const Array<T>& array) {
  return {array.data(), static_cast<size_t>(array.size())};
}

EntropyTables make_tables(const Array<uint16_t>& frequency, const Array<int32_t>& offset, const Array<int32_t>& count) {
  if (frequency.ndim() != 2 || frequency.shape(1) != kTableStride || offset.ndim() != 1 || count.ndim() != 1) {
    throw Error(
        ErrorCode::kInvalidArgument,
        "entropy tables are frequency [tables, 256], offset [tables] and count [tables]; these have other shapes");
  }
  return EntropyTables(view(offset), view(count), view(frequency));
}

py::bytes encode(const Array<int16_t>& symbols, const Array<uint8_t>& indices, const EntropyTables& tables,
                 const std::string& isa) {
  const StageSymbols stage{view(symbols), view(indices)};
  const CoderLoops& loops = cpu::kernels_for(isa).coder_loops;
  std::vector<uint8_t> segment;
  {
    const py::gil_scoped_release unlocked;
    encode_segment(tables, loops, {&stage, 1}, segment);
  }
  return py::bytes(reinterpret_cast<const char*>(segment.data()), segment.size());
}

Array<int16_t> decode(const py::bytes& data, const Array<uint8_t>& indices, const EntropyTables& tables,
                      const std::string& isa) {
  const std::string_view bytes = data;
  const CoderLoops& loops = cpu::kernels_for(isa).coder_loops;
  Array<int16_t> symbols(std::vector<py::ssize_t>(indices.shape(), indices.shape() + indices.ndim()));
  const std::span<int16_t> decoded(symbols.mutable_data(), static_cast<size_t>(symbols.size()));
  const std::span<const uint8_t> index = view(indices);
  {
    const py::gil_scoped_release unlocked;
    SegmentDecoder decoder(tables, loops, {reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()});
    decoder.decode_stage(index, decoded);
    if (!decoder.finish()) {
      throw Error(ErrorCode::kCorrupt,
                  "the decoded symbols do not match their checksum: the data is damaged, or it was coded with other "
                  "tables or indices; give those that it was coded with, or get it again");
    }
  }
  return symbols;
}

}  // namespace

void bind_rans(py::module_& module) {
  py::class_<EntropyTables>(module, "EntropyTables")
      .def(py::init(&make_tables), py::arg("frequency").noconvert(), py::arg("offset").noconvert(),
           py::arg("count").noconvert())
      .def("__len__", &EntropyTables::size);
  module.def("rans_encode", &encode, py::arg("symbols").noconvert(), py::arg("indices").noconvert(), py::arg("tables"),
             py::arg("isa"));
  module.def("rans_decode", &decode, py::arg("data"), py::arg("indices").noconvert(), py::arg("tables"),
             py::arg("isa"));
}

}  // namespace treenet

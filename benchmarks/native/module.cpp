#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include "cases.h"
#include "peak.h"

namespace py = pybind11;
using namespace treenet::benchmarks;

PYBIND11_MODULE(_kernels, module) {
  module.doc() = "The codec's kernels one by one, for benchmarks.";
  module.def("names", case_names,
             "Convolutions by themselves, then the kernels in the order in which the codec runs them.");
  module.def("peak", peak, py::arg("isa"), "Products a second of a short burst; None for an ISA without a peak.");
  py::class_<Case>(module, "Case", "A kernel on random data of the size that an image gives it, on one thread.")
      .def(py::init<std::string, std::string, int, int>(), py::arg("isa"), py::arg("name"), py::arg("height"),
           py::arg("width"))
      .def("run", &Case::run)
      .def_property_readonly("macs", &Case::macs, "As the paper counts them.")
      .def_property_readonly("products", &Case::products, "What has to be multiplied, in the unit of the peak.")
      .def_property_readonly("count", &Case::count, "How many of it an image has.");
}

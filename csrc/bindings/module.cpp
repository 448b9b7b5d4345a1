#include <pybind11/pybind11.h>

#include "bindings/errors.h"

namespace treenet {

void bind_codec(pybind11::module_& module);
void bind_device(pybind11::module_& module);
void bind_rans(pybind11::module_& module);

}  // namespace treenet

PYBIND11_MODULE(_native, module) {
  module.doc() = "The native codec of treenet_fast. Use the package's own functions.";
  treenet::register_errors();
  treenet::bind_codec(module);
  treenet::bind_device(module);
  treenet::bind_rans(module);
}

// Results of the codec as numpy's arrays.
#pragma once

#include <pybind11/pybind11.h>

#include "codec/trace.h"

namespace treenet {

// Arrays [height, width, channels] by SPEC name.
pybind11::dict dict_of(const Trace& trace);

}  // namespace treenet

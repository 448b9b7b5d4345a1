// Native errors become the Python classes of treenet_fast.errors.
#pragma once

namespace treenet {

void register_errors();

}  // namespace treenet

// Between launches and the runtime that has the streams.
#pragma once

#include <functional>

namespace treenet::cuda::emulation {

// Does it at once, or later, each time that the graph which the stream records is launched.
void submit(void* stream, std::function<void()> work);

}  // namespace treenet::cuda::emulation

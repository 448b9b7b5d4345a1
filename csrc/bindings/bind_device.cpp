// Codecs whose pixels lie in a device's memory, and batches of images that are given by address: the Python API knows
// that the memory is there, and is the backend's.
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "bindings/arrays.h"
#include "codec/codec.h"
#include "codec/error.h"
#if TREENET_HAVE_CUDA
#include "cuda/backend.h"
#endif

namespace py = pybind11;

namespace treenet {
namespace {

// The address of element (0, 0, 0), and the strides in bytes.
struct Place {
  std::uintptr_t address;
  std::ptrdiff_t row, column, channel;

  Strides strides() const { return {row, column, channel}; }
};

// Names of the devices that can be used; and where there is none, why.
std::pair<std::vector<std::string>, std::string> cuda_devices() {
  std::vector<std::string> names;
  std::string why;
#if TREENET_HAVE_CUDA
  const int count = cuda::device_count(why);
  for (int device = 0; device < count; ++device) names.push_back(cuda::device_properties(device).name);
#else
  why = "this build of treenet_fast has no CUDA backend; install it from source where nvcc is found";
#endif
  return {names, why};
}

std::unique_ptr<Codec> on_cuda(const std::shared_ptr<Model>& model, [[maybe_unused]] int device,
                               [[maybe_unused]] int threads) {
#if TREENET_HAVE_CUDA
  return std::make_unique<Codec>(model, std::make_unique<cuda::CudaBackend>(*model, device, threads));
#else
  throw Error(ErrorCode::kBackend, cuda_devices().second);
#endif
}

ImageView view_of(const Place& image, int height, int width) {
  return {reinterpret_cast<const std::uint8_t*>(image.address), height, width, image.strides()};
}

PixelsOut pixels_of(const Place& image, const Header& header) {
  return {reinterpret_cast<std::uint8_t*>(image.address), header.height, header.width, header.grey, image.strides()};
}

ParsedStream parse(const py::bytes& data, std::uint64_t max_pixels) {
  const std::string_view view = data;
  const std::span<const std::uint8_t> bytes{reinterpret_cast<const std::uint8_t*>(view.data()), view.size()};
  return {parse_header(bytes, max_pixels), bytes};
}

void* handle_of(std::uintptr_t stream) { return reinterpret_cast<void*>(stream); }

std::vector<py::bytes> encode_at(const Codec& codec, const std::vector<Place>& images, int height, int width,
                                 int quality, bool grey, std::uintptr_t stream) {
  std::vector<ImageView> views;
  for (const Place& image : images) views.push_back(view_of(image, height, width));
  std::vector<std::vector<std::uint8_t>> streams;
  {
    const py::gil_scoped_release unlocked;
    streams = codec.encode(views, quality, grey, {.stream = handle_of(stream)});
  }
  std::vector<py::bytes> result;
  for (const auto& bytes : streams) result.emplace_back(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  return result;
}

void decode_at(const Codec& codec, const std::vector<py::bytes>& data, const std::vector<Place>& images,
               std::uint64_t max_pixels, std::uintptr_t stream) {
  if (data.size() != images.size()) {
    throw Error(ErrorCode::kInvalidArgument, "there must be as many streams as images to write");
  }
  std::vector<ParsedStream> streams;
  std::vector<PixelsOut> pixels;
  for (std::size_t i = 0; i < data.size(); ++i) {
    streams.push_back(parse(data[i], max_pixels));
    pixels.push_back(pixels_of(images[i], streams[i].header));
  }
  const py::gil_scoped_release unlocked;
  codec.decode(streams, pixels, {.stream = handle_of(stream)});
}

py::dict trace_encode_at(const Codec& codec, const Place& image, int height, int width, int quality,
                         std::uintptr_t stream) {
  Trace trace;
  const ImageView view = view_of(image, height, width);
  {
    const py::gil_scoped_release unlocked;
    codec.encode({&view, 1}, quality, false, {.trace = &trace, .stream = handle_of(stream)});
  }
  return dict_of(trace);
}

py::dict trace_decode_at(const Codec& codec, const py::bytes& data, const Place& image, std::uint64_t max_pixels,
                         std::uintptr_t stream) {
  Trace trace;
  const ParsedStream parsed = parse(data, max_pixels);
  const PixelsOut pixels = pixels_of(image, parsed.header);
  {
    const py::gil_scoped_release unlocked;
    codec.decode({&parsed, 1}, {&pixels, 1}, {.trace = &trace, .stream = handle_of(stream)});
  }
  return dict_of(trace);
}

}  // namespace

void bind_device(py::module_& module) {
  py::class_<Place>(module, "Place",
                    "Where an image lies: address, and strides of rows, columns and channels in bytes.")
      .def(py::init<std::uintptr_t, std::ptrdiff_t, std::ptrdiff_t, std::ptrdiff_t>(), py::arg("address"),
           py::arg("row"), py::arg("column"), py::arg("channel"));
  module.def("cuda_devices", &cuda_devices, "Names of the usable CUDA devices; if there is none, the reason.");
  module.def("codec_on_cuda", &on_cuda, py::arg("model"), py::arg("device"), py::arg("threads"));
  module.def("release", &Codec::release, py::arg("codec"), py::call_guard<py::gil_scoped_release>(),
             "Frees the memory that a codec keeps for calls to come.");
  module.def("encode_at", &encode_at, py::arg("codec"), py::arg("images"), py::arg("height"), py::arg("width"),
             py::arg("quality"), py::arg("grey"), py::arg("stream"),
             "A batch of images of one size to streams. Reads memory of the codec's backend.");
  module.def("decode_at", &decode_at, py::arg("codec"), py::arg("data"), py::arg("images"), py::arg("max_pixels"),
             py::arg("stream"),
             "Streams of one size to pixels (of a grey stream, one channel). Writes memory of the codec's backend.");
  module.def("trace_encode_at", &trace_encode_at, py::arg("codec"), py::arg("image"), py::arg("height"),
             py::arg("width"), py::arg("quality"), py::arg("stream"),
             "The intermediate tensors of an image, by SPEC name.");
  module.def("trace_decode_at", &trace_decode_at, py::arg("codec"), py::arg("data"), py::arg("image"),
             py::arg("max_pixels"), py::arg("stream"),
             "The intermediate tensors of a stream, by SPEC name; writes the pixels, as decode_at does.");
}

}  // namespace treenet

// Model, Codec and info: the native codec for the Python API. Arrays are numpy's; the GIL is released around native
// work.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <cstdio>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "bindings/arrays.h"
#include "codec/codec.h"
#include "codec/error.h"
#include "codec/geometry.h"
#include "cpu/backend.h"
#include "cpu/dispatch.h"

namespace py = pybind11;

namespace treenet {
namespace {

using Image = py::array_t<std::uint8_t, 0>;  // in any strides

constexpr int kMaximumThreads = 1024;
// Images of so many bytes are in memory of the codec's pool: malloc would have the system find and clear as much anew
// for each of them.
constexpr std::size_t kResultFromPool = std::size_t{32} << 20;
constexpr int kAlignedContiguous =
    static_cast<int>(py::array::c_style) | static_cast<int>(py::detail::npy_api::NPY_ARRAY_ALIGNED_);

std::span<const std::uint8_t> bytes_of(const py::bytes& data) {
  const std::string_view view = data;
  return {reinterpret_cast<const std::uint8_t*>(view.data()), view.size()};
}

DType dtype_of(const std::string& name, const py::array& array) {
  const py::dtype dtype = array.dtype();
  if (dtype.equal(py::dtype::of<std::uint8_t>())) return DType::kU8;
  if (dtype.equal(py::dtype::of<std::int8_t>())) return DType::kI8;
  if (dtype.equal(py::dtype::of<std::uint16_t>())) return DType::kU16;
  if (dtype.equal(py::dtype::of<std::int32_t>())) return DType::kI32;
  if (dtype.equal(py::dtype::of<float>())) return DType::kF32;
  throw Error(ErrorCode::kModelFile, "model: tensor '" + name + "' has a type that no model has");
}

std::shared_ptr<const Model> make_model(const py::dict& tensors, const py::bytes& hash) {
  const auto digest = bytes_of(hash);
  std::array<std::uint8_t, 32> content_hash;
  if (digest.size() != content_hash.size()) {
    throw Error(ErrorCode::kInvalidArgument, "the model's hash must have 32 bytes");
  }
  std::copy(digest.begin(), digest.end(), content_hash.begin());
  TensorMap views;
  std::vector<py::array> kept;  // contiguous copies where the caller's are not
  for (const auto& [key, value] : tensors) {
    const std::string name = py::cast<std::string>(key);
    kept.push_back(py::array::ensure(value, kAlignedContiguous));
    const py::array& array = kept.back();
    if (!array) throw Error(ErrorCode::kModelFile, "model: '" + name + "' is not an array");
    views[name] = {dtype_of(name, array), {array.shape(), array.shape() + array.ndim()}, array.data()};
  }
  return std::make_shared<const Model>(views, content_hash);
}

std::unique_ptr<Codec> make_codec(const std::shared_ptr<const Model>& model, const std::string& isa, int threads) {
  if (threads < 1 || threads > kMaximumThreads) {
    throw Error(ErrorCode::kInvalidArgument, "threads is " + std::to_string(threads) + "; it must be 1 to 1024");
  }
  return std::make_unique<Codec>(model, std::make_unique<cpu::CpuBackend>(*model, isa, threads));
}

ImageView view_of(const Image& image) {
  if (image.ndim() != 3 || image.shape(2) != 3) {
    throw Error(ErrorCode::kInvalidArgument, "the image must be a uint8 array [height, width, 3]");
  }
  for (int side = 0; side < 2; ++side) {
    if (image.shape(side) < 1 || image.shape(side) > kMaximumSide) {
      throw Error(ErrorCode::kTooLarge, "the image is " + std::to_string(image.shape(1)) + " x " +
                                            std::to_string(image.shape(0)) + "; the format has sides of 1 to 65535");
    }
  }
  return {image.data(),
          static_cast<int>(image.shape(0)),
          static_cast<int>(image.shape(1)),
          {image.strides(0), image.strides(1), image.strides(2)}};
}

// Arrays lie in the host's memory, which no other backend's kernels can use.
cpu::CpuBackend& host_backend(const Codec& codec) {
  auto* const backend = dynamic_cast<cpu::CpuBackend*>(&codec.backend());
  if (backend == nullptr) {
    throw Error(ErrorCode::kInvalidArgument,
                std::string("a codec of the backend '") + codec.backend().name() +
                    "' takes no arrays: give it the addresses of its device's memory (encode_at, decode_at)");
  }
  return *backend;
}

// A batch of one.
std::vector<std::uint8_t> encode_one(const Codec& codec, const Image& image, int quality, bool grey, const Call& call) {
  host_backend(codec);
  const ImageView view = view_of(image);
  const py::gil_scoped_release unlocked;
  return std::move(codec.encode({&view, 1}, quality, grey, call)[0]);
}

// The pixels of a stream: [height, width, 3], or [height, width] of its grey image; `planar` ones [3 or 1, height,
// width].
Image decode_one(const Codec& codec, const ParsedStream& stream, bool grey, bool planar, const Call& call) {
  cpu::CpuBackend& backend = host_backend(codec);
  const Header& header = stream.header;
  std::vector<py::ssize_t> shape{header.height, header.width};
  if (planar) {
    shape.insert(shape.begin(), grey ? 1 : 3);
  } else if (!grey) {
    shape.push_back(3);
  }
  PixelsOut out = PixelsOut::dense(nullptr, header.height, header.width, grey);
  if (planar) out.strides = {header.width, 1, static_cast<std::ptrdiff_t>(header.height) * header.width};
  Image pixels;
  if (out.values() < kResultFromPool) {
    pixels = Image(shape);
  } else {
    auto lease = std::make_unique<BufferPool::Lease>(backend.take_result(out.values()));
    const py::capsule owner(lease.get(), [](void* memory) { delete static_cast<BufferPool::Lease*>(memory); });
    out.lease = lease.release();
    pixels = Image(shape, out.lease->as<std::uint8_t>(), owner);
  }
  out.data = pixels.mutable_data();
  {
    const py::gil_scoped_release unlocked;
    codec.decode({&stream, 1}, {&out, 1}, call);
  }
  return pixels;
}

ParsedStream parse(const py::bytes& data, std::uint64_t max_pixels) {
  const auto stream = bytes_of(data);
  return {parse_header(stream, max_pixels), stream};
}

py::bytes encode(const Codec& codec, const Image& image, int quality, bool grey) {
  const auto stream = encode_one(codec, image, quality, grey, {});
  return py::bytes(reinterpret_cast<const char*>(stream.data()), stream.size());
}

Image decode(const Codec& codec, const py::bytes& data, std::uint64_t max_pixels, bool planar) {
  const ParsedStream stream = parse(data, max_pixels);
  return decode_one(codec, stream, stream.header.grey, planar, {});
}

py::dict trace_encode(const Codec& codec, const Image& image, int quality) {
  Trace trace;
  encode_one(codec, image, quality, false, {.trace = &trace});
  return dict_of(trace);
}

py::dict trace_decode(const Codec& codec, const py::bytes& data, std::uint64_t max_pixels) {
  Trace trace;
  const Image pixels = decode_one(codec, parse(data, max_pixels), false, false, {.trace = &trace});
  py::dict result = dict_of(trace);
  result["pixels"] = pixels;
  return result;
}

py::dict info(const py::bytes& data, std::uint64_t max_pixels) {
  const auto stream = bytes_of(data);
  const Header header = parse_header(stream, max_pixels);
  std::string id;
  for (const std::uint8_t byte : header.model_id) {
    char text[3];
    std::snprintf(text, sizeof(text), "%02x", byte);
    id += text;
  }
  py::dict result;
  result["version"] = static_cast<int>(kStreamVersion);
  result["width"] = header.width;
  result["height"] = header.height;
  result["quality"] = header.quality;
  result["grey"] = header.grey;
  result["model_id"] = id;
  result["bytes"] = stream.size();
  result["header_bytes"] = header.header_size;
  result["segments"] = Geometry(header.height, header.width).segments.size();
  return result;
}

}  // namespace

void bind_codec(py::module_& module) {
  module.def("cpu_isas", &cpu::usable_isas, "Instruction-set paths that run here, slowest first.");
  module.def("cpu_fastest_isa", &cpu::fastest_isa, "The last of them that the system lets this process use.");
  module.def("info", &info, py::arg("data"), py::arg("max_pixels"), "The header of a stream, checked.");
  py::class_<Model, std::shared_ptr<Model>>(module, "Model", "A checked integer model (SPEC §9).")
      .def(py::init([](const py::dict& tensors, const py::bytes& hash) {
             return std::const_pointer_cast<Model>(make_model(tensors, hash));
           }),
           py::arg("tensors"), py::arg("hash"));
  py::class_<Codec>(module, "Codec", "A codec on one instruction set; safe for many threads.")
      .def(py::init([](const std::shared_ptr<Model>& model, const std::string& isa, int threads) {
             return make_codec(model, isa, threads);
           }),
           py::arg("model"), py::arg("isa"), py::arg("threads"))
      .def_property_readonly("isa", [](const Codec& codec) { return codec.backend().name(); })
      .def_property_readonly("threads", &Codec::threads)
      .def("encode", &encode, py::arg("image"), py::arg("quality"), py::arg("grey"))
      .def("decode", &decode, py::arg("data"), py::arg("max_pixels"), py::arg("planar") = false)
      .def("trace_encode", &trace_encode, py::arg("image"), py::arg("quality"))
      .def("trace_decode", &trace_decode, py::arg("data"), py::arg("max_pixels"));
}

}  // namespace treenet

#include "bindings/errors.h"

#include <pybind11/pybind11.h>

#include "codec/error.h"

namespace py = pybind11;

namespace treenet {
namespace {

// The class of treenet_fast.errors that means the same.
const char* class_of(ErrorCode code) {
  switch (code) {
    case ErrorCode::kEmptyStream:
      return "EmptyStreamError";
    case ErrorCode::kNotATreeNetStream:
      return "NotATreeNetStreamError";
    case ErrorCode::kNewerVersion:
      return "NewerVersionError";
    case ErrorCode::kTruncated:
      return "TruncatedStreamError";
    case ErrorCode::kCorrupt:
      return "CorruptStreamError";
    case ErrorCode::kTooLarge:
      return "ImageTooLargeError";
    case ErrorCode::kWrongModel:
      return "WrongModelError";
    case ErrorCode::kModelFile:
      return "ModelFileError";
    case ErrorCode::kInvalidArgument:
      return "InvalidArgumentError";
    case ErrorCode::kBackend:
      return "BackendError";
    case ErrorCode::kDeviceMemory:
      return "DeviceMemoryError";
  }
  return "TreeNetError";
}

}  // namespace

void register_errors() {
  py::register_exception_translator([](std::exception_ptr pointer) {
    try {
      if (pointer) std::rethrow_exception(pointer);
    } catch (const Error& error) {
      const py::object type = py::module_::import("treenet_fast.errors").attr(class_of(error.code));
      py::set_error(type, error.what());
    }
  });
}

}  // namespace treenet

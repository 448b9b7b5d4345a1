// Every failure of the native library that a user can meet is one exception type with a code; the bindings turn the
// code into the Python class of the same meaning. Messages say what was wrong and what to do about it.
#pragma once

#include <stdexcept>
#include <string>

namespace treenet {

enum class ErrorCode {
  kEmptyStream,        // no bytes at all
  kNotATreeNetStream,  // the magic is missing
  kNewerVersion,       // a version that this library does not know yet
  kTruncated,          // bytes are missing at the end
  kCorrupt,            // checksums, trailing bytes, fields out of range, failed checks of the entropy coder
  kTooLarge,           // beyond a limit that was set or that the format has
  kWrongModel,         // made with another model
  kModelFile,          // the model file breaks a rule of SPEC §9
  kInvalidArgument,    // the caller's mistake
  kBackend,            // an instruction set or a device that is unknown, that this machine lacks, or that fails
  kDeviceMemory,       // a device has too little memory left
};

class Error : public std::runtime_error {
 public:
  Error(ErrorCode code, const std::string& message) : std::runtime_error(message), code(code) {}

  const ErrorCode code;
};

}  // namespace treenet

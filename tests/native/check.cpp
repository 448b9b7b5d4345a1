#include "check.h"

#include <exception>
#include <iostream>

namespace treenet::testing {

std::vector<Test>& registry() {
  static std::vector<Test> tests;
  return tests;
}

void check_error(const char* file, int line, const std::function<void()>& call, ErrorCode code,
                 const std::string& part) {
  try {
    call();
  } catch (const Error& error) {
    if (error.code != code) {
      throw Failure(file, line,
                    "error code " + std::to_string(static_cast<int>(error.code)) + ", not " +
                        std::to_string(static_cast<int>(code)) + ", in: " + error.what());
    }
    if (std::string(error.what()).find(part) == std::string::npos) {
      throw Failure(file, line, "\"" + part + "\" is not in: " + error.what());
    }
    return;
  }
  throw Failure(file, line, "no error where there should be: " + part);
}

}  // namespace treenet::testing

int main() {
  int failed = 0;
  for (const auto& test : treenet::testing::registry()) {
    try {
      test.run();
      std::cout << "passed: " << test.name << std::endl;
    } catch (const std::exception& error) {
      ++failed;
      std::cout << "FAILED: " << test.name << "\n  " << error.what() << std::endl;
    }
  }
  if (treenet::testing::registry().empty()) {
    std::cout << "FAILED: no tests in this executable" << std::endl;
    return 1;
  }
  return failed == 0 ? 0 : 1;
}

// As much of a test framework as these tests need, so that they build with a compiler and nothing else.
//
// TEST("what holds") { ... } registers a test. Inside, CHECK and its kin throw at the first failure, which ends that
// test; the executable reports every failed test and exits with 1 if there was one.
#pragma once

#include <concepts>
#include <functional>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "codec/error.h"

namespace treenet::testing {

struct Test {
  const char* name;
  void (*run)();
};

std::vector<Test>& registry();

struct Registration {
  Registration(const char* name, void (*run)()) { registry().push_back({name, run}); }
};

class Failure : public std::runtime_error {
 public:
  Failure(const char* file, int line, const std::string& what)
      : std::runtime_error(std::string(file) + ":" + std::to_string(line) + ": " + what) {}
};

template <typename T>
std::string show(const T& value) {
  std::ostringstream text;
  if constexpr (std::integral<T>) {
    text << +value;
  } else if constexpr (requires { value.begin(); } && !std::convertible_to<T, std::string>) {
    text << "[" << value.size() << "]:";
    for (const auto& element : value) text << ' ' << show(element);
  } else {
    text << value;
  }
  return text.str();
}

template <typename A, typename B>
void check_equal(const char* file, int line, const char* expression, const A& actual, const B& expected) {
  if (actual == expected) return;
  throw Failure(file, line, std::string(expression) + " is " + show(actual) + ", not " + show(expected));
}

// `call` has to throw Error with this code and a message that holds `part`.
void check_error(const char* file, int line, const std::function<void()>& call, ErrorCode code,
                 const std::string& part);

}  // namespace treenet::testing

#define TREENET_JOIN_(a, b) a##b
#define TREENET_JOIN(a, b) TREENET_JOIN_(a, b)
#define TEST(name)                                                                                                    \
  static void TREENET_JOIN(test_, __LINE__)();                                                                        \
  static const ::treenet::testing::Registration TREENET_JOIN(registration_, __LINE__)(name,                           \
                                                                                      TREENET_JOIN(test_, __LINE__)); \
  static void TREENET_JOIN(test_, __LINE__)()

#define CHECK(condition)                                                                             \
  do {                                                                                               \
    if (!(condition)) throw ::treenet::testing::Failure(__FILE__, __LINE__, #condition " is false"); \
  } while (false)
#define CHECK_EQUAL(actual, expected) ::treenet::testing::check_equal(__FILE__, __LINE__, #actual, actual, expected)
#define CHECK_ERROR(expression, code, part) \
  ::treenet::testing::check_error(__FILE__, __LINE__, [&] { (void)(expression); }, code, part)

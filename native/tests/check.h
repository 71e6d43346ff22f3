// Tests without a framework: TEST defines one, CHECK reports what does not hold and goes on.
#pragma once

#include <cstdint>
#include <cstdio>
#include <sstream>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace check {

struct Test {
  const char* file;
  const char* name;
  void (*run)();
};

inline std::vector<Test>& tests() {
  static std::vector<Test> all;
  return all;
}

inline bool add(const char* file, const char* name, void (*run)()) {
  tests().push_back({file, name, run});
  return true;
}

inline int failures = 0;

inline void fail(const char* file, int line, const std::string& what) {
  ++failures;
  if (failures <= 50) std::fprintf(stderr, "%s:%d: %s\n", file, line, what.c_str());
}

template <typename A, typename B>
void equal(const char* file, int line, const char* text, const A& a, const B& b) {
  std::ostringstream out;
  if constexpr (std::is_integral_v<A>) {
    if (std::cmp_equal(a, b)) return;
    out << text << ": " << +a << " is not " << +b;
  } else {
    if (a == b) return;
    out << text << ": \"" << a << "\" is not \"" << b << "\"";
  }
  fail(file, line, out.str());
}

// The text of the exception that `action` throws; "" when it throws none.
template <typename Action>
std::string thrown(Action&& action) {
  try {
    action();
  } catch (const std::exception& error) {
    return error.what();
  }
  return "";
}

}  // namespace check

#define TEST(NAME)                                                                     \
  static void NAME();                                                                  \
  [[maybe_unused]] static const bool NAME##_added = check::add(__FILE__, #NAME, NAME); \
  static void NAME()
#define CHECK(CONDITION) \
  ((CONDITION) ? void() : check::fail(__FILE__, __LINE__, "not true: " #CONDITION))
#define CHECK_EQUAL(A, B) check::equal(__FILE__, __LINE__, #A, A, B)

// Runs every test; the exit status is 0 when all hold.
#include <cstdio>
#include <exception>

#include "check.h"

int main() {
  for (const check::Test& test : check::tests()) {
    const int before = check::failures;
    try {
      test.run();
    } catch (const std::exception& error) {
      check::fail(test.name, 0, std::string("threw: ") + error.what());
    }
    std::printf("%s %s\n", check::failures == before ? "ok    " : "FAILED", test.name);
  }
  if (check::failures > 0) std::printf("%d checks failed\n", check::failures);
  return check::failures == 0 ? 0 : 1;
}

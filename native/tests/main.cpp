// Runs every test, or those whose names hold the argument; the exit status is 0 when all hold.
#include <cstdio>
#include <exception>
#include <string>

#include "check.h"

int main(int argc, char** argv) {
  int run = 0;
  const std::string wanted = argc > 1 ? argv[1] : "";
  for (const check::Test& test : check::tests()) {
    if (std::string(test.name).find(wanted) == std::string::npos) continue;
    ++run;
    const int before = check::failures;
    try {
      test.run();
    } catch (const std::exception& error) {
      check::fail(test.name, 0, std::string("threw: ") + error.what());
    }
    std::printf("%s %s\n", check::failures == before ? "ok    " : "FAILED", test.name);
  }
  std::printf("%d tests, %d checks failed\n", run, check::failures);
  return check::failures == 0 ? 0 : 1;
}

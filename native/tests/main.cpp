// Runs every test, or those whose names or files' names hold one of the arguments; the exit status
// is 0 when all hold.
#include <cstdio>
#include <exception>
#include <filesystem>
#include <string>

#include "check.h"

namespace {

bool wanted(const check::Test& test, int argc, char** argv) {
  const std::string name = std::filesystem::path(test.file).filename().string() + ' ' + test.name;
  for (int i = 1; i < argc; ++i) {
    if (name.find(argv[i]) != std::string::npos) return true;
  }
  return argc == 1;
}

}  // namespace

int main(int argc, char** argv) {
  int run = 0;
  for (const check::Test& test : check::tests()) {
    if (!wanted(test, argc, argv)) continue;
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

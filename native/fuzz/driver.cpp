// main() for compilers without libFuzzer: damages the target's seeds at random, the same way for
// the same seed, and understands libFuzzer's most used options.
//
//     fuzz_images -runs=10000 -seed=1     so many inputs
//     fuzz_images -max_total_time=600     for so many seconds
//     fuzz_images crash-0123456789abcdef  these files, once each
//
// An input that ends the process, or takes longer than -timeout=60 seconds, is written to a file.
#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <fstream>
#include <iterator>
#include <string>

#include "fuzz/fuzz.h"

#if defined(__unix__) || defined(__APPLE__)
#include <unistd.h>
#define FUZZ_ALARM(SECONDS) alarm(SECONDS)
#else
#define FUZZ_ALARM(SECONDS) static_cast<void>(SECONDS)
#endif

// The sanitizers end in a signal, so that one place writes the input down.
#define FUZZ_OPTIONS "abort_on_error=1:handle_abort=0:print_stacktrace=1"
extern "C" const char* __asan_default_options() { return FUZZ_OPTIONS; }
extern "C" const char* __tsan_default_options() { return FUZZ_OPTIONS ":halt_on_error=1"; }
extern "C" const char* __ubsan_default_options() { return FUZZ_OPTIONS; }

namespace {

using fuzz::Bytes;

Bytes current;  // what the target is being given
const char* program = "";

std::string name_of(const Bytes& bytes) {
  uint64_t hash = 0xCBF29CE484222325ULL;
  for (const uint8_t byte : bytes) hash = (hash ^ byte) * 0x100000001B3ULL;
  char name[32];
  std::snprintf(name, sizeof(name), "crash-%016llx", static_cast<unsigned long long>(hash));
  return name;
}

// Not what a signal handler may do by the book, but the process is at its end anyway.
void write_down(int signal) {
  std::signal(signal, SIG_DFL);
  const std::string name = name_of(current);
  std::ofstream(name, std::ios::binary)
      .write(reinterpret_cast<const char*>(current.data()),
             static_cast<std::streamsize>(current.size()));
  std::fprintf(stderr, "\n%s by an input of %zu bytes:", signal == SIGABRT ? "Ended" : "Stopped",
               current.size());
  for (size_t i = 0; i < current.size() && i < 256; ++i) std::fprintf(stderr, " %02x", current[i]);
  std::fprintf(stderr, "%s\nIt is in %s. To run it again: %s %s\n",
               current.size() > 256 ? " ..." : "", name.c_str(), program, name.c_str());
#ifdef SIGALRM
  if (signal == SIGALRM) std::fprintf(stderr, "It took longer than -timeout allows.\n");
#endif
  std::raise(signal);
}

class Mutator {
 public:
  Mutator(std::vector<Bytes> seeds, uint64_t seed) : seeds_(std::move(seeds)), random_(seed) {
    if (seeds_.empty()) seeds_.emplace_back();
  }

  Bytes next() {
    Bytes bytes = any_seed();
    for (size_t changes = below(8); changes > 0; --changes) change(bytes);
    if (bytes.size() > fuzz::kMaxBytes) bytes.resize(fuzz::kMaxBytes);
    return bytes;
  }

 private:
  const Bytes& any_seed() { return seeds_[below(seeds_.size())]; }
  size_t below(size_t n) { return static_cast<size_t>(random_() % n); }
  uint8_t byte() {
    constexpr uint8_t kTelling[] = {0, 1, 0x7F, 0x80, 0xFE, 0xFF};
    return below(3) == 0 ? kTelling[below(std::size(kTelling))] : static_cast<uint8_t>(random_());
  }
  // Half of the time near the beginning: that is where headers are.
  size_t place(const Bytes& bytes) {
    const size_t range = below(2) == 0 ? bytes.size() : size_t{1} << below(10);
    return below(std::min(range, bytes.size()));
  }

  void change(Bytes& bytes) {
    const auto at = [&bytes](size_t i) { return bytes.begin() + static_cast<ptrdiff_t>(i); };
    if (bytes.empty() || below(8) == 0) {
      for (size_t n = 1 + below(64); n > 0; --n) bytes.push_back(byte());
      return;
    }
    const size_t i = place(bytes);
    const size_t n = 1 + below(std::min<size_t>(bytes.size() - i, 16));
    switch (below(8)) {
      case 0: bytes[i] ^= static_cast<uint8_t>(1U << below(8)); break;
      case 1:
      case 2: bytes[i] = byte(); break;
      case 3: std::fill_n(at(i), n, byte()); break;
      case 4: bytes.insert(at(i), n, byte()); break;
      case 5: bytes.erase(at(i), at(i + n)); break;
      case 6:
        if (below(8) == 0) bytes.resize(i);
        break;
      default: {  // the end, or the same place, of another
        const Bytes& other = any_seed();
        if (other.size() <= i) break;
        if (below(2) == 0) bytes.resize(i + 1);
        const size_t length = 1 + below(other.size() - i);
        if (bytes.size() < i + length) bytes.resize(i + length);
        std::copy_n(other.begin() + static_cast<ptrdiff_t>(i), length, at(i));
      }
    }
  }

  std::vector<Bytes> seeds_;
  std::mt19937_64 random_;
};

struct Options {
  uint64_t runs = 10000, seed = 1, seconds = 0, timeout = 60;
  std::vector<std::string> files;
};

Options parse(int argc, char** argv) {
  Options options;
  bool runs_given = false;
  for (int i = 1; i < argc; ++i) {
    const std::string arg = argv[i];
    const auto is = [&](const char* name, uint64_t& value) {
      if (arg.rfind(name, 0) != 0) return false;
      value = std::strtoull(arg.c_str() + std::strlen(name), nullptr, 10);
      return true;
    };
    if (is("-runs=", options.runs)) {
      runs_given = true;
    } else if (!is("-seed=", options.seed) && !is("-max_total_time=", options.seconds) &&
               !is("-timeout=", options.timeout)) {
      if (arg.rfind("-", 0) == 0) {
        std::fprintf(stderr, "%s: no such option: %s\n", argv[0], arg.c_str());
        std::exit(2);
      }
      options.files.push_back(arg);
    }
  }
  if (options.seconds > 0 && !runs_given) options.runs = UINT64_MAX;
  return options;
}

void run(Bytes bytes, uint64_t timeout) {
  current = std::move(bytes);
  FUZZ_ALARM(static_cast<unsigned>(timeout));
  // A copy of exactly that size: reading past its end is seen.
  const Bytes given(current.begin(), current.end());
  LLVMFuzzerTestOneInput(given.data(), given.size());
}

}  // namespace

int main(int argc, char** argv) {
  program = argv[0];
  const Options options = parse(argc, argv);
  for (const int signal : {SIGABRT, SIGSEGV, SIGFPE, SIGILL}) std::signal(signal, write_down);
#ifdef SIGALRM
  std::signal(SIGALRM, write_down);
#endif
  for (const std::string& name : options.files) {
    std::ifstream file(name, std::ios::binary);
    if (!file) {
      std::fprintf(stderr, "%s: cannot read %s\n", argv[0], name.c_str());
      return 2;
    }
    const std::vector<char> bytes(std::istreambuf_iterator<char>(file), {});
    run(Bytes(bytes.begin(), bytes.end()), options.timeout);
    std::printf("ran %s\n", name.c_str());
  }
  if (!options.files.empty()) return 0;

  using Clock = std::chrono::steady_clock;
  const auto begin = Clock::now();
  const auto seconds = [begin] {
    return std::chrono::duration_cast<std::chrono::seconds>(Clock::now() - begin).count();
  };
  const std::vector<Bytes> seeds = fuzz::seeds();
  uint64_t done = 0;
  for (; done < seeds.size() && done < options.runs; ++done) run(seeds[done], options.timeout);
  Mutator mutator(seeds, options.seed);
  for (; done < options.runs; ++done) {
    if (options.seconds > 0 && static_cast<uint64_t>(seconds()) >= options.seconds) break;
    run(mutator.next(), options.timeout);
  }
  std::printf("%llu inputs in %lld s, seed %llu\n", static_cast<unsigned long long>(done),
              static_cast<long long>(seconds()), static_cast<unsigned long long>(options.seed));
  return 0;
}

#include "batch/workers.h"

#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

#include "check.h"

using warpzone::batch::Workers;

TEST(every_item_is_run_once_in_every_round) {
  for (int threads = 1; threads <= 4; ++threads) {
    const std::vector<int> sizes = {7, 1, 12};
    std::vector<std::vector<int>> counts = {std::vector<int>(7), std::vector<int>(1),
                                            std::vector<int>(12)};
    // Items are not shared, so plain integers do; a sanitizer sees when that is not so.
    Workers workers(threads, sizes, [&](int job, int item) {
      ++counts[static_cast<size_t>(job)][static_cast<size_t>(item)];
    });
    constexpr int kRounds = 1500;
    for (int round = 0; round < kRounds; ++round) {
      for (int job = 0; job < 3; ++job) workers.start((job + round) % 3);
      for (int job = 0; job < 3; ++job) workers.wait((job * 2 + round) % 3);
      for (const auto& job : counts) {
        for (const int count : job) CHECK_EQUAL(count, round + 1);
      }
    }
  }
}

TEST(a_job_may_have_another_size_each_round) {
  for (int threads = 1; threads <= 4; ++threads) {
    std::vector<int> counts(40);
    Workers workers(threads, {1}, [&](int, int item) { ++counts[static_cast<size_t>(item)]; });
    std::vector<int> expected(40);
    for (int round = 0; round < 3000; ++round) {
      const int size = 1 + (round * 7) % 40;
      workers.start(0, size);
      workers.wait(0);
      for (int item = 0; item < size; ++item) ++expected[static_cast<size_t>(item)];
      CHECK(counts == expected);
    }
  }
}

TEST(what_the_caller_wrote_is_seen_and_results_come_back) {
  std::vector<int> in(50), out(50);
  Workers workers(4, {50}, [&](int, int item) {
    out[static_cast<size_t>(item)] = 3 * in[static_cast<size_t>(item)];
  });
  for (int round = 0; round < 500; ++round) {
    for (size_t i = 0; i < in.size(); ++i) in[i] = round + static_cast<int>(i);
    workers.start(0);
    workers.wait(0);
    for (size_t i = 0; i < in.size(); ++i) CHECK_EQUAL(out[i], 3 * in[i]);
  }
}

TEST(one_job_can_be_waited_for_while_another_runs) {
  for (int threads = 1; threads <= 3; ++threads) {
    std::atomic<bool> release{false};
    Workers workers(threads, {1, 4}, [&](int job, int) {
      while (job == 0 && !release.load()) std::this_thread::yield();
    });
    if (threads > 1) workers.start(0);  // alone, the caller itself would run it
    for (int round = 0; round < 100; ++round) {
      workers.start(1);
      workers.wait(1);
    }
    release.store(true);
    if (threads > 1) workers.wait(0);
  }
}

TEST(an_exception_reaches_who_waits_and_the_next_round_is_clean) {
  for (int threads = 1; threads <= 4; ++threads) {
    std::atomic<int> run{0};
    std::atomic<bool> broken{true};
    Workers workers(threads, {9}, [&](int, int item) {
      ++run;
      if (broken && item % 4 == 3) throw std::runtime_error("item " + std::to_string(item % 4));
    });
    for (int round = 0; round < 200; ++round) {
      broken = true;
      run = 0;
      workers.start(0);
      CHECK_EQUAL(check::thrown([&] { workers.wait(0); }), "item 3");
      CHECK_EQUAL(run.load(), 9);
      broken = false;
      workers.start(0);
      CHECK_EQUAL(check::thrown([&] { workers.wait(0); }), "");
    }
  }
}

TEST(workers_can_be_dropped_at_any_moment) {
  std::atomic<int> run{0};
  for (int round = 0; round < 300; ++round) {
    Workers workers(1 + round % 4, {6, 6}, [&](int, int) { ++run; });
    if (round % 3 != 0) workers.start(0);
    if (round % 5 != 0) workers.start(1);
    if (round % 2 != 0) workers.wait(round % 3 != 0 ? 0 : 1);
  }
  CHECK(run.load() > 0);
}

TEST(waiting_for_what_was_not_started_returns_at_once) {
  Workers workers(2, {3}, [](int, int) {});
  workers.wait(0);
}

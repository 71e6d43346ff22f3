// How far an episode has come, and where that counts.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <vector>

namespace warpzone::smb {

// Where a known way through a level leads, as 32 px wide columns of areas: elsewhere nothing counts
// as progress, so that a warp zone or the stretch behind the right pipe of a maze does not attract.
// In areas where the game turns back who comes along the wrong one of several floors, the floor on
// which Mario stands, or stood last, must be one of the way's.
class ProgressMask {
 public:
  void add_maze(uint16_t area) {
    if (!maze(area)) mazes_.push_back(area);
  }

  // What lies beside a column counts as well.
  void add(uint16_t area, int32_t x, int32_t y, bool on_ground) {
    const int32_t column = x / kColumn, row = y / kRow;
    for (int32_t c = std::max(column - 1, 0); c <= column + 1; ++c)
      insert(columns_, key(area, c, 0));
    if (!on_ground || !maze(area)) return;
    for (int32_t c = std::max(column - 1, 0); c <= column + 1; ++c) {
      insert(floored_, key(area, c, 0));
      for (int32_t r = std::max(row - 1, 0); r <= row + 1; ++r) insert(floors_, key(area, c, r));
    }
  }

  bool empty() const { return columns_.empty(); }

  bool leads_past(uint16_t area, int32_t x) const {
    return has(columns_, key(area, x / kColumn, 0));
  }

  // Whether who stands here is on another floor than the way.
  bool wrong_floor(uint16_t area, int32_t x, int32_t y) const {
    return maze(area) && has(floored_, key(area, x / kColumn, 0)) &&
           !has(floors_, key(area, x / kColumn, y / kRow));
  }

 private:
  using Cells = std::vector<uint64_t>;  // rising
  static constexpr int32_t kColumn = 32, kRow = 16;

  static uint64_t key(uint16_t area, int32_t column, int32_t row) {
    return static_cast<uint64_t>(area) << 32 | static_cast<uint64_t>(column) << 16 |
           static_cast<uint64_t>(row);
  }
  static void insert(Cells& cells, uint64_t cell) {
    const auto at = std::lower_bound(cells.begin(), cells.end(), cell);
    if (at == cells.end() || *at != cell) cells.insert(at, cell);
  }
  static bool has(const Cells& cells, uint64_t cell) {
    return std::binary_search(cells.begin(), cells.end(), cell);
  }
  bool maze(uint16_t area) const {
    return std::find(mazes_.begin(), mazes_.end(), area) != mazes_.end();
  }

  Cells columns_, floored_, floors_;
  std::vector<uint16_t> mazes_;
};

// New-best x in each area that the episode has seen, so that a pipe or a maze is not misread.
struct Progress {
  static constexpr size_t kAreas = 8;
  std::array<int32_t, kAreas> best;
  std::array<uint16_t, kAreas> area;
  int32_t total;
  int32_t areas;

  void start(uint16_t id, int32_t x) {
    std::memset(this, 0, sizeof(*this));
    area[0] = id;
    best[0] = x;
    areas = 1;
  }

  // What must hold for `visit`: no index outside its array, no sum that overflows.
  bool plausible() const {
    constexpr int32_t kMostPosition = 0xFFFF, kMostCount = 1 << 30;
    return areas >= 0 && areas <= static_cast<int32_t>(kAreas) && total >= 0 &&
           total <= kMostCount &&
           std::ranges::all_of(best, [](int32_t x) { return x >= 0 && x <= kMostPosition; });
  }

  // Returns the px gained by being at `x`. A maze that turns Mario back from its first screens puts
  // him left of 0 for a moment, which the game counts below 65,536.
  int32_t visit(uint16_t id, int32_t x) {
    if (x >= 0x8000) return 0;
    auto count = static_cast<size_t>(areas);
    size_t i = 0;
    while (i < count && area[i] != id) ++i;
    if (i == count) {
      if (count == kAreas) return 0;
      area[i] = id;
      best[i] = x;
      ++areas;
    }
    const int32_t gain = std::max(x - best[i], 0);
    best[i] += gain;
    total += gain;
    return gain;
  }
};

}  // namespace warpzone::smb

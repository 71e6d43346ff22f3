// Products of matrices, in the middle of learn/kernels_body.h: by blocks of rows and columns whose
// sums stay in registers, from packed panels.

#if defined(WARPZONE_BFLOAT16)
using Number = uint16_t;
constexpr size_t kDepth = 256;  // of a product at a time: rows on its left are rounded for it

// To the nearest, to even where two are as near; what is not a number stays so.
inline uint32_t rounded(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof(bits));
  const uint32_t nearest = (bits + 0x7FFFU + ((bits >> 16) & 1U)) >> 16;
  return value == value ? nearest : 0x7FC0U;
}
#else
using Number = float;
constexpr size_t kDepth = 128;  // of a product at a time: so much of a panel stays in a cache
#endif

void pack_rows(size_t n, size_t depth, size_t begin, size_t end, const float* rows, size_t stride,
               void* packed) {
  const size_t padded = (depth + 1) / 2 * 2;
  for (size_t first = 0; first < n; first += kPanel) {
    const size_t width = panel_width(n, first), valid = n - first < width ? n - first : width;
    Number* const panel = static_cast<Number*>(packed) + first * padded;
    const float* row = rows + first;
#if defined(WARPZONE_BFLOAT16)
    for (size_t k = begin; k < end; k += 2, row += 2 * stride) {
      uint32_t pairs[kPanel] = {};
      if (k + 1 < end) {
        for (size_t j = 0; j < valid; ++j)
          pairs[j] = rounded(row[j]) | rounded(row[stride + j]) << 16;
      } else {
        for (size_t j = 0; j < valid; ++j) pairs[j] = rounded(row[j]);
      }
      memcpy(panel + k * width, pairs, width * sizeof(uint32_t));
    }
#else
    for (size_t k = begin; k < end; ++k, row += stride) {
      float* const to = panel + k * width;
      for (size_t j = 0; j < valid; ++j) to[j] = row[j];
      for (size_t j = valid; j < width; ++j) to[j] = 0;
    }
#endif
  }
}

void pack_columns(size_t n, size_t depth, size_t begin, size_t end, const float* columns,
                  size_t stride, void* packed) {
  const size_t padded = (depth + 1) / 2 * 2;
  for (size_t j = begin; j < end; ++j, columns += stride) {
    const size_t first = j / kPanel * kPanel, width = panel_width(n, first);
    Number* const panel = static_cast<Number*>(packed) + first * padded;
    for (size_t k = 0; k < depth; ++k) {
#if defined(WARPZONE_BFLOAT16)
      panel[(k & ~size_t{1}) * width + 2 * (j - first) + (k & 1)] =
          static_cast<Number>(rounded(columns[k]));
#else
      panel[k * width + (j - first)] = columns[k];
#endif
    }
  }
}

// Some rows times some columns of a panel, which is so wide, over `depth` of its rows, beginning
// from `start`, whose rows lie `start_row` apart; nullptr: from 0.
template <int kRows, int kVectors>
void product_block(size_t depth, const float* a, size_t a_row, size_t a_column, const Number* b,
                   size_t width, const float* start, size_t start_row, float* c, size_t c_row) {
  Vector sums[kRows][kVectors];
  WARPZONE_UNROLL for (int i = 0; i < kRows; ++i) {
    WARPZONE_UNROLL for (int v = 0; v < kVectors; ++v) {
      sums[i][v] =
          start == nullptr
              ? Vector{}
              : load(start + static_cast<size_t>(i) * start_row + static_cast<size_t>(v) * kLanes);
    }
  }
#if defined(WARPZONE_BFLOAT16)
  // `a` holds pairs of rounded numbers here.
  for (size_t k = 0; k < depth; k += 2, b += 2 * width, ++a) {
    __m512bh columns[kVectors];
    WARPZONE_UNROLL for (int v = 0; v < kVectors; ++v) {
      memcpy(&columns[v], b + static_cast<size_t>(v) * 2 * kLanes, sizeof(columns[v]));
    }
    WARPZONE_UNROLL for (int i = 0; i < kRows; ++i) {
      int32_t pair;
      memcpy(&pair, a + static_cast<size_t>(i) * a_row, sizeof(pair));
      const auto factors = reinterpret_cast<__m512bh>(_mm512_set1_epi32(pair));
      WARPZONE_UNROLL for (int v = 0; v < kVectors; ++v) {
        sums[i][v] = _mm512_dpbf16_ps(sums[i][v], factors, columns[v]);
      }
    }
  }
  static_cast<void>(a_column);
#else
  for (size_t k = 0; k < depth; ++k, a += a_column, b += width) {
    Vector columns[kVectors];
    WARPZONE_UNROLL for (int v = 0; v < kVectors; ++v) {
      columns[v] = load(b + static_cast<size_t>(v) * kLanes);
    }
    WARPZONE_UNROLL for (int i = 0; i < kRows; ++i) {
      const float factor = a[static_cast<size_t>(i) * a_row];
      WARPZONE_UNROLL for (int v = 0; v < kVectors; ++v) sums[i][v] += factor * columns[v];
    }
  }
#endif
  WARPZONE_UNROLL for (int i = 0; i < kRows; ++i) {
    WARPZONE_UNROLL for (int v = 0; v < kVectors; ++v) {
      store(c + static_cast<size_t>(i) * c_row + static_cast<size_t>(v) * kLanes, sums[i][v]);
    }
  }
}

// The same for a whole panel.
template <int kRows>
void product_rows(size_t depth, const float* a, size_t a_row, size_t a_column, const Number* b,
                  size_t width, const float* start, size_t start_row, float* c, size_t c_row) {
  constexpr size_t kColumns = static_cast<size_t>(kProductVectors) * kLanes;
  constexpr size_t kSide = sizeof(float) / sizeof(Number);  // numbers of a column side by side
  size_t j = 0;
  const auto from = [&] { return start == nullptr ? nullptr : start + j; };
  for (; j + kColumns <= width; j += kColumns) {
    product_block<kRows, kProductVectors>(depth, a, a_row, a_column, b + kSide * j, width, from(),
                                          start_row, c + j, c_row);
  }
  for (; j < width; j += kLanes) {
    product_block<kRows, 1>(depth, a, a_row, a_column, b + kSide * j, width, from(), start_row,
                            c + j, c_row);
  }
}

// At most kProductRows rows times a panel, of whose columns only some may be the caller's.
void product_panel(size_t m, size_t valid, size_t depth, const float* a, size_t a_row,
                   size_t a_column, const Number* b, size_t width, const float* start,
                   size_t start_row, float* c, size_t c_row) {
  float whole[kProductRows][kPanel], begin[kProductRows][kPanel];
  float* to = c;
  size_t to_row = c_row;
  if (valid < width) {
    to = whole[0];
    to_row = kPanel;
    if (start != nullptr) {
      for (size_t i = 0; i < m; ++i) {
        for (size_t j = 0; j < valid; ++j) begin[i][j] = start[i * start_row + j];
        for (size_t j = valid; j < width; ++j) begin[i][j] = 0;
      }
      start = begin[0];
      start_row = kPanel;
    }
  }
  size_t i = 0;
  const auto rows = [&](auto block, size_t count) {
    block(depth, a + i * a_row, a_row, a_column, b, width,
          start == nullptr ? nullptr : start + i * start_row, start_row, to + i * to_row, to_row);
    i += count;
  };
  if (m == kProductRows) rows(product_rows<kProductRows>, kProductRows);
  if (m - i >= 4) rows(product_rows<4>, 4);
  if (m - i >= 2) rows(product_rows<2>, 2);
  while (i < m) rows(product_rows<1>, 1);
  if (valid == width) return;
  for (size_t row = 0; row < m; ++row) {
    for (size_t j = 0; j < valid; ++j) c[row * c_row + j] = whole[row][j];
  }
}

void product(size_t m, size_t n, size_t depth, const float* a, size_t a_row, size_t a_column,
             const void* b, const float* start, float* c, size_t c_row) {
  constexpr size_t kMost = 4 * kProductRows;
  const size_t padded = (depth + 1) / 2 * 2;
  for (size_t row = 0; row < m; row += kMost) {
    const size_t rows = m - row < kMost ? m - row : kMost;
    for (size_t k = 0; k < depth; k += kDepth) {
      const size_t deep = depth - k < kDepth ? depth - k : kDepth;
      const float* left = a + row * a_row + k * a_column;
      size_t left_row = a_row;
#if defined(WARPZONE_BFLOAT16)
      uint32_t pairs[kMost][kDepth / 2];
      for (size_t i = 0; i < rows; ++i) {
        const float* const from = left + i * a_row;
        for (size_t p = 0; 2 * p + 1 < deep; ++p) {
          pairs[i][p] = rounded(from[2 * p * a_column]) | rounded(from[(2 * p + 1) * a_column])
                                                              << 16;
        }
        if (deep % 2 != 0) pairs[i][deep / 2] = rounded(from[(deep - 1) * a_column]);
      }
      left = reinterpret_cast<const float*>(pairs[0]);
      left_row = kDepth / 2;
      constexpr size_t left_column = 1;
#else
      float near[kMost][kDepth];
      size_t left_column = a_column;
      if (a_column != 1) {  // what is read for every panel lies side by side
        for (size_t d = 0; d < deep; ++d) {
          for (size_t i = 0; i < rows; ++i) near[i][d] = left[i * a_row + d * a_column];
        }
        left = near[0];
        left_row = kDepth;
        left_column = 1;
      }
#endif
      for (size_t first = 0; first < n; first += kPanel) {
        const size_t width = panel_width(n, first), valid = n - first < width ? n - first : width;
        const Number* const panel = static_cast<const Number*>(b) + first * padded + k * width;
        for (size_t i = 0; i < rows; i += kProductRows) {
          const size_t some = rows - i < kProductRows ? rows - i : kProductRows;
          float* const to = c + (row + i) * c_row + first;
          const float* const begin = k > 0 ? to : start == nullptr ? nullptr : start + first;
          product_panel(some, valid, deep, left + i * left_row, left_row, left_column, panel, width,
                        begin, k > 0 ? c_row : 0, to, c_row);
        }
      }
    }
  }
}

// What classes of batches are bound with.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <cstddef>
#include <cstdint>
#include <vector>

#include "batch/batch.h"
#include "bindings/arrays.h"

namespace warpzone::bindings {

using Mask = nb::ndarray<const uint8_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using Actions = nb::ndarray<const int64_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

inline std::vector<std::vector<uint8_t>> copies(const std::vector<nb::bytes>& all) {
  std::vector<std::vector<uint8_t>> copied;
  for (const nb::bytes& bytes : all) {
    const auto seen = view(bytes);
    copied.emplace_back(seen.begin(), seen.end());
  }
  return copied;
}

// An array of a batch as a view, whose shape `shape` says.
template <typename Class, typename B, typename T>
void bind_array(Class& batch, const char* name, std::vector<T> B::* member,
                std::vector<size_t> (*shape)(const B&), const char* doc) {
  batch.def_prop_ro(
      name,
      [member, shape](nb::handle self) {
        B& b = nb::cast<B&>(self);
        return view_of<T>(self, (b.*member).data(), shape(b));
      },
      doc);
}

template <typename B>
std::vector<size_t> per_game(const B& b) {
  return {b.size()};
}

template <typename B>
std::vector<size_t> observation_shape(const B& b) {
  std::vector<size_t> shape = b.observation_shape();
  shape.insert(shape.begin(), b.size());
  return shape;
}

template <typename B>
std::vector<size_t> scalar_shape(const B& b) {
  return {b.size(), b.scalar_count()};
}

}  // namespace warpzone::bindings

// Bytes and arrays between C++ and Python.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace warpzone::bindings {

namespace nb = nanobind;

inline std::span<const uint8_t> view(const nb::bytes& bytes) {
  return {reinterpret_cast<const uint8_t*>(bytes.c_str()), bytes.size()};
}

inline nb::bytes to_bytes(std::span<const uint8_t> bytes) {
  return nb::bytes(reinterpret_cast<const char*>(bytes.data()), bytes.size());
}

// A new array that owns its memory.
template <typename T>
nb::ndarray<nb::numpy, T> new_array(std::vector<size_t> shape) {
  size_t size = 1;
  for (const size_t n : shape) size *= n;
  auto* data = new T[size];
  nb::capsule owner(data, [](void* p) noexcept { delete[] static_cast<T*>(p); });
  return nb::ndarray<nb::numpy, T>(data, shape.size(), shape.data(), owner);
}

// A view of memory that `self` owns and never moves.
template <typename T>
nb::ndarray<nb::numpy, T> view_of(nb::handle self, T* data, std::vector<size_t> shape) {
  return nb::ndarray<nb::numpy, T>(data, shape.size(), shape.data(), self);
}

// A caller's array that is written to.
template <typename T>
using Array = nb::ndarray<T, nb::c_contig, nb::device::cpu>;

template <typename T>
std::span<T> span(const Array<T>& array) {
  return {array.data(), array.size()};
}

// Between slices of what takes long, with the GIL: Ctrl-C, and any other signal's handler.
inline void let_python_interrupt() {
  if (PyErr_CheckSignals() != 0) throw nb::python_error();
}

}  // namespace warpzone::bindings

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>

namespace avocet::kernels {

// An array of plain values that starts at a cache line; zeros at first.
template <typename T>
class AlignedBuffer {
 public:
  AlignedBuffer() = default;
  explicit AlignedBuffer(int64_t size) : size_(size) {
    const size_t bytes = (size * sizeof(T) + 63) / 64 * 64;
    if (bytes == 0) return;
    data_.reset(static_cast<T*>(std::aligned_alloc(64, bytes)));
    if (data_ == nullptr) throw std::bad_alloc();
    std::memset(data_.get(), 0, bytes);
  }

  int64_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  T* data() { return data_.get(); }
  const T* data() const { return data_.get(); }
  T& operator[](int64_t n) { return data_.get()[n]; }
  const T& operator[](int64_t n) const { return data_.get()[n]; }

 private:
  struct Free {
    void operator()(T* p) const { std::free(p); }
  };
  std::unique_ptr<T, Free> data_;
  int64_t size_ = 0;
};

// Memory of one thread that outlives a call and grows on demand: scratch for `floats` values, at a
// cache line, contents undefined. A slot is one purpose; its earlier pointer ends with the next
// call.
inline float* ThreadScratch(int slot, int64_t floats) {
  constexpr int kSlots = 8;
  thread_local AlignedBuffer<float> buffers[kSlots];
  if (buffers[slot].size() < floats) buffers[slot] = AlignedBuffer<float>(floats);
  return buffers[slot].data();
}

}  // namespace avocet::kernels

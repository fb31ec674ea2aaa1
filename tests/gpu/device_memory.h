// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cuda_runtime_api.h>

#include <cstdio>
#include <cstdlib>
#include <vector>

namespace avocet::test {

// Ends the program with the call's name; programs for a GPU are run by hand.
inline void Need(cudaError_t error, const char* what) {
  if (error == cudaSuccess) return;
  std::fprintf(stderr, "%s: %s\n", what, cudaGetErrorString(error));
  std::exit(1);
}

// 77 is what ctest takes for skipped.
inline void NeedDevice() {
  int count = 0;
  if (cudaGetDeviceCount(&count) != cudaSuccess || count == 0) {
    std::printf("skipped: no CUDA device\n");
    std::exit(77);
  }
  cudaDeviceProp properties;
  Need(cudaGetDeviceProperties(&properties, 0), "cudaGetDeviceProperties");
  std::printf("%s, compute capability %d.%d, %d multiprocessors, L2 %d MB\n", properties.name,
              properties.major, properties.minor, properties.multiProcessorCount,
              properties.l2CacheSize >> 20);
}

// Memory of the current device; starts as NaN, so that what is not written shows.
template <typename T>
class DeviceMemory {
 public:
  explicit DeviceMemory(size_t count) : count_(count) {
    Need(cudaMalloc(reinterpret_cast<void**>(&data_), count == 0 ? 1 : count * sizeof(T)),
         "cudaMalloc");
    Need(cudaMemset(data_, 0xff, count * sizeof(T)), "cudaMemset");
  }
  explicit DeviceMemory(const std::vector<T>& values) : DeviceMemory(values.size()) {
    Need(cudaMemcpy(data_, values.data(), count_ * sizeof(T), cudaMemcpyHostToDevice),
         "cudaMemcpy");
  }
  DeviceMemory(DeviceMemory&& other) noexcept : data_(other.data_), count_(other.count_) {
    other.data_ = nullptr;
  }
  DeviceMemory(const DeviceMemory&) = delete;
  DeviceMemory& operator=(const DeviceMemory&) = delete;
  ~DeviceMemory() { cudaFree(data_); }
  T* data() const { return data_; }
  std::vector<T> Read() const {
    std::vector<T> values(count_);
    Need(cudaMemcpy(values.data(), data_, count_ * sizeof(T), cudaMemcpyDeviceToHost),
         "cudaMemcpy");
    return values;
  }

 private:
  T* data_ = nullptr;
  size_t count_;
};

}  // namespace avocet::test

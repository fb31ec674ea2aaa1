// SPDX-License-Identifier: Apache-2.0
#include <ATen/cuda/CUDAGraph.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>

#include "kernels/device_graph.h"

namespace avocet::kernels::cuda {
namespace {

class CudaGraph final : public DeviceGraph {
 public:
  explicit CudaGraph(c10::Device device) : device_(device) {}

  void Record(const std::function<void()>& work) override {
    const c10::cuda::CUDAGuard on_device(device_);
    const c10::cuda::CUDAStream current = c10::cuda::getCurrentCUDAStream(device_.index());
    // Recording is not allowed on the default stream. What it reads was written on the current one.
    const c10::cuda::CUDAStream stream = c10::cuda::getStreamFromPool(false, device_.index());
    current.synchronize();
    {
      const c10::cuda::CUDAStreamGuard guard(stream);
      // Other threads may go on allocating.
      graph_.capture_begin({0, 0}, cudaStreamCaptureModeThreadLocal);
      try {
        work();
      } catch (...) {
        try {
          graph_.capture_end();
        } catch (const c10::Error&) {  // it says that the recording is void
        }
        throw;
      }
      graph_.capture_end();
    }
  }
  void Launch() override {
    const c10::cuda::CUDAGuard on_device(device_);
    graph_.replay();
  }

 private:
  c10::Device device_;
  at::cuda::CUDAGraph graph_;
};

std::unique_ptr<DeviceGraph> Make(c10::Device device) {
  return std::make_unique<CudaGraph>(device);
}

const bool kRegistered = [] {
  RegisterDeviceGraphs(c10::kCUDA, &Make);
  return true;
}();

}  // namespace
}  // namespace avocet::kernels::cuda

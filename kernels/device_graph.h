// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <c10/core/Device.h>

#include <functional>
#include <memory>

namespace avocet::kernels {

// Work on a device that was recorded once and is launched again as a whole: a CUDA graph. What it
// reads and writes has the addresses that it had when it was recorded.
class DeviceGraph {
 public:
  virtual ~DeviceGraph() = default;
  // Records what `work` launches, without running it; once an object. `work` must not wait for the
  // device. Throws c10::Error when it cannot be recorded.
  virtual void Record(const std::function<void()>& work) = 0;
  // Launches it, in order with other work of this thread on the device.
  virtual void Launch() = 0;
};

using DeviceGraphMaker = std::unique_ptr<DeviceGraph> (*)(c10::Device);
// Called by the library of a device's kernels when it is loaded.
void RegisterDeviceGraphs(c10::DeviceType type, DeviceGraphMaker maker);
// Nothing where the device has none.
std::unique_ptr<DeviceGraph> MakeDeviceGraph(c10::Device device);

}  // namespace avocet::kernels

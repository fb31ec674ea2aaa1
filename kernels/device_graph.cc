// SPDX-License-Identifier: Apache-2.0
#include "kernels/device_graph.h"

#include <map>

namespace avocet::kernels {
namespace {

std::map<c10::DeviceType, DeviceGraphMaker>& Makers() {
  static std::map<c10::DeviceType, DeviceGraphMaker> makers;
  return makers;
}

}  // namespace

void RegisterDeviceGraphs(c10::DeviceType type, DeviceGraphMaker maker) { Makers()[type] = maker; }

std::unique_ptr<DeviceGraph> MakeDeviceGraph(c10::Device device) {
  const auto found = Makers().find(device.type());
  return found == Makers().end() || !found->second ? nullptr : found->second(device);
}

}  // namespace avocet::kernels

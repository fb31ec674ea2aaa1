// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <list>
#include <memory>
#include <string>
#include <vector>

#include "kernels/device_graph.h"

namespace avocet::models {

// A network whose launches on a GPU are recorded once for each shape of input and repeated as one
// (several hundred small kernels cost more to launch than to run at batch 1). Each shape is run
// twice as it is before it is recorded, since libraries set themselves up in a first run. Where it
// cannot be recorded, or the device has no graphs, the network runs as it is and Problem() says
// why. Not thread-safe.
class GraphedNetwork {
 public:
  using Network = std::function<at::Tensor(const at::Tensor&)>;

  // At most so many shapes are kept: each holds the network's activations.
  explicit GraphedNetwork(Network network, size_t shapes = 4);

  // As the network's. The result is the caller's own.
  at::Tensor Forward(const at::Tensor& input);

  // "" while recording works.
  const std::string& Problem() const { return problem_; }

 private:
  struct Recording {
    std::vector<int64_t> sizes;
    at::ScalarType type;
    at::Tensor input, output;
    std::unique_ptr<kernels::DeviceGraph> graph;
    int runs = 0;
  };

  void Record(Recording& recording, const at::Tensor& input);

  Network network_;
  size_t shapes_;
  std::list<Recording> recordings_;  // the latest used first
  std::string problem_;
};

}  // namespace avocet::models

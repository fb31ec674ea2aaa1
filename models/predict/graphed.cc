// SPDX-License-Identifier: Apache-2.0
#include "models/predict/graphed.h"

#include <ATen/ATen.h>

#include <algorithm>

namespace avocet::models {
namespace {

constexpr int kRunsBefore = 2;

}  // namespace

GraphedNetwork::GraphedNetwork(Network network, size_t shapes)
    : network_(std::move(network)), shapes_(shapes) {}

at::Tensor GraphedNetwork::Forward(const at::Tensor& input) {
  if (!problem_.empty()) return network_(input);
  const auto found = std::find_if(recordings_.begin(), recordings_.end(), [&](const Recording& r) {
    return r.type == input.scalar_type() && at::IntArrayRef(r.sizes) == input.sizes();
  });
  if (found == recordings_.end()) {
    Recording fresh;
    fresh.sizes = input.sizes().vec();
    fresh.type = input.scalar_type();
    recordings_.push_front(std::move(fresh));
    if (recordings_.size() > shapes_) recordings_.pop_back();
  } else {
    recordings_.splice(recordings_.begin(), recordings_, found);
  }
  Recording& recording = recordings_.front();
  if (recording.runs < kRunsBefore) {
    ++recording.runs;
    return network_(input);
  }
  if (!recording.graph) Record(recording, input);
  if (!problem_.empty()) return network_(input);
  recording.input.copy_(input);
  recording.graph->Launch();
  return recording.output.clone();
}

void GraphedNetwork::Record(Recording& recording, const at::Tensor& input) {
  recording.graph = kernels::MakeDeviceGraph(input.device());
  if (!recording.graph) {
    problem_ = "this device has no graphs";
    return;
  }
  try {
    recording.input = input.clone();
    recording.graph->Record([&] { recording.output = network_(recording.input); });
  } catch (const c10::Error& error) {
    problem_ = "the network cannot be recorded as a graph (" +
               std::string(error.what_without_backtrace()) + ")";
    recordings_.clear();
  }
}

}  // namespace avocet::models

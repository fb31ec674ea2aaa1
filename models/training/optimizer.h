// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

#include "models/parameters.h"

namespace avocet::models {

struct AdamWOptions {
  double beta1 = 0.9;
  double beta2 = 0.999;
  double epsilon = 1e-8;
  double weight_decay = 1e-3;
  // True: every parameter decays (the published recipe). False: norms, biases, squeeze-excite
  // biases and the decay, bonus and mix vectors do not.
  bool decay_everything = false;
};

// AdamW (Loshchilov and Hutter 2019) with LibTorch's fused kernel. Parameters whose gradient is
// undefined are neither moved nor decayed. Holds the moments by parameter name, so that they can be
// stored and restored.
class AdamW {
 public:
  // Keeps references to the tensors of `parameters` as they are now.
  AdamW(const ParameterStore& parameters, const AdamWOptions& options);

  void ZeroGradients();
  // L2 norm over all gradients; scales them down to `max_norm` when it is larger and max_norm > 0.
  double ClipGradients(double max_norm);
  void Step(double learning_rate);

  int64_t steps() const { return steps_; }
  // Decided by name and rank, see AdamWOptions::decay_everything.
  static bool Decays(const std::string& name, const at::Tensor& value);

  // The moments as "adam_m/<name>", "adam_v/<name>", "adam_t/<name>".
  void Save(TensorFile& file) const;
  // Throws ModelError when one is missing or of another shape.
  void Load(const TensorFile& file, int64_t steps);

 private:
  struct Slot {
    std::string name;
    at::Tensor value, first, second, step;
    bool decays = true;
  };
  AdamWOptions options_;
  std::vector<Slot> slots_;
  int64_t steps_ = 0;
};

// Exponential moving average of trainable parameters and running statistics; counters are copied.
// The decay rises from 0.1 to `decay` over the first steps, min(decay, (1 + t) / (10 + t)).
class WeightAverage {
 public:
  WeightAverage(const ParameterStore& parameters, double decay);
  void Update(const ParameterStore& parameters, int64_t step);
  const ParameterStore& parameters() const { return average_; }
  ParameterStore& parameters() { return average_; }

 private:
  ParameterStore average_;
  double decay_;
};

// A store with copies of all tensors (ParameterStore's own copy shares them).
ParameterStore CloneParameters(const ParameterStore& parameters);

}  // namespace avocet::models

// SPDX-License-Identifier: Apache-2.0
#include "models/training/optimizer.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>

#include "app/base/error.h"

namespace avocet::models {
namespace {

bool EndsWith(const std::string& text, const std::string& tail) {
  return text.size() >= tail.size() &&
         text.compare(text.size() - tail.size(), tail.size(), tail) == 0;
}

at::Tensor Required(const TensorFile& file, const std::string& name, const at::Tensor& like) {
  const StoredTensor* stored = file.Find(name);
  if (stored == nullptr) {
    throw ModelError("the training checkpoint lacks '" + name + "'; start again without --resume");
  }
  at::Tensor tensor = ToTensor(*stored);
  if (tensor.sizes() != like.sizes()) {
    throw ModelError("'" + name +
                     "' in the training checkpoint has another shape than the network; "
                     "start again without --resume");
  }
  return tensor;
}

}  // namespace

AdamW::AdamW(const ParameterStore& parameters, const AdamWOptions& options) : options_(options) {
  const at::NoGradGuard no_grad;
  for (const auto& entry : parameters.entries()) {
    if (!entry.trainable) continue;
    Slot slot;
    slot.name = entry.name;
    slot.value = entry.value;
    slot.first = at::zeros_like(entry.value);
    slot.second = at::zeros_like(entry.value);
    slot.step = at::zeros({}, at::kFloat);
    slot.decays = options.decay_everything || Decays(entry.name, entry.value);
    slots_.push_back(std::move(slot));
  }
}

bool AdamW::Decays(const std::string& name, const at::Tensor& value) {
  if (value.dim() < 2 || EndsWith(name, ".bias")) return false;
  return name.find("spatial_mix") == std::string::npos &&
         name.find("spatial_decay") == std::string::npos &&
         name.find("spatial_first") == std::string::npos;
}

void AdamW::ZeroGradients() {
  for (Slot& slot : slots_) slot.value.mutable_grad().reset();
}

double AdamW::ClipGradients(double max_norm) {
  const at::NoGradGuard no_grad;
  std::vector<at::Tensor> gradients;
  for (Slot& slot : slots_) {
    if (slot.value.grad().defined()) gradients.push_back(slot.value.grad());
  }
  if (gradients.empty()) return 0;
  const double norm = at::stack(at::_foreach_norm(gradients)).norm().item<double>();
  if (max_norm > 0 && norm > max_norm) at::_foreach_mul_(gradients, max_norm / norm);
  return norm;
}

void AdamW::Step(double learning_rate) {
  const at::NoGradGuard no_grad;
  for (const bool decays : {true, false}) {
    std::vector<at::Tensor> values, gradients, first, second, steps;
    for (Slot& slot : slots_) {
      if (slot.decays != decays || !slot.value.grad().defined()) continue;
      at::Tensor gradient = slot.value.grad();
      // The fused kernel walks raw memory: all four tensors must be laid out alike.
      if (gradient.strides() != slot.value.strides()) {
        gradient = at::empty_like(slot.value).copy_(gradient);
      }
      values.push_back(slot.value);
      gradients.push_back(gradient);
      first.push_back(slot.first);
      second.push_back(slot.second);
      steps.push_back(slot.step.add_(1));
    }
    if (values.empty()) continue;
    at::_fused_adamw_(values, gradients, first, second, /*max_exp_avg_sqs=*/at::TensorList(), steps,
                      learning_rate, options_.beta1, options_.beta2,
                      decays ? options_.weight_decay : 0.0, options_.epsilon, /*amsgrad=*/false,
                      /*maximize=*/false);
  }
  ++steps_;
}

void AdamW::Save(TensorFile& file) const {
  for (const Slot& slot : slots_) {
    file.tensors.emplace_back("adam_m/" + slot.name, FromTensor(slot.first));
    file.tensors.emplace_back("adam_v/" + slot.name, FromTensor(slot.second));
    file.tensors.emplace_back("adam_t/" + slot.name, FromTensor(slot.step));
  }
}

void AdamW::Load(const TensorFile& file, int64_t steps) {
  const at::NoGradGuard no_grad;
  for (Slot& slot : slots_) {
    slot.first.copy_(Required(file, "adam_m/" + slot.name, slot.first));
    slot.second.copy_(Required(file, "adam_v/" + slot.name, slot.second));
    slot.step.copy_(Required(file, "adam_t/" + slot.name, slot.step));
  }
  steps_ = steps;
}

ParameterStore CloneParameters(const ParameterStore& parameters) {
  const at::NoGradGuard no_grad;
  ParameterStore copy;
  for (const auto& entry : parameters.entries()) {
    copy.Add(entry.name, entry.value.detach().clone(), entry.trainable);
  }
  return copy;
}

WeightAverage::WeightAverage(const ParameterStore& parameters, double decay)
    : average_(CloneParameters(parameters)), decay_(decay) {}

void WeightAverage::Update(const ParameterStore& parameters, int64_t step) {
  const at::NoGradGuard no_grad;
  const double decay = std::min(decay_, (1.0 + step) / (10.0 + step));
  std::vector<at::Tensor> averages, values;
  for (size_t i = 0; i < average_.entries().size(); ++i) {
    const at::Tensor& average = average_.entries()[i].value;
    const at::Tensor value = parameters.entries()[i].value.detach();
    if (average.is_floating_point()) {
      averages.push_back(average);
      values.push_back(value);
    } else {
      average.copy_(value);
    }
  }
  at::_foreach_lerp_(averages, values, 1 - decay);
}

}  // namespace avocet::models

// SPDX-License-Identifier: Apache-2.0
#include "models/training/schedule.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace avocet::models {
namespace {

constexpr double kPi = 3.14159265358979323846;
constexpr double kPolyPower = 0.9;
constexpr double kAcdcFloor = 1e-6;
constexpr double kFsRwkvFloor = 1e-6;
constexpr std::array<const char*, 8> kNames = {"cosine",           "poly",          "constant",
                                               "cosine-epoch",     "acdc-official", "acdc-release",
                                               "synapse-official", "fs-rwkv"};

double HalfCosine(double fraction) { return 0.5 * (1 + std::cos(kPi * fraction)); }

// 15.3: the polynomial rule runs after each step, hence step k sees the value of step k - 1; the
// first step of an epoch sees it multiplied by the ratio of two cosine values.
double SynapseOfficial(const ScheduleOptions& o, int64_t step) {
  if (step == 0) return o.base;
  const double total = static_cast<double>(o.TotalSteps());
  double rate = o.base * std::pow(1 - (step - 1) / total, kPolyPower);
  if (step % o.steps_per_epoch == 0) {
    const int64_t finished = step / o.steps_per_epoch;
    const auto epoch = static_cast<double>(finished);
    const double epochs = static_cast<double>(o.epochs);
    rate *= HalfCosine(epoch / epochs) / HalfCosine((epoch - 1) / epochs);
  }
  return rate;
}

double PerIterationCosine(double base, double floor, int64_t period, int64_t step) {
  const double fraction = static_cast<double>(step) / static_cast<double>(period);
  return floor + (base - floor) * HalfCosine(fraction);
}

}  // namespace

bool ScheduleOptions::IsKnown(const std::string& name) {
  return std::any_of(kNames.begin(), kNames.end(),
                     [&](const char* known) { return name == known; });
}

std::string ScheduleOptions::Check() const {
  if (!IsKnown(name)) {
    std::string list;
    for (const char* known : kNames) list += std::string(list.empty() ? "" : ", ") + known;
    return "--schedule is '" + name + "'; it must be one of " + list;
  }
  if (!(base > 0)) return "--lr is " + std::to_string(base) + "; it must be positive";
  if (epochs < 1 || steps_per_epoch < 1) return "a schedule needs at least one epoch and one step";
  if (warmup_steps < 0) return "--warmup must not be negative";
  if (floor < 0 || floor > 1) return "the final learning rate must be 0 to 1 of the first";
  return "";
}

double LearningRate(const ScheduleOptions& o, int64_t step) {
  if (o.name == "synapse-official") return SynapseOfficial(o, step);
  if (o.name == "acdc-official") {
    return PerIterationCosine(o.base, kAcdcFloor, std::max<int64_t>(1, 3 * o.epochs / 4), step);
  }
  if (o.name == "acdc-release") return PerIterationCosine(o.base, 0, o.epochs, step);
  if (o.name == "cosine-epoch") {
    const int64_t finished = step / o.steps_per_epoch;
    return o.base * HalfCosine(static_cast<double>(finished) / o.epochs);
  }
  if (o.name == "fs-rwkv") {
    return PerIterationCosine(o.base, kFsRwkvFloor, o.epochs, step / o.steps_per_epoch);
  }

  if (step < o.warmup_steps) return o.base * static_cast<double>(step + 1) / o.warmup_steps;
  if (o.name == "constant") return o.base;
  const int64_t span = std::max<int64_t>(1, o.TotalSteps() - o.warmup_steps);
  const double fraction = std::min(1.0, static_cast<double>(step - o.warmup_steps) / span);
  if (o.name == "poly") return o.base * std::pow(1 - fraction, kPolyPower);
  return o.base * (o.floor + (1 - o.floor) * HalfCosine(fraction));
}

}  // namespace avocet::models

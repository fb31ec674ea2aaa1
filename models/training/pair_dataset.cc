// SPDX-License-Identifier: Apache-2.0
#include "models/training/pair_dataset.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>

#include "app/base/error.h"
#include "models/predict/slicing.h"

namespace avocet::models {
namespace {

enum Purpose : uint64_t { kOrder = 1, kAugment = 3, kMix = 6, kPartner = 7 };
constexpr int kCropTries = 8;

double ShareAbove(const float* values, int64_t count, float threshold) {
  const auto above = std::count_if(values, values + count, [&](float v) { return v > threshold; });
  return static_cast<double>(above) / static_cast<double>(count);
}

std::vector<float> CanonicalScaled(const std::vector<float>& values, const PairCase& one,
                                   const SliceLayout& layout, const IntensityScale& scale) {
  const at::Tensor stored = at::from_blob(const_cast<float*>(values.data()),
                                          {one.size[2], one.size[1], one.size[0]}, at::kFloat);
  const at::Tensor slices = scale.Apply(CanonicalFromStored(stored, layout)).contiguous();
  const float* data = slices.const_data_ptr<float>();
  return {data, data + slices.numel()};
}

}  // namespace

PlanePair PairStack::Slice(int64_t slice) const {
  const int64_t plane_size = rows * cols;
  PlanePair pair;
  pair.rows = rows;
  pair.cols = cols;
  pair.eight_bit = picture;
  pair.source.assign(source.begin() + slice * plane_size,
                     source.begin() + (slice + 1) * plane_size);
  pair.target.assign(target.begin() + slice * plane_size,
                     target.begin() + (slice + 1) * plane_size);
  return pair;
}

PairStack MakeStack(const PairCase& one, const ModelCard& card, bool shared_scale) {
  PairStack stack;
  stack.name = one.name;
  stack.picture = one.picture;
  const VolumeView view = one.View();
  stack.plane = one.picture ? "axial" : ChoosePlane(view, card.plane);
  const SliceLayout layout =
      one.picture ? StoredSliceLayout(view) : FindSliceLayout(view, stack.plane);
  stack.slices = layout.size[0];
  stack.rows = layout.size[1];
  stack.cols = layout.size[2];
  Preprocessing steps = card.preprocessing;
  if (one.picture) {
    steps.intensity = "window";
    steps.lower = 0;
    steps.upper = 255;
  }
  const auto count = static_cast<int64_t>(one.source.size());
  const IntensityScale of_source = FindIntensityScale(one.source.data(), count, steps);
  const IntensityScale of_target =
      shared_scale ? of_source : FindIntensityScale(one.target.data(), count, steps);
  stack.source = CanonicalScaled(one.source, one, layout, of_source);
  stack.target = CanonicalScaled(one.target, one, layout, of_target);
  return stack;
}

PairDataset::PairDataset(std::vector<PairStack> stacks, Options options)
    : options_(std::move(options)), stacks_(std::move(stacks)) {
  for (size_t s = 0; s < stacks_.size(); ++s) {
    const PairStack& stack = stacks_[s];
    const int64_t plane = stack.rows * stack.cols;
    for (int64_t k = 0; k < stack.slices; ++k) {
      // Pictures keep their index in the list, which decides on mixing.
      const bool shown = stack.picture || ShareAbove(stack.target.data() + k * plane, plane,
                                                     0.1f) >= options_.least_content;
      if (shown) items_.push_back({static_cast<int32_t>(s), static_cast<int32_t>(k)});
    }
  }
  if (items_.empty()) throw IoError("there are no slices with content to train on");
}

int64_t PairDataset::steps_per_epoch() const {
  const int64_t count =
      options_.slices_per_epoch > 0 ? std::min(options_.slices_per_epoch, slices()) : slices();
  const int64_t full = count / options_.batch;
  if (full == 0) return 1;
  return full + (options_.keep_last && count % options_.batch != 0 ? 1 : 0);
}

std::vector<int64_t> PairDataset::EpochOrder(int64_t epoch) const {
  std::vector<int64_t> order(items_.size());
  std::iota(order.begin(), order.end(), 0);
  CounterRng rng(options_.seed, epoch, 0, kOrder);
  for (size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[rng.Below(i)]);
  if (options_.slices_per_epoch > 0 && options_.slices_per_epoch < slices()) {
    order.resize(options_.slices_per_epoch);
  }
  return order;
}

PlanePair PairDataset::Prepared(int64_t index, CounterRng& rng) const {
  const Item& item = items_[index];
  PlanePair pair = stacks_[item.stack].Slice(item.slice);
  AugmentPair(pair, options_.augmentation, rng);
  if (options_.squeeze) {
    ResizePair(pair, options_.size, options_.size);
    return pair;
  }
  // Of a few windows the first that shows enough, else the last.
  PlanePair crop;
  for (int n = 0; n < kCropTries; ++n) {
    const auto place = [&](int64_t length) {
      const int64_t slack = length - options_.size;
      return slack > 0 ? static_cast<int64_t>(rng.Below(slack + 1)) : slack / 2;
    };
    const int64_t top = place(pair.rows), left = place(pair.cols);
    crop = CropPair(pair, top, left, options_.size, options_.size);
    if (ShareAbove(crop.target.data(), options_.size * options_.size, 0.1f) >= 0.3) break;
  }
  return crop;
}

PlanePair PairDataset::Mixed(int64_t epoch, int64_t index) const {
  CounterRng rng(options_.seed, epoch, index, kAugment);
  PlanePair pair = Prepared(index, rng);
  CounterRng mix(options_.seed, epoch, index, kMix);
  const PairRecipe& recipe = options_.augmentation;
  const bool mixed = recipe.mixing == "official" ? index > 0 && index % 3 == 0
                     : recipe.mixing == "random" ? mix.Chance(recipe.mix_chance)
                                                 : false;
  if (!mixed) return pair;
  const bool mixup = mix.Uniform() > 0.5;
  const auto partner = static_cast<int64_t>(mix.Below(items_.size()));
  CounterRng partner_rng(options_.seed, epoch, index, kPartner);
  const PlanePair other = Prepared(partner, partner_rng);
  const double lambda = DrawBeta(0.2, mix);
  if (mixup) {
    MixUp(pair, other, lambda);
  } else {
    const double cx = mix.Uniform(0, static_cast<double>(pair.cols));
    const double cy = mix.Uniform(0, static_cast<double>(pair.rows));
    CutMix(pair, other, lambda, cx, cy);
  }
  return pair;
}

PairDataset::Batch PairDataset::MakeBatch(int64_t epoch, int64_t step,
                                          const std::vector<int64_t>& order) const {
  const int64_t first = step * options_.batch;
  const int64_t count =
      std::min<int64_t>(options_.batch, static_cast<int64_t>(order.size()) - first);
  const int64_t size = options_.size, plane = size * size;
  Batch batch;
  batch.source = at::empty({count, 1, size, size}, at::kFloat);
  batch.target = at::empty({count, 1, size, size}, at::kFloat);
  for (int64_t i = 0; i < count; ++i) {
    const PlanePair pair = Mixed(epoch, order[first + i]);
    std::memcpy(batch.source.data_ptr<float>() + i * plane, pair.source.data(), plane * 4);
    std::memcpy(batch.target.data_ptr<float>() + i * plane, pair.target.data(), plane * 4);
  }
  return batch;
}

}  // namespace avocet::models

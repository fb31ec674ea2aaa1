// SPDX-License-Identifier: Apache-2.0
#include "models/training/dataset.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>

#include "app/base/error.h"

namespace avocet::models {
namespace {

enum Purpose : uint64_t { kOrder = 1, kBackground = 2, kAugment = 3 };

int64_t RoundUp16(int64_t value) { return (value + 15) / 16 * 16; }

void Shuffle(std::vector<int64_t>& values, CounterRng& rng) {
  for (size_t i = values.size(); i > 1; --i) std::swap(values[i - 1], values[rng.Below(i)]);
}

}  // namespace

VolumeView TrainingCase::View() const { return {values.data(), size, spacing, direction}; }

ModelCard TrainingCase::CardFor(const ModelCard& card) const {
  ModelCard used = card;
  if (as_stored) used.preprocessing.intensity = "none";
  return used;
}

SliceDataset::SliceDataset(const std::vector<TrainingCase>& cases, const ModelCard& card,
                           Options options)
    : options_(std::move(options)), context_(card.preprocessing.context) {
  int64_t most_rows = 1, most_cols = 1;
  for (const TrainingCase& one : cases) {
    const SliceSource source(one.View(), one.CardFor(card));
    const at::Tensor stored = at::from_blob(const_cast<uint8_t*>(one.classes.data()),
                                            {one.size[2], one.size[1], one.size[0]}, at::kByte);
    const at::Tensor labels = source.NetworkLabels(CanonicalFromStored(stored, source.layout()))
                                  .to(at::kByte)
                                  .contiguous();
    Stack stack{source.slices(), source.network_rows(), source.network_columns(), {}, {}};
    const int64_t plane = stack.rows * stack.cols;
    stack.image.resize(stack.slices * plane);
    stack.label.resize(stack.slices * plane);
    std::memcpy(stack.label.data(), labels.data_ptr<uint8_t>(), stack.label.size());
    const int64_t channel = context_;  // the middle one is the slice itself
    for (int64_t first = 0; first < stack.slices; first += 16) {
      const int64_t count = std::min<int64_t>(16, stack.slices - first);
      const at::Tensor images = source.Batch(first, count).select(1, channel).contiguous();
      std::memcpy(stack.image.data() + first * plane, images.data_ptr<float>(),
                  count * plane * sizeof(float));
    }
    for (int64_t s = 0; s < stack.slices; ++s) {
      const auto* begin = stack.label.data() + s * plane;
      const bool foreground = std::any_of(begin, begin + plane, [](uint8_t v) { return v != 0; });
      items_.push_back({static_cast<int32_t>(stacks_.size()), static_cast<int32_t>(s), foreground});
      foreground_ += foreground;
    }
    most_rows = std::max(most_rows, stack.rows);
    most_cols = std::max(most_cols, stack.cols);
    stacks_.push_back(std::move(stack));
  }
  if (items_.empty()) throw IoError("there are no slices to train on");
  if (options_.canvas_rows == 0) options_.canvas_rows = RoundUp16(most_rows);
  if (options_.canvas_cols == 0) options_.canvas_cols = RoundUp16(most_cols);
  if (options_.augmentation.official_rot_flip > 0) {  // quarter turns swap the sides
    options_.canvas_rows = options_.canvas_cols =
        std::max(options_.canvas_rows, options_.canvas_cols);
  }
}

int64_t SliceDataset::SlicesPerEpoch() const {
  const int64_t background = slices() - foreground_;
  return foreground_ + std::llround(background * options_.background_share);
}

int64_t SliceDataset::steps_per_epoch() const {
  const int64_t count = SlicesPerEpoch();
  const int64_t full = count / options_.batch;
  if (full == 0) return 1;
  return full + (options_.keep_last && count % options_.batch != 0 ? 1 : 0);
}

std::vector<int64_t> SliceDataset::EpochOrder(int64_t epoch) const {
  std::vector<int64_t> order, background;
  for (int64_t i = 0; i < slices(); ++i) (items_[i].foreground ? order : background).push_back(i);
  CounterRng draw(options_.seed, epoch, 0, kBackground);
  Shuffle(background, draw);
  background.resize(SlicesPerEpoch() - foreground_);
  order.insert(order.end(), background.begin(), background.end());
  CounterRng shuffle(options_.seed, epoch, 0, kOrder);
  Shuffle(order, shuffle);
  return order;
}

Slice SliceDataset::Extract(const Item& item) const {
  const Stack& stack = stacks_[item.stack];
  const int64_t plane = stack.rows * stack.cols;
  Slice slice;
  slice.channels = channels();
  slice.rows = stack.rows;
  slice.cols = stack.cols;
  slice.image.resize(slice.channels * plane);
  for (int64_t c = 0; c < slice.channels; ++c) {
    const int64_t s = std::clamp<int64_t>(item.slice + c - context_, 0, stack.slices - 1);
    std::memcpy(slice.image.data() + c * plane, stack.image.data() + s * plane,
                plane * sizeof(float));
  }
  slice.label.assign(stack.label.begin() + item.slice * plane,
                     stack.label.begin() + (item.slice + 1) * plane);
  return slice;
}

SliceDataset::Batch SliceDataset::MakeBatch(int64_t epoch, int64_t step,
                                            const std::vector<int64_t>& order) const {
  const int64_t first = step * options_.batch;
  const int64_t count =
      std::min<int64_t>(options_.batch, static_cast<int64_t>(order.size()) - first);
  const int64_t rows = options_.canvas_rows, cols = options_.canvas_cols;
  Batch batch;
  batch.image = at::empty({count, channels(), rows, cols}, at::kFloat);
  batch.label = at::empty({count, rows, cols}, at::kByte);
  for (int64_t i = 0; i < count; ++i) {
    const int64_t index = order[first + i];
    CounterRng rng(options_.seed, epoch, index, kAugment);
    AugmentSlice(Extract(items_[index]), options_.augmentation, rng, rows, cols,
                 batch.image.data_ptr<float>() + i * channels() * rows * cols,
                 batch.label.data_ptr<uint8_t>() + i * rows * cols);
  }
  return batch;
}

}  // namespace avocet::models

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

#include "app/base/field_table.h"
#include "models/model_card.h"
#include "models/predict/slicing.h"
#include "models/training/augmentation.h"

namespace avocet::models {

// One volume with its labels, in the order of the file (k, j, i; i fastest).
struct TrainingCase {
  std::string name;
  std::vector<float> values;
  std::vector<uint8_t> classes;  // class index of every voxel: position in ModelCard::labels
  std::array<int64_t, 3> size{0, 0, 0};
  std::array<double, 3> spacing{1, 1, 1};
  std::array<double, 9> direction{1, 0, 0, 0, 1, 0, 0, 0, 1};
  bool as_stored = false;  // the values are scaled already: the intensity rule is left out

  VolumeView View() const;
  // The card as it applies to this case.
  ModelCard CardFor(const ModelCard& card) const;
};
inline auto FieldsOf(const TrainingCase& c) {
  return std::make_tuple(Decides("name", c.name), Decides("values", c.values),
                         Decides("classes", c.classes), Decides("size", c.size),
                         Decides("spacing", c.spacing), Decides("direction", c.direction),
                         Decides("as_stored", c.as_stored));
}

// All slices of the training cases, preprocessed by SliceSource as for prediction and kept in
// memory. Which slices make up an epoch, and in which order, depends on (seed, epoch) alone.
class SliceDataset {
 public:
  struct Options {
    AugmentationRecipe augmentation;
    int64_t batch = 24;
    // Share of the slices without foreground that take part in an epoch (another draw each epoch).
    double background_share = 1;
    bool keep_last = false;  // an incomplete last batch is used too
    uint64_t seed = 0;
    // Canvas of all batches in pixels, multiples of 16; 0 = largest slice rounded up.
    int64_t canvas_rows = 0;
    int64_t canvas_cols = 0;
  };

  struct Batch {
    at::Tensor image;  // [n, channels, rows, cols] float32
    at::Tensor label;  // [n, rows, cols] uint8
  };

  SliceDataset(const std::vector<TrainingCase>& cases, const ModelCard& card, Options options);

  int64_t slices() const { return static_cast<int64_t>(items_.size()); }
  int64_t foreground_slices() const { return foreground_; }
  int64_t steps_per_epoch() const;
  int64_t channels() const { return 2 * context_ + 1; }
  int64_t canvas_rows() const { return options_.canvas_rows; }
  int64_t canvas_cols() const { return options_.canvas_cols; }

  std::vector<int64_t> EpochOrder(int64_t epoch) const;  // indices of slices
  Batch MakeBatch(int64_t epoch, int64_t step, const std::vector<int64_t>& order) const;

 private:
  struct Stack {
    int64_t slices, rows, cols;
    std::vector<float> image;    // [slices, rows, cols]
    std::vector<uint8_t> label;  // the same
  };
  struct Item {
    int32_t stack;
    int32_t slice;
    bool foreground;
  };
  Slice Extract(const Item& item) const;
  int64_t SlicesPerEpoch() const;

  Options options_;
  int context_ = 0;
  std::vector<Stack> stacks_;
  std::vector<Item> items_;
  int64_t foreground_ = 0;
};

}  // namespace avocet::models

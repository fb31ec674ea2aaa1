// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "app/base/field_table.h"
#include "models/model_card.h"
#include "models/predict/slice_layout.h"
#include "models/training/pair_augmentation.h"

namespace avocet::models {

// Two registered images of one subject on one grid: volumes, or 8-bit pictures as one slice.
struct PairCase {
  std::string name;
  std::vector<float> source, target;  // i fastest, units of the files
  std::array<int64_t, 3> size{0, 0, 0};
  std::array<double, 3> spacing{1, 1, 1};
  std::array<double, 9> direction{1, 0, 0, 0, 1, 0, 0, 0, 1};
  bool picture = false;  // 8-bit values: divided by 255, as published; not scaled otherwise

  VolumeView View() const { return {source.data(), size, spacing, direction}; }
};

// The slices of one case, scaled to [0, 1] as `avocet translate` scales its input.
struct PairStack {
  std::string name;
  std::string plane;
  int64_t slices = 0, rows = 0, cols = 0;
  std::vector<float> source, target;  // [slices, rows, cols]
  bool picture = false;

  PlanePair Slice(int64_t slice) const;
};
inline auto FieldsOf(const PairStack& s) {
  return std::make_tuple(Decides("name", s.name), Decides("plane", s.plane),
                         Decides("slices", s.slices), Decides("rows", s.rows),
                         Decides("cols", s.cols), Decides("source", s.source),
                         Decides("target", s.target), Decides("picture", s.picture));
}
// Slices are of the acquisition plane, else the card's (ChoosePlane). The target is scaled by its
// own percentiles, or by the source's where both are in the same units (`shared_scale`: simulated
// pairs).
PairStack MakeStack(const PairCase& one, const ModelCard& card, bool shared_scale);

// All slices of the training pairs that show something. Which make up a batch, and how they are
// augmented and mixed, depends on (seed, epoch, slice) alone.
class PairDataset {
 public:
  struct Options {
    friend auto FieldsOf(const Options& o) {
      return std::make_tuple(Decides("augmentation", o.augmentation), Decides("batch", o.batch),
                             Decides("keep_last_batch", o.keep_last), Decides("data_seed", o.seed),
                             Decides("size", o.size), Decides("squeeze", o.squeeze),
                             Decides("least_content", o.least_content),
                             Decides("slices_per_epoch", o.slices_per_epoch));
    }

    PairRecipe augmentation;
    int64_t batch = 4;
    bool keep_last = true;
    uint64_t seed = 0;
    int64_t size = 256;   // side of the training pictures
    bool squeeze = true;  // true: whole slices resized, as published; false: random crops
    // Slices of volumes are used when at least this share of the target is above 0.1.
    double least_content = 0.05;
    // > 0: that many slices an epoch, drawn anew each time; 0 = all
    int64_t slices_per_epoch = 0;
  };
  struct Batch {
    at::Tensor source, target;  // [n, 1, size, size] float32
  };

  PairDataset(std::vector<PairStack> stacks, Options options);

  int64_t slices() const { return static_cast<int64_t>(items_.size()); }
  int64_t steps_per_epoch() const;
  std::vector<int64_t> EpochOrder(int64_t epoch) const;
  Batch MakeBatch(int64_t epoch, int64_t step, const std::vector<int64_t>& order) const;

 private:
  struct Item {
    int32_t stack, slice;
  };
  PlanePair Prepared(int64_t index, CounterRng& rng) const;  // augmented, size x size
  PlanePair Mixed(int64_t epoch, int64_t index) const;

  Options options_;
  std::vector<PairStack> stacks_;
  std::vector<Item> items_;
};

}  // namespace avocet::models

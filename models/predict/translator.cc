// SPDX-License-Identifier: Apache-2.0
#include "models/predict/translator.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

#include "app/base/error.h"

namespace avocet::models {
namespace {

// On the scale [0, 1]; noise in air reaches about 0.1 at an SNR of 15.
constexpr double kAir = 0.08;

// Slices [first, first + count) of a stored volume [k, j, i], counted in canonical order.
at::Tensor StoredSlices(const at::Tensor& stored, const SliceLayout& layout, int64_t first,
                        int64_t count) {
  const int64_t begin = layout.reversed[0] ? layout.size[0] - first - count : first;
  return stored.narrow(2 - layout.axis[0], begin, count);
}

// Sums of absolute differences between neighbouring slices, fed batch by batch.
class DifferenceSum {
 public:
  void Add(const at::Tensor& slices) {  // [n, rows, columns], double arithmetic on the sums
    if (last_.defined()) sum_ += (slices[0] - last_).abs().sum(at::kDouble).item<double>();
    const int64_t n = slices.size(0);
    if (n > 1) {
      sum_ += (slices.narrow(0, 1, n - 1) - slices.narrow(0, 0, n - 1))
                  .abs()
                  .sum(at::kDouble)
                  .item<double>();
    }
    last_ = slices[n - 1].clone();
  }
  double sum() const { return sum_; }

 private:
  at::Tensor last_;
  double sum_ = 0;
};

at::Tensor RunNetwork(const ImageFunction& network, const at::Tensor& scaled) {
  const at::Tensor image = scaled.unsqueeze(1).contiguous();
  const at::Tensor result = network(image).to(at::kCPU, at::kFloat);
  if (result.sizes() != image.sizes()) {
    throw ModelError(
        "the model turns one picture into something of another shape; it does not translate "
        "images");
  }
  if (!result.isfinite().all().item<bool>()) {
    throw ModelError(
        "the model's output is not finite; the model file is damaged or was trained for "
        "other intensities");
  }
  return result.squeeze(1);
}

}  // namespace

Translation TranslateVolume(const ImageFunction& network, const VolumeView& volume,
                            const TranslateVolumeOptions& options, const SliceProgress& progress) {
  if (options.batch < 1) {
    throw OptionError("the batch is " + std::to_string(options.batch) + "; it must be at least 1");
  }
  const SliceLayout layout = FindSliceLayout(volume, options.plane);
  Translation result;
  result.slices = layout.size[0];
  result.scale = FindIntensityScale(volume.values, volume.VoxelCount(), options.preprocessing);
  const IntensityScale& scale = result.scale;
  const double lowest = std::isfinite(scale.lower) ? scale.lower : scale.offset;
  result.values.resize(volume.VoxelCount());

  const std::vector<int64_t> shape{volume.size[2], volume.size[1], volume.size[0]};
  const at::Tensor stored = at::from_blob(const_cast<float*>(volume.values), shape,
                                          at::TensorOptions().dtype(at::kFloat));
  const at::Tensor output =
      at::from_blob(result.values.data(), shape, at::TensorOptions().dtype(at::kFloat));
  at::Tensor head;
  if (options.head != nullptr) {
    head = at::from_blob(const_cast<uint8_t*>(options.head), shape, at::kByte);
  }
  DifferenceSum of_input, of_output, of_change;
  double change_sum = 0;
  for (int64_t first = 0; first < result.slices; first += options.batch) {
    const int64_t count = std::min<int64_t>(options.batch, result.slices - first);
    const at::Tensor given =
        CanonicalFromStored(StoredSlices(stored, layout, first, count), layout);
    const at::Tensor base =
        at::where(given.isfinite(), given, at::full({}, lowest, given.options()));
    const at::Tensor scaled = scale.Apply(base);
    // Slices in which all pixels are equal, or nothing is brighter than air, hold nothing to
    // translate.
    const at::Tensor flat = scaled.flatten(1);
    const at::Tensor wanted =
        (flat.amax(1) > flat.amin(1)).logical_and(flat.amax(1) > kAir).nonzero().flatten();
    result.empty_slices += count - wanted.size(0);
    at::Tensor translated = base.clone();
    if (wanted.size(0) > 0) {
      const at::Tensor chosen = scaled.index_select(0, wanted);
      const at::Tensor change = (RunNetwork(network, chosen) - chosen) / scale.factor;
      translated.index_add_(0, wanted, change);
    }
    if (head.defined()) {
      const at::Tensor inside =
          CanonicalFromStored(StoredSlices(head, layout, first, count), layout).ne(0);
      translated = at::where(inside, translated, base);
    }
    const at::Tensor change = translated - base;
    of_input.Add(base);
    of_output.Add(translated);
    of_change.Add(change);
    change_sum += change.abs().sum(at::kDouble).item<double>();

    SliceLayout part = layout;
    part.size[0] = count;
    StoredSlices(output, layout, first, count).copy_(StoredFromCanonical(translated, part));
    progress(first + count, result.slices);
  }
  const double range = scale.factor > 0 ? 1 / scale.factor : 1;
  const double pixels = static_cast<double>(layout.size[1] * layout.size[2]);
  if (result.slices > 1) {
    const double pairs = pixels * static_cast<double>(result.slices - 1) * range;
    result.consistency = {of_input.sum() / pairs, of_output.sum() / pairs, of_change.sum() / pairs};
  }
  result.mean_change = change_sum / (pixels * static_cast<double>(result.slices) * range);
  return result;
}

}  // namespace avocet::models

// SPDX-License-Identifier: Apache-2.0
#include "app/core/lpips.h"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>

#include <memory>
#include <mutex>

#include "app/core/engine_jobs.h"
#include "app/core/select_device.h"
#include "app/core/torch_errors.h"
#include "models/perceptual/lpips.h"

namespace avocet::core {
namespace {

// The weights are half a gigabyte; the cases of a set share them.
std::shared_ptr<const models::Lpips> Loaded(const std::vector<std::filesystem::path>& weights) {
  static std::mutex mutex;
  static std::vector<std::filesystem::path> of;
  static std::shared_ptr<const models::Lpips> loaded;
  const std::lock_guard<std::mutex> lock(mutex);
  if (!loaded || of != weights) {
    loaded = std::make_shared<const models::Lpips>(weights);
    of = weights;
  }
  return loaded;
}

}  // namespace

LpipsResult RunLpips(const LpipsOptions& options, Progress& progress) {
  return WithTorchErrors([&] {
    const c10::InferenceMode inference;
    DeviceRequest request;
    request.text = "cpu";
    request.threads = options.threads;
    SelectDevice(request, progress);
    const std::shared_ptr<const models::Lpips> lpips = Loaded(options.weights);
    LpipsResult result;
    const int64_t pixels = options.width * options.height;
    for (int64_t k = 0; k < options.slices; ++k) {
      UpdateOrThrow(progress, static_cast<double>(k) / static_cast<double>(options.slices),
                    "LPIPS");
      const auto slice = [&](const double* values) {
        return at::from_blob(const_cast<double*>(values) + k * pixels,
                             {1, 1, options.height, options.width}, at::kDouble)
            .to(at::kFloat);
      };
      const at::Tensor a = slice(options.prediction), b = slice(options.reference);
      result.official01.push_back(lpips->Distance(a, b).item<double>());
      result.pm1.push_back(lpips->Distance(a * 2 - 1, b * 2 - 1).item<double>());
    }
    return result;
  });
}

}  // namespace avocet::core

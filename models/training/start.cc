// SPDX-License-Identifier: Apache-2.0
#include "models/training/start.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>

#include "app/base/error.h"
#include "models/architecture/rwkv_unet_layout.h"

namespace avocet::models {
namespace {

constexpr const char* kHint = "; 'avocet model info' lists every tensor";

bool IsClassLayer(const std::string& name) { return name.rfind("final_conv.", 0) == 0; }

}  // namespace

LayoutReport CheckStart(const TensorFile& file, const std::string& source) {
  const auto found = DetectArchitecture(file);
  if (!found) {
    throw ModelError("'" + source +
                     "' cannot be started from: its tensors fit no variant of RWKV-UNet" + kHint);
  }
  if (found->architecture != "rwkv-unet") {
    throw ModelError("'" + source + "' cannot be started from: it holds " + found->architecture +
                     " " + found->variant + ", and this training is of RWKV-UNet");
  }
  LayoutReport report = *found;
  report.unexpected.clear();  // they are reported, and do no harm
  // Without a class layer the rest of a network is as good a beginning.
  const bool no_classes = std::none_of(file.tensors.begin(), file.tensors.end(),
                                       [](const auto& entry) { return IsClassLayer(entry.first); });
  if (no_classes) {
    report.missing.erase(std::remove_if(report.missing.begin(), report.missing.end(), IsClassLayer),
                         report.missing.end());
  }
  if (!report.Complete()) {
    throw ModelError("'" + source + "' cannot be started from: it is no complete RWKV-UNet " +
                     report.variant + ": " + report.Complaint() + kHint);
  }
  return *found;
}

StartReport StartFrom(const TensorFile& file, const std::string& source, RwkvUnet& network) {
  const LayoutReport layout = CheckStart(file, source);
  if (layout.variant != network.config().variant) {
    throw ModelError("'" + source + "' holds RWKV-UNet " + layout.variant +
                     ", and this training is of variant " + network.config().variant +
                     "; train the variant of the file");
  }
  StartReport report;
  report.classes = layout.classes;
  report.encoder_only = layout.encoder_only;
  report.unused = layout.unused;
  report.unknown = layout.unexpected;
  const at::NoGradGuard no_grad;
  for (const ParameterStore::Entry& entry : network.parameters().entries()) {
    const StoredTensor* stored = file.Find(layout.NameInFile(entry.name));
    const bool other_classes =
        IsClassLayer(entry.name) && layout.classes != network.config().classes;
    if (stored == nullptr || other_classes) {
      report.fresh.push_back(entry.name);
      continue;
    }
    const at::Tensor value = ToTensor(*stored);
    if (value.is_floating_point() && !at::isfinite(value).all().item<bool>()) {
      throw ModelError("'" + source + "' cannot be started from: its tensor '" + entry.name +
                       "' holds values that are not finite");
    }
    at::Tensor target = entry.value;
    target.copy_(value);
    report.loaded.push_back(entry.name);
  }
  return report;
}

}  // namespace avocet::models

// SPDX-License-Identifier: Apache-2.0
#include "models/load_network.h"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>

#include "app/base/error.h"
#include "models/architecture/rwkv_unet_layout.h"
#include "models/model_card.h"

namespace avocet::models {
namespace {

constexpr uint64_t kFillSeed = 1234;

}  // namespace

std::unique_ptr<RwkvUnet> LoadRwkvUnet(const TensorFile& file, const std::string& source,
                                       const LoadOptions& options) {
  const LayoutReport report = MatchRwkvUnet(
      file, options.variant.empty() ? std::nullopt : std::make_optional(options.variant),
      options.classes == 0 ? std::nullopt : std::make_optional(options.classes));
  const bool acceptable = options.allow_missing
                              ? report.wrong_shape.empty() && report.unexpected.empty()
                              : report.Complete() && !report.encoder_only;
  if (!acceptable) {
    const std::string complaint = report.encoder_only && report.Complete()
                                      ? "it holds an encoder only, the decoder is missing"
                                      : report.Complaint();
    throw ModelError("'" + source + "' does not fit RWKV-UNet " + report.variant + " with " +
                     std::to_string(report.classes) + " classes: " + complaint +
                     "; 'avocet model info' lists every tensor");
  }
  WkvMode mode = WkvMode::kExact;
  if (options.wkv) {
    mode = *options.wkv;
  } else {
    const ModelCard card = CardOf(file);
    if (!card.empty() && !card.wkv.empty()) mode = WkvModeFromName(card.wkv);
  }
  auto network =
      std::make_unique<RwkvUnet>(RwkvUnetConfig::ForVariant(report.variant, report.classes), mode);
  if (!report.missing.empty()) {
    at::Generator generator = at::detail::createCPUGenerator(kFillSeed);
    network->Initialise(generator);
  }
  for (const std::string& name : report.matched) {
    const StoredTensor* stored = file.Find(report.NameInFile(name));
    const at::ScalarType type = network->parameters().Get(name).scalar_type();
    network->parameters().Set(name, ToTensor(*stored).to(type));
  }
  return network;
}

TensorFile ToTensorFile(const ParameterStore& parameters) {
  TensorFile file;
  file.format = "safetensors";
  for (const auto& entry : parameters.entries()) {
    file.tensors.emplace_back(entry.name, FromTensor(entry.value));
  }
  return file;
}

}  // namespace avocet::models

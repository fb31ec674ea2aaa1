// SPDX-License-Identifier: Apache-2.0
#include "models/fs_rwkv/load_fs_rwkv.h"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>

#include "app/base/error.h"
#include "models/model_card.h"

namespace avocet::models {
namespace {

constexpr uint64_t kFillSeed = 1234;

}  // namespace

std::unique_ptr<FsRwkv> LoadFsRwkv(const TensorFile& file, const std::string& source,
                                   const FsLoadOptions& options) {
  const auto sizes = FindFsRwkvSizes(file);
  if (!sizes) {
    throw ModelError("'" + source +
                     "' holds no FS-RWKV; see what it holds with 'avocet model info'");
  }
  const LayoutReport report = MatchFsRwkv(file);
  const bool acceptable = options.allow_missing
                              ? report.wrong_shape.empty() && report.unexpected.empty()
                              : report.Complete();
  if (!acceptable) {
    throw ModelError("'" + source + "' does not fit FS-RWKV " + report.variant + ": " +
                     report.Complaint() + "; 'avocet model info' lists every tensor");
  }
  FsRwkvConfig config;
  config.sizes = *sizes;
  config.geometry = options.geometry;
  if (options.wkv) {
    config.wkv = *options.wkv;
  } else {
    const ModelCard card = CardOf(file);
    if (!card.empty() && !card.wkv.empty()) {
      config.wkv = WkvModeFromName(card.wkv, WkvMode::kOfficial64);
    }
  }
  auto network = std::make_unique<FsRwkv>(config);
  if (!report.missing.empty()) {
    at::Generator generator = at::detail::createCPUGenerator(kFillSeed);
    network->Initialise(generator);
  }
  for (const std::string& name : report.matched) {
    at::Tensor target = network->parameters().Get(name);
    target.copy_(ToTensor(*file.Find(name)));  // one tensor at a time: the file is large
  }
  return network;
}

}  // namespace avocet::models

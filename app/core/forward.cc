// SPDX-License-Identifier: Apache-2.0
#include "app/core/forward.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <chrono>
#include <functional>
#include <memory>

#include "app/core/engine_jobs.h"
#include "app/core/select_device.h"
#include "app/core/torch_errors.h"
#include "models/checkpoint/tensor_file.h"
#include "models/fs_rwkv/load_fs_rwkv.h"
#include "models/load_network.h"

namespace avocet::core {
namespace {

// What a job needs of a network.
struct Network {
  std::string architecture, wkv;
  int64_t batch;  // images a step: bounds memory and gives progress
  std::function<at::Tensor(const at::Tensor&)> forward;
};

constexpr const char* kFsRwkv = "fs-rwkv";

Network LoadUnet(const ForwardJobOptions& options, const models::TensorFile& file,
                 at::ScalarType type, c10::Device device) {
  models::LoadOptions load;
  if (!options.wkv.empty()) load.wkv = models::WkvModeFromName(options.wkv);
  if (!options.architecture.empty()) {
    load.variant = std::string(1, static_cast<char>(std::toupper(options.architecture.back())));
  }
  load.classes = options.classes;
  load.allow_missing = options.allow_missing;
  const std::shared_ptr<models::RwkvUnet> network =
      models::LoadRwkvUnet(file, options.model.string(), load);
  const models::Precision precision = models::PrecisionFromName(options.precision, device.type());
  if (device.is_cpu() && type == at::kFloat) {
    network->Freeze(precision);
  } else {
    network->set_precision(precision);
  }
  network->parameters().To(type);
  network->parameters().To(device);
  return {"rwkv-unet-" + network->config().variant, models::NameOf(network->wkv_mode()), 4,
          [network](const at::Tensor& image) { return network->Forward(image); }};
}

Network LoadTranslator(const ForwardJobOptions& options, const models::TensorFile& file,
                       at::ScalarType type, c10::Device device) {
  if (options.classes != 0) {
    throw OptionError("--classes has no meaning for FS-RWKV, which has no classes; leave it out");
  }
  if (options.precision != "float32") {
    throw OptionError("--precision has a meaning for RWKV-UNet only; leave it out");
  }
  models::FsLoadOptions load;
  if (!options.wkv.empty()) {
    load.wkv = models::WkvModeFromName(options.wkv, models::WkvMode::kOfficial64);
  }
  if (!options.geometry.empty()) load.geometry = models::FsGeometryFromName(options.geometry);
  load.allow_missing = options.allow_missing;
  const std::shared_ptr<models::FsRwkv> network =
      models::LoadFsRwkv(file, options.model.string(), load);
  network->parameters().To(type);
  network->parameters().To(device);
  return {std::string(kFsRwkv) + "-" + network->config().sizes.Variant(),
          models::NameOf(network->config().wkv), 1,
          [network](const at::Tensor& image) { return network->Forward(image); }};
}

Network Load(const ForwardJobOptions& options, at::ScalarType type, c10::Device device) {
  const models::TensorFile file = models::ReadTensorFile(options.model);
  const bool translator = options.architecture.empty() ? models::FindFsRwkvSizes(file).has_value()
                                                       : options.architecture == kFsRwkv;
  if (translator) return LoadTranslator(options, file, type, device);
  if (!options.geometry.empty()) {
    throw OptionError("--geometry has a meaning for FS-RWKV only; leave it out");
  }
  return LoadUnet(options, file, type, device);
}

at::Tensor ReadInput(const ForwardJobOptions& options) {
  const models::TensorFile file = models::ReadTensorFile(options.input);
  const models::StoredTensor* chosen = nullptr;
  std::string names;
  for (const auto& [name, tensor] : file.tensors) {
    if (!names.empty()) names += ", ";
    names += name;
    const bool wanted =
        options.input_tensor.empty() ? tensor.shape.size() == 4 : name == options.input_tensor;
    if (wanted && chosen == nullptr) chosen = &tensor;
  }
  const std::string where = "'" + options.input.string() + "'";
  if (chosen == nullptr) {
    throw OptionError(where + " has no " +
                      (options.input_tensor.empty() ? std::string("tensor [N, C, H, W]")
                                                    : "tensor '" + options.input_tensor + "'") +
                      "; it holds: " + names);
  }
  const at::Tensor input = models::ToTensor(*chosen);
  if (input.dim() != 4 || (input.size(1) != 1 && input.size(1) != 3) || input.numel() == 0) {
    throw OptionError("the input tensor of " + where + " is " + c10::str(input.sizes()) +
                      "; it must be [N, C, H, W] with 1 or 3 channels");
  }
  return input.to(options.dtype == "float64" ? at::kDouble : at::kFloat);
}

}  // namespace

ForwardJobResult RunForward(const ForwardJobOptions& options, Progress& progress) {
  if (const std::string wrong = options.Check(); !wrong.empty()) throw OptionError(wrong);
  const c10::Device device = SelectDevice(options.device, progress);
  return WithTorchErrors([&] {
    c10::InferenceMode inference;
    UpdateOrThrow(progress, Progress::kUnknown, "reading the model");
    const at::Tensor input = ReadInput(options);
    const Network network = Load(options, input.scalar_type(), device);

    const auto start = std::chrono::steady_clock::now();
    const int64_t images = input.size(0);
    std::vector<at::Tensor> outputs;
    for (int64_t n = 0; n < images; n += network.batch) {
      UpdateOrThrow(progress, static_cast<double>(n) / images, "computing");
      const at::Tensor part = input.slice(0, n, std::min(images, n + network.batch)).to(device);
      outputs.push_back(network.forward(part).to(at::kCPU).contiguous());
    }
    ForwardJobResult result;
    result.seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    const at::Tensor output = at::cat(outputs);
    result.input_shape = input.sizes().vec();
    result.output_shape = output.sizes().vec();
    result.architecture = network.architecture;
    result.wkv = network.wkv;

    models::TensorFile file;
    file.tensors.emplace_back("output", models::FromTensor(output));
    file.metadata["architecture"] = result.architecture;
    file.metadata["wkv"] = result.wkv;
    models::WriteSafetensors(file, options.output);
    return result;
  });
}

}  // namespace avocet::core

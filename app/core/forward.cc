// SPDX-License-Identifier: Apache-2.0
#include "app/core/forward.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <chrono>

#include "app/core/engine_jobs.h"
#include "app/core/select_device.h"
#include "app/core/torch_errors.h"
#include "models/checkpoint/tensor_file.h"
#include "models/load_network.h"

namespace avocet::core {
namespace {

// Images a step: bounds memory and gives progress.
constexpr int64_t kBatch = 4;

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
    models::LoadOptions load;
    if (!options.wkv.empty()) load.wkv = models::WkvModeFromName(options.wkv);
    if (!options.architecture.empty()) {
      load.variant = std::string(1, static_cast<char>(std::toupper(options.architecture.back())));
    }
    load.classes = options.classes;
    load.allow_missing = options.allow_missing;
    const auto network =
        models::LoadRwkvUnet(models::ReadTensorFile(options.model), options.model.string(), load);
    const at::Tensor input = ReadInput(options);
    network->parameters().To(input.scalar_type());
    network->parameters().To(device);

    const auto start = std::chrono::steady_clock::now();
    const int64_t images = input.size(0);
    std::vector<at::Tensor> outputs;
    for (int64_t n = 0; n < images; n += kBatch) {
      UpdateOrThrow(progress, static_cast<double>(n) / images, "computing");
      const at::Tensor part = input.slice(0, n, std::min(images, n + kBatch)).to(device);
      outputs.push_back(network->Forward(part).to(at::kCPU).contiguous());
    }
    ForwardJobResult result;
    result.seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    const at::Tensor output = at::cat(outputs);
    result.input_shape = input.sizes().vec();
    result.output_shape = output.sizes().vec();
    result.architecture = "rwkv-unet-" + network->config().variant;
    result.wkv = models::NameOf(network->wkv_mode());

    models::TensorFile file;
    file.tensors.emplace_back("output", models::FromTensor(output));
    file.metadata["architecture"] = result.architecture;
    file.metadata["wkv"] = result.wkv;
    models::WriteSafetensors(file, options.output);
    return result;
  });
}

}  // namespace avocet::core

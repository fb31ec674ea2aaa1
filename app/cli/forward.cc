// SPDX-License-Identifier: Apache-2.0
#include "app/core/forward.h"

#include <cstdio>
#include <memory>

#include "app/cli/command.h"
#include "app/core/engine.h"

namespace avocet::cli {
namespace {

std::string ShapeText(const std::vector<int64_t>& shape) {
  std::string text;
  for (int64_t extent : shape) text += (text.empty() ? "" : " x ") + std::to_string(extent);
  return text;
}

// "X.safetensors:image" names a tensor; a name that exists as it stands is a file.
void SplitInput(const std::string& text, core::ForwardJobOptions& options) {
  const size_t colon = text.rfind(':');
  if (colon == std::string::npos || std::filesystem::exists(text)) {
    options.input = text;
  } else {
    options.input = text.substr(0, colon);
    options.input_tensor = text.substr(colon + 1);
  }
}

}  // namespace

void AddForward(CLI::App& app, Action& action) {
  auto options = std::make_shared<core::ForwardJobOptions>();
  auto input = std::make_shared<std::string>();
  CLI::App* command = app.add_subcommand("forward", "Run a network on a tensor file");
  command->add_option("-m,--model", options->model, "Checkpoint (.pth) or .safetensors")
      ->required();
  command
      ->add_option(
          "-i,--input", *input,
          "FILE.safetensors[:TENSOR], [N, C, H, W]; RWKV-UNet repeats one channel to three, "
          "FS-RWKV takes one")
      ->required();
  command->add_option("-o,--output", options->output, "Written; holds one tensor, 'output'")
      ->required();
  command->add_option("--architecture", options->architecture,
                      "rwkv-unet-t, rwkv-unet-s, rwkv-unet-b or fs-rwkv (default: found from the "
                      "tensors)");
  command->add_option("--classes", options->classes,
                      "RWKV-UNet: number of classes (default: from the file)");
  command->add_option("--geometry", options->geometry,
                      "FS-RWKV: native (the image's own rows and columns, any size; default) or "
                      "official (tokens shift on a square grid, as the published code does; sides "
                      "multiples of 8, a square number of pixels)");
  command->add_option(
      "--wkv", options->wkv,
      "exact (the definition) or official (what the official CUDA kernel computes); "
      "default: what the model says, else exact");
  command->add_option("--dtype", options->dtype, "float32 or float64")->capture_default_str();
  command
      ->add_option("--precision", options->precision,
                   "RWKV-UNet: matrix products in float32, bfloat16 (CPUs with AMX, GPUs) or tf32 "
                   "(GPUs)")
      ->capture_default_str();
  command->add_flag("--allow-missing", options->allow_missing,
                    "Fill missing tensors with initial values instead of refusing");
  command->add_option("--device", options->device.text, "auto, cpu, cuda or cuda:N")
      ->capture_default_str();
  command->add_option("--threads", options->device.threads, "CPU threads, 0 = all cores")
      ->capture_default_str();
  command->callback([options, input, &action] {
    action = [options, input](Progress& progress) {
      SplitInput(*input, *options);
      const core::ForwardJobResult result = core::LoadEngine().forward(*options, progress);
      std::printf("%s, %s: %s -> %s in %.3f s, written to %s\n", result.architecture.c_str(),
                  result.wkv.c_str(), ShapeText(result.input_shape).c_str(),
                  ShapeText(result.output_shape).c_str(), result.seconds,
                  options->output.string().c_str());
      return ExitCode::kOk;
    };
  });
}

}  // namespace avocet::cli

// SPDX-License-Identifier: Apache-2.0
#include "app/core/demo.h"

#include <cstdio>
#include <memory>

#include "app/cli/command.h"

namespace avocet::cli {

void AddDemo(CLI::App& app, Action& action) {
  auto options = std::make_shared<core::DemoOptions>();
  CLI::App* command = app.add_subcommand(
      "demo", "Segment the sample cases that ship, score them, draw a picture of the result");
  command->add_option("-o,--output", options->output, "Folder for masks, scores and picture")
      ->capture_default_str();
  command->add_option("--data", options->data,
                      "Other cases: a folder that holds images/ and labels/ of equal file names");
  command->add_option("-m,--model", options->model, "Another model");
  command->add_option("--device", options->device.text, "auto, cpu, cuda or cuda:N")
      ->capture_default_str();
  command->add_option("--threads", options->device.threads, "CPU threads, 0 = all cores")
      ->capture_default_str();
  command->callback([options, &action] {
    action = [options](Progress& progress) {
      const core::DemoResult result = core::RunDemo(*options, progress);
      std::fputs(core::DemoText(result).c_str(), stdout);
      return ExitCode::kOk;
    };
  });
}

}  // namespace avocet::cli

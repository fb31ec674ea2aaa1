// SPDX-License-Identifier: Apache-2.0
#include "app/core/doctor.h"

#include <cstdio>
#include <memory>

#include "app/cli/command.h"

namespace avocet::cli {

void AddDoctor(CLI::App& app, Action& action) {
  auto json = std::make_shared<bool>(false);
  CLI::App* command =
      app.add_subcommand("doctor", "Say what this program and machine can do, and why not");
  command->add_flag("--json", *json, "Print JSON");
  command->callback([json, &action] {
    action = [json](Progress& progress) {
      const core::DoctorReport report = core::RunDoctor(progress);
      std::fputs((*json ? core::DoctorJson(report) : core::DoctorText(report)).c_str(), stdout);
      return report.engine_error.empty() ? ExitCode::kOk : ExitCode::kDevice;
    };
  });
}

}  // namespace avocet::cli

// SPDX-License-Identifier: Apache-2.0
#include "app/core/anonymize.h"

#include <cstdio>
#include <memory>

#include "app/cli/command.h"

namespace avocet::cli {

void AddAnonymize(CLI::App& app, Action& action) {
  auto options = std::make_shared<core::AnonymizeOptions>();
  CLI::App* command = app.add_subcommand(
      "anonymize", "De-identify DICOM by the basic confidentiality profile (PS3.15)");
  command->add_option("input", options->input, "DICOM file, or a folder of them")->required();
  command->add_option("output", options->output, "New file, or new folder")->required();
  command->add_option("--report", options->report,
                      "Where the JSON report goes (default: report.json in the output folder)");
  command->callback([options, &action] {
    action = [options](Progress& progress) {
      const core::AnonymizeResult result = core::RunAnonymize(*options, progress);
      for (const auto& warning : result.report.warnings) progress.Warn(warning);
      for (const auto& failure : result.failures)
        std::fprintf(stderr, "avocet: error: %s\n", failure.c_str());
      int removed = 0;
      int emptied = 0;
      int replaced = 0;
      for (const auto& entry : result.report.attributes) {
        removed += entry.second.removed;
        emptied += entry.second.emptied;
        replaced += entry.second.replaced;
      }
      std::printf("%s\n", options->output.c_str());
      std::printf(
          "  %zu files written, %d attributes removed, %d emptied, %d replaced, %d private "
          "removed\n",
          result.files.size(), removed, emptied, replaced, result.report.private_removed);
      if (result.skipped > 0)
        std::printf("  %d files are not DICOM and were left out\n", result.skipped);
      if (result.failures.empty()) return ExitCode::kOk;
      return result.files.empty() ? ExitCode::kIo : ExitCode::kSomeFailed;
    };
  });
}

}  // namespace avocet::cli

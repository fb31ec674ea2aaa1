// SPDX-License-Identifier: Apache-2.0
#include "app/core/convert.h"

#include <cstdio>
#include <memory>

#include "app/cli/command.h"
#include "io/format.h"

namespace avocet::cli {

void AddConvert(CLI::App& app, Action& action) {
  auto options = std::make_shared<core::ConvertOptions>();
  CLI::App* command =
      app.add_subcommand("convert", "An image in another file format, voxels and geometry exactly");
  command
      ->add_option("input", options->input,
                   "Image to read; FILE#NAME names an array of an .h5 or .npz file")
      ->required();
  command
      ->add_option("output", options->output,
                   "File to write; its name ends in " + io::WritableExtensions())
      ->required();
  command->add_flag("--keep-text", options->keep_text,
                    "Keep free text of a NIfTI header, which may name the patient");
  command->callback([options, &action] {
    action = [options](Progress& progress) {
      const core::ConvertResult result = core::Convert(*options, progress);
      for (const auto& note : result.notes) {
        progress.Warn(options->input.string() + ": " + note);
      }
      const auto& size = result.geometry.size;
      std::printf("%s: %s from %s, %lld x %lld x %lld %s, %s\n", options->output.c_str(),
                  result.output_format.c_str(), result.input_format.c_str(),
                  static_cast<long long>(size[0]), static_cast<long long>(size[1]),
                  static_cast<long long>(size[2]), io::NameOf(result.type),
                  result.orientation.c_str());
      return ExitCode::kOk;
    };
  });
}

}  // namespace avocet::cli

// SPDX-License-Identifier: Apache-2.0
#include "app/cli/command.h"

namespace avocet::cli {

void AddSeriesOptions(CLI::App& command, std::string& series, bool& regularise) {
  command.add_option("--series", series,
                     "Which DICOM series: its number in 'avocet info', UID, or UID:N");
  command.add_flag("--regularise,--regularize", regularise,
                   "Resample a DICOM series with tilt, missing or uneven slices onto an even grid");
}

}  // namespace avocet::cli

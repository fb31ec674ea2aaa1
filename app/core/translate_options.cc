// SPDX-License-Identifier: Apache-2.0
// Free of LibTorch, so that the command line is checked before the engine is loaded.
#include "app/core/translate.h"

#include "app/core/version.h"

namespace avocet::core {

const char* const kTranslateNotice =
    "the output is synthetic: a network's estimate, which can lose or invent structures; research "
    "use only, not for diagnosis";

std::string TranslateDescription() {
  return std::string("synthetic, not acquired: avocet translate ") + Version();
}

std::string TranslateOptions::Check() const {
  if (inputs.empty()) return "no input is given; name an image or a folder of images";
  if (model.empty()) return "no model is given; name one with --model";
  if (output.empty()) return "no output is given; name a file or folder with --output";
  if (batch < 0) return "--batch is " + std::to_string(batch) + "; it must be 0 (auto) or more";
  if (plane != "auto" && plane != "axial" && plane != "coronal" && plane != "sagittal") {
    return "--plane is '" + plane + "'; it must be auto, axial, coronal or sagittal";
  }
  if (const std::string wrong = Names().Check(); !wrong.empty()) return wrong;
  return device.Check();
}

OutputNames TranslateOptions::Names() const {
  OutputNames names;
  names.output = output;
  names.suffix = plain_name ? "" : "_synthetic";
  names.format = format;
  return names;
}

}  // namespace avocet::core

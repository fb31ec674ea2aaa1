// SPDX-License-Identifier: Apache-2.0
// Free of LibTorch, so that the command line is checked before the engine is loaded.
#include "app/core/segment.h"

namespace avocet::core {

std::string SegmentOptions::Check() const {
  if (inputs.empty()) return "no input is given; name an image or a folder of images";
  if (model.empty()) return "no model is given; name one with --model";
  if (output.empty()) return "no output is given; name a file or folder with --output";
  if (batch < 1) return "--batch is " + std::to_string(batch) + "; it must be at least 1";
  if (tta != "none" && tta != "flip" && tta != "flip-rot") {
    return "--tta is '" + tta + "'; it must be none, flip or flip-rot";
  }
  if (precision != "float32" && precision != "tf32" && precision != "bfloat16") {
    return "--precision is '" + precision + "'; it must be float32, tf32 or bfloat16";
  }
  if (const std::string wrong = Names().Check(); !wrong.empty()) return wrong;
  return device.Check();
}

OutputNames SegmentOptions::Names() const {
  OutputNames names;
  names.output = output;
  names.format = format;
  names.dicom_seg = true;
  return names;
}

}  // namespace avocet::core

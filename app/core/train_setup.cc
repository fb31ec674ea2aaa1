// SPDX-License-Identifier: Apache-2.0
#include "app/core/train_setup.h"

#include "app/base/error.h"
#include "app/core/select_device.h"
#include "app/core/shipped.h"
#include "io/file_util.h"
#include "models/architecture/layout.h"
#include "models/training/schedule.h"

namespace avocet::core {
namespace fs = std::filesystem;

void CheckRun(const TrainRunOptions& options, Progress& progress) {
  if (options.device.text.rfind("cuda", 0) == 0) {
    throw DeviceError("training on a GPU is not supported yet; use --device cpu");
  }
  DeviceRequest device = options.device;
  device.text = "cpu";
  SelectDevice(device, progress);
  models::ScheduleOptions schedule;
  schedule.name = options.schedule;
  if (const std::string wrong = schedule.Check(); !wrong.empty()) throw OptionError(wrong);
  const fs::path checkpoint = options.output / "last.ckpt";
  if (options.resume && !fs::exists(checkpoint)) {
    throw IoError("--resume: there is no '" + checkpoint.string() + "'; start without --resume");
  }
  if (!options.resume && fs::exists(checkpoint)) {
    throw OptionError("'" + options.output.string() +
                      "' holds a training already; add --resume to continue it, or name another "
                      "folder");
  }
}

std::optional<StartFile> ReadStart(const TrainRunOptions& options) {
  if (options.init.empty()) return std::nullopt;
  StartFile start;
  start.path = FindModel(options.init);
  start.sha256 = io::Sha256OfFile(start.path);
  start.file = models::ReadTensorFile(start.path);
  return start;
}

std::vector<std::string> DifferencesOfStart(const models::ModelCard& start,
                                            const models::ModelCard& own) {
  std::vector<std::string> sentences;
  if (start.empty()) return sentences;
  const auto compare = [&](const char* what, const std::string& before, const std::string& now) {
    if (before != now) {
      sentences.push_back(std::string("the model to start from was made with ") + what + " '" +
                          before + "', this training uses '" + now + "'");
    }
  };
  const models::Preprocessing &p = start.preprocessing, &q = own.preprocessing;
  const auto range = [](const models::Preprocessing& one) {
    const bool bounded = one.intensity == "percentile" || one.intensity == "window";
    return one.intensity +
           (bounded ? " " + FieldText(one.lower) + " to " + FieldText(one.upper) : "");
  };
  const auto resample = [](const models::Preprocessing& one) {
    if (one.resample == "spacing") return "spacing " + FieldText(one.pixel_mm) + " mm";
    if (one.resample == "transunet") {
      return "transunet " + FieldText(one.size[0]) + " x " + FieldText(one.size[1]);
    }
    return one.resample;
  };
  compare("the modality", start.modality, own.modality);
  compare("the plane", start.plane, own.plane);
  compare("the arithmetic of Bi-WKV", start.wkv, own.wkv);
  compare("intensities by", range(p), range(q));
  compare("resampling by", resample(p), resample(q));
  compare("this number of neighbouring slices:", FieldText(p.context), FieldText(q.context));
  if (start.labels.size() == own.labels.size()) {
    for (size_t c = 0; c < own.labels.size(); ++c) {
      compare(("class " + std::to_string(c)).c_str(), start.labels[c].name, own.labels[c].name);
    }
  }
  return sentences;
}

std::string DescribeStart(const TrainStart& start) {
  std::string text = start.architecture + (start.encoder_only ? " encoder" : "") + ", sha256 " +
                     start.sha256 + ": " + std::to_string(start.loaded) + " tensors loaded, " +
                     std::to_string(start.fresh.size()) + " new, " +
                     std::to_string(start.unused.size() + start.unknown.size()) + " unused";
  return text;
}

}  // namespace avocet::core

// SPDX-License-Identifier: Apache-2.0
#include "app/core/doctor.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <nlohmann/json.hpp>

#include "app/core/engine.h"
#include "app/core/shipped.h"
#include "app/core/version.h"
#include "models/checkpoint/tensor_file.h"
#include "models/model_card.h"

namespace avocet::core {
namespace fs = std::filesystem;
namespace {

constexpr const char* kNotBuilt = "not in this build";

std::string Gigabytes(int64_t bytes) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f GB", bytes / 1e9);
  return text;
}

FoundModel Inspect(const fs::path& path) {
  FoundModel found;
  found.path = path;
  try {
    const models::TensorFile file = models::ReadTensorFile(path);
    const auto card_text = file.metadata.find("avocet");
    if (card_text == file.metadata.end()) {
      found.summary = std::to_string(file.tensors.size()) +
                      " tensors, no model card ('avocet model info' tells more)";
      return found;
    }
    const models::ModelCard card = models::ModelCardFromJson(card_text->second);
    found.summary = card.architecture + " " + card.variant + ", " + card.task + ", " +
                    std::to_string(card.labels.size()) + " classes" +
                    (card.modality.empty() ? "" : ", " + card.modality) + ", " + card.plane;
  } catch (const Error& error) {
    found.error = error.what();
  }
  return found;
}

void InspectTemporaryFolder(DoctorReport& report) {
  std::error_code error;
  report.temporary_folder = fs::temp_directory_path(error);
  if (error) {
    report.temporary_error = "there is no temporary folder: " + error.message();
    return;
  }
  std::string probe = (report.temporary_folder / "avocet_doctor_XXXXXX").string();
  const int file = mkstemp(probe.data());
  if (file < 0) {
    report.temporary_error = std::string("cannot be written: ") + std::strerror(errno);
    return;
  }
  close(file);
  unlink(probe.c_str());
  const fs::space_info space = fs::space(report.temporary_folder, error);
  if (!error) report.temporary_free_bytes = static_cast<int64_t>(space.available);
}

}  // namespace

DoctorReport RunDoctor(Progress& progress) {
  DoctorReport report;
  report.version = Version();
  std::error_code ignored;
  report.program = fs::read_symlink("/proc/self/exe", ignored);
  report.machine = DescribeMachine();
  UpdateOrThrow(progress, Progress::kUnknown, "loading the compute engine");
  try {
    report.device = LoadEngine().describe_devices();
  } catch (const Error& error) {
    report.engine_error = error.what();
  }
#ifdef AVOCET_ITK_VERSION
  report.libraries.emplace_back("ITK", AVOCET_ITK_VERSION);
#else
  report.libraries.emplace_back("ITK", kNotBuilt);
#endif
#ifdef AVOCET_VTK_VERSION
  report.libraries.emplace_back("VTK", AVOCET_VTK_VERSION);
#else
  report.libraries.emplace_back("VTK", kNotBuilt);
#endif
#ifdef AVOCET_QT_VERSION
  report.libraries.emplace_back("Qt", AVOCET_QT_VERSION);
#else
  report.libraries.emplace_back("Qt", kNotBuilt);
#endif
  report.model_folders = ModelFolders();
  for (const fs::path& folder : report.model_folders) {
    UpdateOrThrow(progress, Progress::kUnknown, "looking at the models");
    std::vector<fs::path> files;
    for (const auto& entry : fs::directory_iterator(folder, ignored)) {
      const std::string extension = entry.path().extension().string();
      if (extension == ".safetensors" || extension == ".pth" || extension == ".pt") {
        files.push_back(entry.path());
      }
    }
    std::sort(files.begin(), files.end());
    for (const fs::path& file : files) report.models.push_back(Inspect(file));
  }
  InspectTemporaryFolder(report);
  UpdateOrThrow(progress, 1, "done");
  return report;
}

std::string DoctorText(const DoctorReport& report) {
  std::string text;
  const auto line = [&text](const std::string& name, const std::string& value) {
    std::string padded = name;
    padded.resize(std::max<size_t>(padded.size() + 1, 11), ' ');
    text += padded + value + "\n";
  };
  line("Avocet", report.version + "  (" + report.program.string() + ")");
  std::string features;
  for (const std::string& feature : report.machine.cpu_features) {
    features += (features.empty() ? "" : ", ") + feature;
  }
  line("CPU", report.machine.cpu_model.empty() ? "unknown model" : report.machine.cpu_model);
  line("", features.empty() ? "none of AVX2, AVX-512, AMX" : features);
  line("cores", std::to_string(report.machine.cores) + " usable");
  line("memory", Gigabytes(report.machine.memory_bytes) + ", " +
                     Gigabytes(report.machine.available_bytes) + " available");
  if (report.engine_error.empty()) {
    line("LibTorch",
         report.device.torch_version + ", " + std::to_string(report.device.threads) + " threads");
    if (report.device.cuda_available) {
      for (size_t i = 0; i < report.device.cuda_names.size(); ++i) {
        line(i == 0 ? "GPU" : "", "cuda:" + std::to_string(i) + "  " + report.device.cuda_names[i]);
      }
    } else {
      line("GPU", "not used: " + report.device.cuda_reason);
    }
  } else {
    line("LibTorch", "NOT USABLE: " + report.engine_error);
    line("GPU", "unknown without LibTorch");
  }
  for (const auto& [name, version] : report.libraries) line(name, version);
  if (report.models.empty()) {
    line("models", "none found");
  }
  bool first = true;
  for (const FoundModel& model : report.models) {
    line(first ? "models" : "",
         model.path.filename().string() + ": " +
             (model.error.empty() ? model.summary : "NOT USABLE: " + model.error));
    first = false;
  }
  first = true;
  for (const fs::path& folder : report.model_folders) {
    line(first ? "looked in" : "", folder.string());
    first = false;
  }
  if (report.model_folders.empty()) {
    line("looked in", "no folder exists; put models in a folder and name it in AVOCET_MODELS");
  }
  line("temporary", report.temporary_folder.string() +
                        (report.temporary_error.empty()
                             ? ", writable, " + Gigabytes(report.temporary_free_bytes) + " free"
                             : ": " + report.temporary_error));
  return text;
}

std::string DoctorJson(const DoctorReport& report) {
  using nlohmann::ordered_json;
  ordered_json json;
  json["version"] = report.version;
  json["program"] = report.program.string();
  json["cpu"] = {{"model", report.machine.cpu_model},
                 {"features", report.machine.cpu_features},
                 {"usable_cores", report.machine.cores}};
  json["memory_bytes"] = {{"installed", report.machine.memory_bytes},
                          {"available", report.machine.available_bytes}};
  json["engine"] = {{"usable", report.engine_error.empty()},
                    {"error", report.engine_error},
                    {"libtorch", report.device.torch_version},
                    {"threads", report.device.threads}};
  json["gpu"] = {{"usable", report.device.cuda_available},
                 {"reason", report.engine_error.empty() ? report.device.cuda_reason
                                                        : "the engine cannot be loaded"},
                 {"names", report.device.cuda_names}};
  json["libraries"] = ordered_json::object();
  for (const auto& [name, version] : report.libraries) {
    if (version == kNotBuilt) {
      json["libraries"][name] = nullptr;
    } else {
      json["libraries"][name] = version;
    }
  }
  json["model_folders"] = ordered_json::array();
  for (const fs::path& folder : report.model_folders)
    json["model_folders"].push_back(folder.string());
  json["models"] = ordered_json::array();
  for (const FoundModel& model : report.models) {
    json["models"].push_back(
        {{"file", model.path.string()}, {"summary", model.summary}, {"error", model.error}});
  }
  json["temporary_folder"] = {{"path", report.temporary_folder.string()},
                              {"error", report.temporary_error},
                              {"free_bytes", report.temporary_free_bytes}};
  return json.dump(2, ' ', false, ordered_json::error_handler_t::replace) + "\n";
}

}  // namespace avocet::core

// SPDX-License-Identifier: Apache-2.0
#include "app/core/anonymize.h"

#include <algorithm>
#include <cstdio>
#include <map>
#include <nlohmann/json.hpp>

#include "app/base/error.h"
#include "app/core/version.h"
#include "io/dicom.h"
#include "io/file_util.h"

namespace avocet::core {
namespace fs = std::filesystem;
namespace {

std::vector<fs::path> FilesBelow(const fs::path& folder) {
  std::vector<fs::path> files;
  std::error_code error;
  fs::recursive_directory_iterator at(folder, fs::directory_options::skip_permission_denied, error);
  if (error) throw IoError(folder.string() + " cannot be listed: " + error.message());
  while (at != fs::recursive_directory_iterator()) {
    if (!at->is_symlink(error) && at->is_regular_file(error)) files.push_back(at->path());
    at.increment(error);
    if (error) throw IoError(folder.string() + " cannot be listed: " + error.message());
  }
  std::sort(files.begin(), files.end());
  return files;
}

bool IsInside(const fs::path& inner, const fs::path& outer) {
  const fs::path a = fs::weakly_canonical(inner);
  const fs::path b = fs::weakly_canonical(outer);
  return std::mismatch(b.begin(), b.end(), a.begin(), a.end()).first == b.end();
}

void AnonymizeFile(const AnonymizeOptions& options, AnonymizeResult& result) {
  std::error_code error;
  fs::path out = options.output;
  if (fs::is_directory(out, error))
    throw OptionError("'" + out.string() + "' is a folder; name the output file");
  if (fs::equivalent(options.input, out, error))
    throw OptionError("'" + out.string() + "' is the input itself; originals are not overwritten");
  io::Anonymizer anonymizer;
  anonymizer.Load(options.input);
  anonymizer.Save(out);
  result.files.push_back(out);
  result.report = anonymizer.report();
}

void AnonymizeFolder(const AnonymizeOptions& options, AnonymizeResult& result, Progress& progress) {
  std::error_code error;
  if (fs::exists(options.output, error) &&
      (!fs::is_directory(options.output, error) || !fs::is_empty(options.output, error)))
    throw OptionError("'" + options.output.string() +
                      "' exists and is not an empty folder; name a new one");
  if (IsInside(options.output, options.input))
    throw OptionError("'" + options.output.string() +
                      "' lies inside the input folder; name a folder elsewhere");
  const std::vector<fs::path> files = FilesBelow(options.input);
  io::Anonymizer anonymizer;
  std::map<std::string, std::pair<int, int>> series;  // number, files so far
  for (size_t i = 0; i < files.size(); ++i) {
    UpdateOrThrow(
        progress, static_cast<double>(i) / static_cast<double>(files.size()),
        "de-identifying " + std::to_string(i + 1) + " of " + std::to_string(files.size()));
    if (files[i].filename() == "DICOMDIR" || !io::IsDicomFile(files[i])) {
      ++result.skipped;
      continue;
    }
    try {
      auto& [number, count] = series[anonymizer.Load(files[i])];
      if (number == 0) number = static_cast<int>(series.size());
      char name[64];
      std::snprintf(name, sizeof name, "series-%d/%04d.dcm", number, ++count);
      const fs::path out = options.output / name;
      fs::create_directories(out.parent_path(), error);
      anonymizer.Save(out);
      result.files.push_back(out);
    } catch (const IoError& failure) {
      result.failures.push_back(failure.what());
    }
  }
  if (result.files.empty() && result.failures.empty())
    throw IoError(options.input.string() + " holds no DICOM file");
  result.report = anonymizer.report();
}

}  // namespace

AnonymizeResult RunAnonymize(const AnonymizeOptions& options, Progress& progress) {
  if (options.input.empty() || options.output.empty())
    throw OptionError("an input and an output are needed");
  std::error_code error;
  AnonymizeResult result;
  fs::path report = options.report;
  if (fs::is_directory(options.input, error)) {
    AnonymizeFolder(options, result, progress);
    if (report.empty() && !result.files.empty()) report = options.output / "report.json";
  } else {
    AnonymizeFile(options, result);
  }
  if (!report.empty()) io::WriteFileAtomically(report, ToJson(result) + "\n");
  return result;
}

std::string ToJson(const AnonymizeResult& result) {
  nlohmann::ordered_json json;
  json["tool"] = std::string("avocet ") + Version();
  json["profile"] = "DICOM PS3.15 Annex E, Basic Application Level Confidentiality Profile (2024b)";
  json["files"] = result.report.files;
  json["not_dicom"] = result.skipped;
  json["failed"] = result.failures.size();
  json["private_attributes_removed"] = result.report.private_removed;
  json["attributes"] = nlohmann::ordered_json::object();
  for (const auto& [name, counts] : result.report.attributes)
    json["attributes"][name] = {
        {"removed", counts.removed}, {"emptied", counts.emptied}, {"replaced", counts.replaced}};
  json["warnings"] = result.report.warnings;
  return json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

}  // namespace avocet::core

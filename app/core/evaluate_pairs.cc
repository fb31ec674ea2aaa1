// SPDX-License-Identifier: Apache-2.0
#include "app/core/evaluate_pairs.h"

#include <algorithm>
#include <map>

#include "app/base/error.h"
#include "app/core/mask_file.h"
#include "io/array_volume.h"
#include "io/volume_io.h"

namespace avocet::core {
namespace {

namespace fs = std::filesystem;

void RequireThere(const fs::path& path) {
  std::error_code error;
  if (!fs::exists(io::SplitMember(path).file, error))
    throw IoError(path.string() + " does not exist; give an existing file or folder");
}

EvaluatedCase PairOf(const JobInput& prediction, const JobInput& reference) {
  EvaluatedCase item;
  item.name = prediction.name;
  item.prediction = prediction.path;
  item.reference = reference.path;
  item.error = prediction.error.empty() ? reference.error : prediction.error;
  item.prediction_input = prediction;
  item.reference_input = reference;
  return item;
}

// Of a file its name, of a DICOM series what it is called: a folder may hold several.
std::string Shown(const JobInput& input) {
  return input.series ? input.name : input.path.filename().string();
}

EvaluatedSet PairByName(const std::vector<JobInput>& predictions,
                        const std::vector<JobInput>& references, const fs::path& prediction,
                        const fs::path& reference) {
  EvaluatedSet set;
  std::map<std::string, const JobInput*> open;
  for (const JobInput& input : references) open.emplace(input.name, &input);
  for (const JobInput& input : predictions) {
    std::string stem = input.name;
    // What 'avocet translate' calls its outputs.
    const std::string suffix = "_synthetic";
    if (open.count(stem) == 0 && stem.size() > suffix.size() &&
        stem.compare(stem.size() - suffix.size(), suffix.size(), suffix) == 0) {
      stem.resize(stem.size() - suffix.size());
    }
    const auto found = open.find(stem);
    if (found == open.end()) {
      set.unpaired_predictions.push_back(Shown(input));
      continue;
    }
    set.cases.push_back(PairOf(input, *found->second));
    set.cases.back().name = found->first;
    open.erase(found);
  }
  for (const auto& [name, input] : open) set.unpaired_references.push_back(Shown(*input));
  if (set.cases.empty())
    throw IoError("no volume in " + prediction.string() + " has a namesake in " +
                  reference.string() + "; predictions and references are paired by file name");
  return set;
}

JobInput FileInput(const fs::path& path) {
  JobInput input;
  input.path = path;
  input.name = io::StemOf(path);
  return input;
}

std::vector<JobInput> MasksIn(const fs::path& folder) {
  std::vector<JobInput> inputs;
  for (const fs::path& path : ListMasks(folder)) inputs.push_back(FileInput(path));
  return inputs;
}

// The images at `path`; `chosen` becomes true where options.series or options.regularise have DICOM
// to act on.
std::vector<JobInput> ImagesAt(const EvaluateOptions& options, const fs::path& path, bool& chosen,
                               Progress& progress) {
  std::vector<JobInput> found = ExpandInputs({path}, "", false, true, progress);
  const auto dicom = std::find_if(found.begin(), found.end(),
                                  [](const JobInput& input) { return input.series != nullptr; });
  if (dicom == found.end()) return found;
  chosen = true;
  if (options.series.empty()) return found;
  JobInput input = *dicom;
  input.series = &io::ChooseSeries(*input.tree, options.series, path.string());
  const auto listed = std::find_if(found.begin(), found.end(), [&](const JobInput& other) {
    return other.series == input.series;
  });
  if (listed != found.end()) input.name = listed->name;
  return {input};
}

}  // namespace

std::string NameOfPath(const fs::path& path) {
  const fs::path name = path.filename();
  return name.empty() ? path.parent_path().filename().string() : name.string();
}

EvaluatedSet FindMaskPairs(const fs::path& prediction, const fs::path& reference) {
  RequireThere(prediction);
  RequireThere(reference);
  const bool folders = fs::is_directory(prediction);
  if (folders != fs::is_directory(reference))
    throw OptionError("one of " + prediction.string() + " and " + reference.string() +
                      " is a folder and the other a file; give two files or two folders");
  if (folders) return PairByName(MasksIn(prediction), MasksIn(reference), prediction, reference);
  EvaluatedSet set;
  set.cases.push_back(PairOf(FileInput(prediction), FileInput(reference)));
  return set;
}

EvaluatedSet FindImagePairs(const EvaluateOptions& options, const fs::path& prediction,
                            Progress& progress) {
  RequireThere(prediction);
  RequireThere(options.reference);
  bool chosen = false;
  const std::vector<JobInput> p = ImagesAt(options, prediction, chosen, progress);
  const std::vector<JobInput> r = ImagesAt(options, options.reference, chosen, progress);
  if ((!options.series.empty() || options.regularise) && !chosen)
    throw OptionError("--series and --regularise choose among DICOM series, and neither '" +
                      prediction.string() + "' nor '" + options.reference.string() +
                      "' is DICOM; leave them out");
  const auto is_folder_of_files = [](const fs::path& path, const std::vector<JobInput>& inputs) {
    return fs::is_directory(path) && inputs.at(0).series == nullptr;
  };
  const bool named = is_folder_of_files(prediction, p) && is_folder_of_files(options.reference, r);
  if (p.size() == 1 && r.size() == 1 && !named) {
    EvaluatedSet set;
    set.cases.push_back(PairOf(p[0], r[0]));
    return set;
  }
  if ((p.size() == 1) != (r.size() == 1) &&
      (!fs::is_directory(prediction) || !fs::is_directory(options.reference))) {
    const bool many = r.size() > 1;
    const auto& several = many ? r : p;
    throw OptionError("'" + (many ? options.reference : prediction).string() + "' holds " +
                      std::to_string(several.size()) + (several[0].series ? " series" : " images") +
                      " and the other side is one" +
                      (several[0].series ? "; choose one of them with --series"
                                         : "; give two files or two folders"));
  }
  return PairByName(p, r, prediction, options.reference);
}

}  // namespace avocet::core

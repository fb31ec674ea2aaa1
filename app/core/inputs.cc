// SPDX-License-Identifier: Apache-2.0
#include "app/core/inputs.h"

#include <algorithm>
#include <map>

#include "app/base/error.h"
#include "io/array_volume.h"
#include "io/format.h"
#include "io/volume_io.h"

namespace avocet::core {
namespace fs = std::filesystem;
namespace {

bool IsFolder(const fs::path& path) {
  std::error_code error;
  return fs::is_directory(path, error);
}

bool IsDirectory(const fs::path& path) {
  return io::SopClassOf(path) == "1.2.840.10008.1.3.10";  // a DICOMDIR
}

// "a/b/" -> "b"; "." -> the folder's own name.
std::string FolderName(const fs::path& path) {
  std::error_code error;
  const fs::path real = fs::weakly_canonical(path, error);
  std::string name = real.filename().string();
  if (name.empty()) name = real.parent_path().filename().string();
  return name.empty() ? "volume" : name;
}

class Expander {
 public:
  Expander(const std::string& series, bool regularise, bool all_series, Progress& progress)
      : series_(series), regularise_(regularise), all_series_(all_series), progress_(progress) {}

  std::vector<JobInput> Run(const std::vector<fs::path>& inputs) {
    // Slices that a wildcard gave belong together.
    std::vector<fs::path> slices;
    for (const fs::path& input : inputs) {
      if (IsImageFile(input)) slices.push_back(input);
    }
    bool slices_done = false;
    for (const fs::path& input : inputs) {
      UpdateOrThrow(progress_, Progress::kUnknown, "looking at " + input.filename().string());
      try {
        if (IsImageFile(input)) {
          if (slices_done) continue;
          slices_done = true;
          if (slices.size() == 1) {
            const std::string name =
                IsDirectory(input) ? FolderName(input.has_parent_path() ? input.parent_path() : ".")
                                   : io::StemOf(input);
            AddTree(input, name, io::ScanDicom(input, progress_));
          } else {
            const fs::path folder = input.has_parent_path() ? input.parent_path() : fs::path(".");
            AddTree(input, FolderName(folder),
                    io::ScanDicomFiles(slices, folder.string(), progress_));
          }
        } else if (IsFolder(input)) {
          AddFolder(input);
        } else {
          JobInput item;
          item.path = input;
          item.name = io::StemOf(input);
          found_.push_back(std::move(item));
        }
      } catch (const IoError& error) {
        if (inputs.size() == 1) throw;
        JobInput item;
        item.path = input;
        item.name = IsFolder(input) ? FolderName(input) : io::StemOf(input);
        item.error = error.what();
        found_.push_back(std::move(item));
      }
    }
    return std::move(found_);
  }

 private:
  // DICOM, and read as a series: not a SEG, which is a volume of its own.
  static bool IsImageFile(const fs::path& path) {
    return !IsFolder(path) && io::IsDicomFile(path) && io::IsDicom(path);
  }

  void AddFolder(const fs::path& folder) {
    const std::vector<fs::path> files = io::ListVolumes(folder);
    if (files.empty()) {
      io::DicomTree tree;
      try {
        tree = io::ScanDicom(folder, progress_);
      } catch (const IoError& error) {
        throw IoError("folder '" + folder.string() + "' holds no images: " + error.what());
      }
      AddTree(folder, FolderName(folder), std::move(tree));
      return;
    }
    for (const fs::path& file : files) {
      JobInput item;
      item.path = file;
      item.name = io::StemOf(file);
      found_.push_back(std::move(item));
    }
  }

  void AddTree(const fs::path& path, const std::string& name, io::DicomTree scanned) {
    const auto tree = std::make_shared<const io::DicomTree>(std::move(scanned));
    const auto all = tree->AllSeries();
    const auto readable = [&](const io::DicomSeries* one) {
      return one->problem.empty() || (regularise_ && one->can_regularise);
    };
    const auto images = std::count_if(all.begin(), all.end(), [](const io::DicomSeries* one) {
      return one->problem.empty() || one->can_regularise;
    });
    std::vector<const io::DicomSeries*> chosen;
    if (!series_.empty() || !all_series_ || images <= 1) {
      chosen = {&io::ChooseSeries(*tree, series_, path.string())};
    } else {
      // Those that could be resampled are in the list too, and say so when they are read.
      std::copy_if(
          all.begin(), all.end(), std::back_inserter(chosen),
          [&](const io::DicomSeries* one) { return readable(one) || one->can_regularise; });
      for (const io::DicomSeries* one : all) {
        if (readable(one) || one->can_regularise) continue;
        progress_.Warn("'" + path.string() + "': a series is left out: " + one->problem);
      }
    }
    for (const std::string& skipped : tree->skipped) progress_.Warn(skipped);
    // Files named one by one give their names, where these differ and a file is one series.
    const bool folder = IsFolder(path) || IsDirectory(path);
    std::map<std::string, int> used;
    for (const io::DicomSeries* one : chosen) ++used[io::StemOf(one->first_file)];
    for (const io::DicomSeries* one : chosen) {
      JobInput item;
      item.tree = tree;
      item.series = one;
      item.path = folder ? path : one->first_file;
      const auto number = std::find(all.begin(), all.end(), one) - all.begin() + 1;
      const std::string suffix = "-series-" + std::to_string(number);
      if (chosen.size() == 1) {
        item.name = name;
      } else if (!folder && one->files == 1) {
        item.name = io::StemOf(one->first_file);
        if (used[item.name] > 1) item.name += suffix;
      } else {
        item.name = name + suffix;
      }
      found_.push_back(std::move(item));
    }
  }

  const std::string& series_;
  bool regularise_, all_series_;
  Progress& progress_;
  std::vector<JobInput> found_;
};

}  // namespace

std::vector<JobInput> ExpandInputs(const std::vector<fs::path>& inputs, const std::string& series,
                                   bool regularise, bool all_series, Progress& progress) {
  std::vector<JobInput> found = Expander(series, regularise, all_series, progress).Run(inputs);
  const bool any_dicom = std::any_of(found.begin(), found.end(), [](const JobInput& item) {
    return item.series != nullptr || !item.error.empty();
  });
  if (!any_dicom && (!series.empty() || regularise)) {
    throw OptionError("--series and --regularise choose among DICOM series, and '" +
                      inputs.at(0).string() + "' is not DICOM; leave them out");
  }
  return found;
}

io::Volume ReadInput(const JobInput& input, bool regularise, Progress& progress) {
  if (!input.error.empty()) throw IoError(input.error);
  if (input.series) return io::ReadDicomSeries(*input.series, {regularise}, progress);
  return io::ReadVolume(input.path);
}

std::vector<fs::path> FilesOf(const JobInput& input, const io::Volume& volume) {
  const auto* dicom = dynamic_cast<const io::DicomSource*>(volume.source.get());
  if (dicom) return dicom->files;
  return {io::SplitMember(input.path).file};
}

}  // namespace avocet::core

// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <fstream>
#include <map>

#include "app/base/error.h"
#include "io/dicom.h"
#include "io/dicom_group.h"
#include "io/dicom_plan.h"
#include "io/parallel.h"

namespace avocet::io {
namespace fs = std::filesystem;
namespace {

using dicom::Instance;
using InstancePtr = std::shared_ptr<const Instance>;
constexpr const char* kDirectoryClass = "1.2.840.10008.1.3.10";
constexpr size_t kMaxFiles = 2000000;

std::vector<fs::path> FilesBelow(const fs::path& folder, Progress& progress) {
  std::vector<fs::path> files;
  std::error_code error;
  fs::recursive_directory_iterator it(folder, fs::directory_options::skip_permission_denied, error);
  if (error) {
    throw IoError("cannot list the folder '" + folder.string() + "': " + error.message());
  }
  size_t entries = 0;
  for (const fs::recursive_directory_iterator end; it != end; it.increment(error)) {
    std::error_code ignored;
    if (it->is_regular_file(ignored)) files.push_back(it->path());
    if (++entries % 256 == 0) {  // a folder on a slow network drive gives a few hundred a second
      UpdateOrThrow(progress, Progress::kUnknown, "looking for DICOM files");
    }
    if (files.size() > kMaxFiles) {
      throw IoError("the folder '" + folder.string() +
                    "' holds over 2000000 files; give one nearer "
                    "to the study");
    }
  }
  if (error) {
    throw IoError("cannot list the folder '" + folder.string() + "': " + error.message());
  }
  std::sort(files.begin(), files.end());
  return files;
}

std::string Lower(std::string text) {
  for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return text;
}

// Finds the entries of folders by the names of a DICOMDIR, which has capitals only, where copies of
// a disc often have small letters or a version ("im0001;1"). Each folder is listed once.
class EntryFinder {
 public:
  fs::path Find(const fs::path& folder, const std::string& name) {
    std::error_code error;
    if (fs::exists(folder / name, error)) return folder / name;
    const auto [listed, is_new] = entries_.emplace(folder, std::map<std::string, fs::path>());
    if (is_new) {
      for (const auto& entry : fs::directory_iterator(folder, error)) {
        std::string found = Lower(entry.path().filename().string());
        found = found.substr(0, found.rfind(';'));
        if (!found.empty() && found.back() == '.') found.pop_back();
        listed->second.emplace(found, entry.path());
      }
    }
    const auto match = listed->second.find(Lower(name));
    return match == listed->second.end() ? folder / name : match->second;
  }

 private:
  std::map<fs::path, std::map<std::string, fs::path>> entries_;
};

// The files that a DICOMDIR names (PS3.3 F.3). Names are components joined by backslashes, below
// the folder of the DICOMDIR; others are refused.
std::vector<fs::path> FilesOfDirectory(const dicom::ParsedFile& file, const fs::path& path,
                                       std::vector<std::string>& skipped) {
  std::vector<fs::path> files;
  EntryFinder finder;
  const fs::path folder = path.has_parent_path() ? path.parent_path() : fs::path(".");
  std::error_code ignored;
  const fs::path root = fs::weakly_canonical(folder, ignored);
  for (const dicom::Dataset& record : file.data.Items(0x00041220)) {
    const std::vector<std::string> parts = record.Texts(0x00041500);
    if (parts.empty()) continue;
    fs::path target = folder;
    bool inside = true;
    for (const std::string& part : parts) {
      inside &= !part.empty() && part != "." && part != ".." && part.find('/') == part.npos;
      if (inside) target = finder.Find(target, part);
    }
    if (inside) {  // nor through a symbolic link
      const fs::path real = fs::weakly_canonical(target, ignored);
      inside =
          std::mismatch(root.begin(), root.end(), real.begin(), real.end()).first == root.end();
    }
    if (!inside) {
      skipped.push_back("'" + path.string() + "' names a file outside its folder; it was left out");
      continue;
    }
    if (!fs::is_regular_file(target, ignored)) {
      skipped.push_back("'" + target.string() + "' is named by the DICOMDIR and is not there");
      continue;
    }
    files.push_back(target);
  }
  std::sort(files.begin(), files.end());
  files.erase(std::unique(files.begin(), files.end()), files.end());
  return files;
}

struct Scanned {
  InstancePtr instance;
  std::string error;
  bool other = false;
};

// Descriptions are free text; one that repeats the patient's name or number is not shown.
std::string WithoutPatient(const std::string& text, const Instance& instance) {
  const std::string low = Lower(text);
  std::vector<std::string> words{Lower(instance.patient_id)};
  std::string word;
  for (const char c : Lower(instance.patient_name) + "^") {
    if (c == '^' || c == ' ' || c == ',' || c == '=') {
      words.push_back(word);
      word.clear();
    } else {
      word += c;
    }
  }
  for (const std::string& w : words) {
    if (w.size() >= 4 && low.find(w) != low.npos) return "(hidden: it names the patient)";
  }
  return text;
}

DicomSeries MakeSeries(const std::shared_ptr<const DicomPlan>& plan) {
  const Instance& first = *plan->frames[0].instance;
  DicomSeries series;
  series.uid = first.series_uid;
  series.split = plan->split;
  series.modality = first.modality;
  series.description = WithoutPatient(first.series_description, first);
  series.number = first.series_number;
  for (const auto& frame : plan->frames) {
    if (series.number < 0) series.number = frame.instance->series_number;
  }
  series.first_file = first.path;
  std::vector<const Instance*> files;
  for (const auto& frame : plan->frames) files.push_back(frame.instance.get());
  std::sort(files.begin(), files.end());
  files.erase(std::unique(files.begin(), files.end()), files.end());
  series.files = static_cast<int64_t>(files.size());
  for (const Instance* file : files) series.bytes += file->bytes;
  series.size = plan->geometry.size;
  series.problem = plan->problem;
  series.can_regularise = plan->can_regularise;
  series.notes = plan->notes;
  series.plan = plan;
  return series;
}

// A series that is refused as a whole.
std::shared_ptr<const DicomPlan> RefusedPlan(const dicom::SeriesGroup& group) {
  auto plan = std::make_shared<DicomPlan>();
  for (const InstancePtr& image : group.images) plan->frames.push_back({image, 0});
  plan->problem = group.problem;
  return plan;
}

DicomTree MakeTree(std::vector<InstancePtr> instances, Progress& progress) {
  DicomTree tree;
  std::string patient_key;
  for (const dicom::SeriesGroup& group : dicom::GroupBySeries(std::move(instances))) {
    UpdateOrThrow(progress, 1, "sorting series");
    const Instance& first = *group.images[0];
    if (tree.patients.empty() || patient_key != group.patient_key) {
      tree.patients.push_back({group.patient_name, group.patient_id, {}});
      patient_key = group.patient_key;
    }
    auto& studies = tree.patients.back().studies;
    if (studies.empty() || studies.back().uid != group.study_uid) {
      studies.push_back(
          {group.study_uid, group.study_date, WithoutPatient(first.study_description, first), {}});
    }
    if (!group.problem.empty()) {
      studies.back().series.push_back(MakeSeries(RefusedPlan(group)));
      continue;
    }
    for (const auto& plan : dicom::PlanSeries(group.images, group.notes)) {
      studies.back().series.push_back(MakeSeries(plan));
    }
  }
  return tree;
}

}  // namespace

std::vector<const DicomSeries*> DicomTree::AllSeries() const {
  std::vector<const DicomSeries*> all;
  for (const auto& patient : patients) {
    for (const auto& study : patient.studies) {
      for (const auto& series : study.series) all.push_back(&series);
    }
  }
  return all;
}

namespace {

// Reads the headers of `files`; what was no DICOM file, or skipped already, is in `tree`.
DicomTree ScanFiles(const std::vector<fs::path>& files, const std::string& name,
                    std::vector<std::string> skipped, Progress& progress) {
  std::vector<Scanned> scanned(files.size());
  ParallelFor(
      files.size(), ReadingThreads(),
      [&](size_t i) {
        try {
          const dicom::ParsedFile file = dicom::ParseFile(files[i]);
          if (file.meta.Text(0x00020002) == kDirectoryClass) {
            scanned[i].other = true;
          } else {
            scanned[i].instance = dicom::InterpretFile(file, files[i]);
          }
        } catch (const dicom::NotDicom&) {
          scanned[i].other = true;
        } catch (const IoError& failure) {
          scanned[i].error = failure.what();
        }
      },
      [&](size_t done) {
        UpdateOrThrow(progress, static_cast<double>(done) / static_cast<double>(files.size()),
                      "reading DICOM headers");
      });
  int64_t others = 0;
  std::vector<InstancePtr> instances;
  for (Scanned& file : scanned) {
    if (file.other) ++others;
    if (!file.error.empty()) skipped.push_back(std::move(file.error));
    if (file.instance) instances.push_back(std::move(file.instance));
  }
  const size_t found = instances.size() + skipped.size();
  if (instances.empty()) {
    if (skipped.size() == 1) throw IoError(skipped[0]);
    throw IoError("'" + name + "' holds no DICOM file that can be read" +
                  (skipped.empty() ? std::string() : "; the first problem: " + skipped[0]));
  }
  DicomTree tree = MakeTree(std::move(instances), progress);
  tree.files = static_cast<int64_t>(found);
  tree.other_files = others;
  tree.skipped = std::move(skipped);
  return tree;
}

}  // namespace

DicomTree ScanDicom(const fs::path& path, Progress& progress) {
  std::error_code error;
  if (fs::is_directory(path, error)) {
    return ScanFiles(FilesBelow(path, progress), path.string(), {}, progress);
  }
  const dicom::ParsedFile file = dicom::ParseFile(path);
  if (file.meta.Text(0x00020002) == kDirectoryClass) {
    std::vector<std::string> skipped;
    const std::vector<fs::path> files = FilesOfDirectory(file, path, skipped);
    return ScanFiles(files, path.string(), std::move(skipped), progress);
  }
  DicomTree tree = MakeTree({dicom::InterpretFile(file, path)}, progress);
  tree.files = 1;
  return tree;
}

bool IsDicomFile(const fs::path& path) {
  std::error_code error;
  if (!fs::is_regular_file(path, error)) return false;
  std::ifstream in(path, std::ios::binary);
  std::string head(1024, '\0');
  in.read(head.data(), static_cast<std::streamsize>(head.size()));
  head.resize(static_cast<size_t>(in.gcount()));
  return LooksLikeDicom(head);
}

std::string SopClassOf(const fs::path& path) {
  if (!IsDicomFile(path)) return "";
  try {
    const dicom::ParsedFile file = dicom::ParseFile(path);
    const std::string uid = file.data.Text(0x00080016);
    return uid.empty() ? file.meta.Text(0x00020002) : uid;
  } catch (const IoError&) {
    return "";
  }
}

DicomTree ScanDicomFiles(const std::vector<fs::path>& files, const std::string& name,
                         Progress& progress) {
  return ScanFiles(files, name, {}, progress);
}

const DicomSeries& ChooseSeries(const DicomTree& tree, const std::string& selector,
                                const std::string& name) {
  const std::vector<const DicomSeries*> all = tree.AllSeries();
  const auto line = [&](size_t i) {
    const DicomSeries& s = *all[i];
    std::string text = std::to_string(i + 1) + " (" + s.modality;
    if (!s.description.empty()) text += ", " + s.description.substr(0, 40);
    if (!s.split.empty()) text += ", " + s.split.substr(0, 60);
    return text + ", " + std::to_string(s.size[0]) + " x " + std::to_string(s.size[1]) + " x " +
           std::to_string(s.size[2]) + ")";
  };
  const auto list = [&](const std::vector<size_t>& which) {
    std::string text;
    for (size_t n = 0; n < which.size() && n < 6; ++n) text += (n ? ", " : "") + line(which[n]);
    if (which.size() > 6) text += ", and " + std::to_string(which.size() - 6) + " more";
    return text;
  };
  std::vector<size_t> everything(all.size()), images;
  for (size_t i = 0; i < all.size(); ++i) {
    everything[i] = i;
    if (all[i]->problem.empty() || all[i]->can_regularise) images.push_back(i);
  }
  if (selector.empty()) {
    if (images.size() == 1) return *all[images[0]];
    if (images.empty()) {
      // The first image that cannot be read says why.
      const DicomSeries& first = *all[0];
      throw IoError("cannot read '" + name + "': " + first.problem +
                    (all.size() > 1 ? "; 'avocet info' lists the other " +
                                          std::to_string(all.size() - 1) + " series"
                                    : ""));
    }
    throw IoError("'" + name + "' holds " + std::to_string(images.size()) +
                  " series; choose one with --series N or UID: " + list(images));
  }
  if (selector.size() < 8 && selector.find_first_not_of("0123456789") == selector.npos) {
    const size_t number = static_cast<size_t>(std::stoul(selector));
    if (number >= 1 && number <= all.size()) return *all[number - 1];
    throw IoError("'" + name + "' has no series " + selector + "; there are: " + list(everything));
  }
  std::string uid = selector;
  size_t nth = 0;
  if (const size_t colon = selector.find(':'); colon != selector.npos) {
    uid = selector.substr(0, colon);
    const std::string number = selector.substr(colon + 1);
    if (number.empty() || number.size() > 7 ||
        number.find_first_not_of("0123456789") != number.npos || std::stoul(number) == 0) {
      throw IoError("--series '" + selector + "' is not N, UID or UID:N");
    }
    nth = std::stoul(number);
  }
  std::vector<size_t> matches;
  for (size_t i = 0; i < all.size(); ++i) {
    if (all[i]->uid == uid) matches.push_back(i);
  }
  if (matches.empty()) {
    throw IoError("'" + name + "' has no series " + selector + "; there are: " + list(everything));
  }
  if (nth > 0 && nth <= matches.size()) return *all[matches[nth - 1]];
  if (nth == 0 && matches.size() == 1) return *all[matches[0]];
  throw IoError("'" + name + "' holds " + std::to_string(matches.size()) +
                " volumes of that series; choose one by its number: " + list(matches));
}

}  // namespace avocet::io

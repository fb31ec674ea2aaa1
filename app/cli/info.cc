// SPDX-License-Identifier: Apache-2.0
#include "app/core/info.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <memory>

#include "app/cli/command.h"

namespace avocet::cli {
namespace {

struct Options {
  std::vector<std::string> files;
  bool json = false;
  core::InfoOptions info;
  bool header = false;
};

std::string Number(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.6g", value);
  return text;
}

std::string Triple(const std::array<double, 3>& values, const char* separator) {
  return Number(values[0]) + separator + Number(values[1]) + separator + Number(values[2]);
}

// NIFTI_XFORM_* of nifti1.h.
std::string CodeText(int code) {
  static constexpr const char* kMeaning[] = {"not set",   "scanner", "aligned",
                                             "Talairach", "MNI",     "template"};
  return std::to_string(code) +
         (code >= 0 && code < 6 ? std::string(" (") + kMeaning[code] + ")" : std::string());
}

void Row(const std::string& label, const std::string& text) {
  std::printf("  %-12s %s\n", label.c_str(), text.c_str());
}

std::string Size(uint64_t bytes) {
  char text[32];
  std::snprintf(text, sizeof text, bytes < 1000000 ? "%.1f kB" : "%.1f MB",
                static_cast<double>(bytes) / (bytes < 1000000 ? 1e3 : 1e6));
  return text;
}

void PrintTree(const io::DicomTree& tree, bool show_patient) {
  Row("DICOM",
      std::to_string(tree.files) + " files" +
          (tree.other_files > 0 ? ", " + std::to_string(tree.other_files) + " others passed over"
                                : ""));
  int number = 0, person = 0;
  for (const auto& patient : tree.patients) {
    ++person;
    std::printf("  patient %d%s\n", person,
                show_patient ? (": " + patient.name + ", ID " + patient.id).c_str() : "");
    for (const auto& study : patient.studies) {
      std::printf("    study %s%s%s  %s\n", study.date.c_str(), study.date.empty() ? "" : "  ",
                  study.description.c_str(), study.uid.c_str());
      for (const auto& series : study.series) {
        std::printf("      series %d: %s", ++number, series.modality.c_str());
        if (!series.description.empty()) std::printf(", %s", series.description.c_str());
        if (!series.split.empty()) std::printf(", %s", series.split.c_str());
        if (series.size[0] > 0) {
          std::printf(", %lld x %lld x %lld", static_cast<long long>(series.size[0]),
                      static_cast<long long>(series.size[1]),
                      static_cast<long long>(series.size[2]));
        }
        std::printf(", %lld %s, %s  %s\n", static_cast<long long>(series.files),
                    series.files == 1 ? "file" : "files", Size(series.bytes).c_str(),
                    series.uid.c_str());
        if (!series.problem.empty()) {
          std::printf("        not readable: %s%s\n", series.problem.c_str(),
                      series.can_regularise ? " (--regularise resamples it)" : "");
        }
        for (const auto& note : series.notes) std::printf("        note: %s\n", note.c_str());
      }
    }
  }
  for (const auto& skipped : tree.skipped) Row("skipped", skipped);
}

void PrintContours(const io::RtStruct& structures) {
  Row("format", "DICOM RTSTRUCT: contours, no voxels; 'avocet export' fills them on their images");
  if (!structures.label.empty()) Row("label", structures.label);
  if (!structures.referenced_series_uid.empty()) Row("images", structures.referenced_series_uid);
  for (const io::RtRoi& roi : structures.rois) {
    Row("ROI " + std::to_string(roi.number),
        roi.name + ", " + std::to_string(roi.contours.size()) + " contours");
  }
  for (const auto& note : structures.notes) Row("note", note);
}

void Print(const core::InfoItem& item, bool header, bool show_patient) {
  const core::VolumeInfo& info = item.info;
  const io::Geometry& g = info.geometry;
  std::printf("%s\n", item.path.c_str());
  // One readable file needs no list.
  if (item.dicom && (show_patient || !item.has_info || item.dicom->files > 1)) {
    PrintTree(*item.dicom, show_patient);
  }
  if (item.contours) {
    PrintContours(*item.contours);
    return;
  }
  if (!item.has_info) {
    const auto all = item.dicom->AllSeries();
    if (std::any_of(all.begin(), all.end(), [](const auto* one) { return one->problem.empty(); })) {
      std::printf("  --series N (or UID) describes one of them\n");
    }
    return;
  }
  Row("format", info.format + (info.big_endian ? ", big endian" : ""));
  std::string size = std::to_string(g.size[0]) + " x " + std::to_string(g.size[1]) + " x " +
                     std::to_string(g.size[2]) + " voxels";
  if (info.frames > 1) size += ", " + std::to_string(info.frames) + " frames";
  Row("size", size);
  Row("spacing", Triple(g.spacing, " x ") + " mm");
  Row("orientation", info.orientation + (g.IsOrthonormal() ? "" : ", sheared"));
  Row("origin", Triple(g.origin, ", ") + " mm (LPS)");
  std::string type = info.type;
  if (info.components > 1) type += " x " + std::to_string(info.components) + " (colour)";
  Row("type", type);
  std::string range = info.has_range ? Number(info.min) + " to " + Number(info.max) : "none finite";
  if (info.nan_count > 0) range += ", " + std::to_string(info.nan_count) + " NaN";
  if (info.infinite_count > 0) range += ", " + std::to_string(info.infinite_count) + " infinite";
  Row("values", range);
  Row("scaling", info.scaling.IsIdentity() ? "none"
                                           : "slope " + Number(info.scaling.slope) + ", inter " +
                                                 Number(info.scaling.inter));
  if (info.qform_code >= 0) Row("qform code", CodeText(info.qform_code));
  if (info.sform_code >= 0) Row("sform code", CodeText(info.sform_code));
  std::string assumed;
  for (const auto& [is_assumed, name] :
       {std::pair(info.assumed.orientation, "orientation"),
        std::pair(info.assumed.in_plane_size, "size in the plane"),
        std::pair(info.assumed.slice_distance, "slice distance")}) {
    if (is_assumed) assumed += (assumed.empty() ? "" : ", ") + std::string(name);
  }
  if (!assumed.empty()) Row("assumed", assumed + " (the file does not state it)");
  if (info.resampled) Row("resampled", "yes: values are interpolated onto an even grid");
  if (!info.modality.empty()) Row("modality", info.modality);
  for (const auto& [name, value] : info.header) {
    if (name.rfind("segment ", 0) == 0 && !header) Row(name, value);
  }
  for (const auto& note : info.notes) Row("note", note);
  if (!header) return;
  for (const auto& [name, value] : info.header) {
    std::printf("  header       %s: %s\n", name.c_str(), value.c_str());
  }
}

}  // namespace

void AddInfo(CLI::App& app, Action& action) {
  auto options = std::make_shared<Options>();
  CLI::App* command =
      app.add_subcommand("info", "Size, spacing, orientation, type and values of image files");
  command
      ->add_option("files", options->files,
                   "Image files (NIfTI, NRRD, MetaImage, DICOM, ...), or folders with DICOM series")
      ->required();
  command->add_flag("--header", options->header, "Every field of the header too (JSON has them)");
  command->add_flag("--json", options->json,
                    "Print JSON: an object, or an array for several files");
  AddSeriesOptions(*command, options->info.series, options->info.regularise);
  command->add_flag("--show-patient", options->info.show_patient,
                    "Show names and numbers of patients, hidden otherwise");
  command->callback([options, &action] {
    action = [options](Progress& progress) {
      const std::vector<std::filesystem::path> paths(options->files.begin(), options->files.end());
      const auto items = core::DescribeVolumes(paths, options->info, progress);
      const bool any_dicom = std::any_of(items.begin(), items.end(), [](const auto& item) {
        return item.dicom || item.contours || !item.error.empty();
      });
      if (options->info.show_patient && !any_dicom) {
        progress.Warn("--show-patient has no effect: none of the files is DICOM");
      }
      if (options->json) std::printf("%s\n", core::ToJson(items, options->info).c_str());
      bool first = true;
      int failed = 0;
      for (const auto& item : items) {
        if (!item.error.empty()) {
          ++failed;
          if (isatty(STDERR_FILENO)) std::fputs("\r\033[K", stderr);  // ends a progress line
          std::fprintf(stderr, "avocet: error: %s\n", item.error.c_str());
        } else if (!options->json) {
          if (!first) std::printf("\n");
          Print(item, options->header, options->info.show_patient);
          first = false;
        }
      }
      if (failed == 0) return ExitCode::kOk;
      return items.size() == 1 ? ExitCode::kIo : ExitCode::kSomeFailed;
    };
  });
}

}  // namespace avocet::cli

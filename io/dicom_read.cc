// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstdio>
#include <cstring>
#include <limits>
#include <map>
#include <mutex>
#include <set>

#include "app/base/error.h"
#include "io/dicom.h"
#include "io/dicom_plan.h"
#include "io/format_list.h"
#include "io/memory_limit.h"
#include "io/parallel.h"
#include "io/volume_io.h"

namespace avocet::io {
namespace {

using dicom::FrameRef;
using dicom::Instance;

// Slices of one file in a row share its open handle and, for a mosaic, its decoded picture.
struct Run {
  size_t first = 0, last = 0;  // frames [first, last) of the plan
};

// Files at a time: one slice each in a classic series, so that threads share them evenly; parts of
// a multi-frame file; the whole of a mosaic or of a deflated file, which are unpacked once.
std::vector<Run> MakeRuns(const std::vector<FrameRef>& frames) {
  std::vector<Run> runs;
  for (size_t i = 0; i < frames.size();) {
    const Instance& instance = *frames[i].instance;
    const bool whole =
        instance.mosaic.tiles > 0 || instance.transfer_syntax == "1.2.840.10008.1.2.1.99";
    const size_t most = whole ? frames.size() : 8;
    size_t end = i + 1;
    while (end < frames.size() && frames[end].instance == frames[i].instance && end - i < most) {
      ++end;
    }
    runs.push_back({i, end});
    i = end;
  }
  return runs;
}

template <typename T>
void ToReal(const std::byte* from, size_t count, const dicom::FrameInfo& frame, float* to) {
  for (size_t i = 0; i < count; ++i) {
    T value;
    std::memcpy(&value, from + i * sizeof(T), sizeof(T));
    to[i] = static_cast<float>(static_cast<double>(value) * frame.slope + frame.inter);
  }
}

void ToReal(VoxelType type, const std::byte* from, size_t count, const dicom::FrameInfo& frame,
            float* to) {
  switch (type) {
    case VoxelType::kUInt8:
      return ToReal<uint8_t>(from, count, frame, to);
    case VoxelType::kInt8:
      return ToReal<int8_t>(from, count, frame, to);
    case VoxelType::kUInt16:
      return ToReal<uint16_t>(from, count, frame, to);
    case VoxelType::kInt16:
      return ToReal<int16_t>(from, count, frame, to);
    case VoxelType::kUInt32:
      return ToReal<uint32_t>(from, count, frame, to);
    case VoxelType::kInt32:
      return ToReal<int32_t>(from, count, frame, to);
    case VoxelType::kFloat64:
      return ToReal<double>(from, count, frame, to);
    default:
      return ToReal<float>(from, count, frame, to);
  }
}

std::string Number(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.6g", value);
  return text;
}

}  // namespace

Volume ReadDicomSeries(const DicomSeries& series, const DicomReadOptions& options,
                       Progress& progress) {
  const DicomPlan& plan = *series.plan;
  const Instance& first = *plan.frames[0].instance;
  const std::string name = first.path.string();
  const std::string whose = series.files > 1 ? "the series of '" + name + "'" : "'" + name + "'";
  bool regularise = false;
  if (!plan.problem.empty()) {
    if (!plan.can_regularise) {
      throw IoError("cannot read " + whose + ": " + plan.problem);
    }
    if (!options.regularise) {
      throw UnevenSeriesError(plan.problem, "cannot read " + whose + " as it is: " + plan.problem +
                                                "; --regularise resamples it onto an even grid");
    }
    regularise = true;
  }

  const dicom::PixelFormat& format = first.format;
  const VoxelType stored = format.type();
  const dicom::FrameInfo& info = plan.frames[0].info();
  const bool one_scale =
      std::all_of(plan.frames.begin(), plan.frames.end(), [&](const FrameRef& f) {
        return f.info().slope == info.slope && f.info().inter == info.inter;
      });
  const int components = format.components();
  Volume volume;
  volume.geometry = plan.geometry;
  volume.type = one_scale || components > 1 ? stored : VoxelType::kFloat32;
  volume.components = components;
  volume.frames = plan.picture ? static_cast<int64_t>(plan.frames.size()) : 1;
  if (one_scale && components == 1) volume.scaling = {info.slope, info.inter};
  volume.modality = first.modality;
  volume.assumed = plan.assumed;
  volume.series_instance_uid = first.series_uid;
  volume.frame_of_reference_uid = plan.FrameOfReference();
  volume.notes = plan.notes;

  // Every frame was checked against its file when it was scanned; RLE and JPEG may still expand,
  // each frame only up to its own rows x columns.
  const uint64_t pixels = static_cast<uint64_t>(volume.geometry.size[0]) *
                          static_cast<uint64_t>(volume.geometry.size[1]);
  const uint64_t values = pixels * static_cast<uint64_t>(components);
  const uint64_t slice_bytes = values * SizeOf(volume.type);
  const uint64_t total = slice_bytes * plan.frames.size();
  CheckMemory(total, name);
  uint64_t packed = 0;
  const Instance* last = nullptr;
  for (const FrameRef& f : plan.frames) {
    if (f.instance.get() != last) packed += f.instance->bytes;
    last = f.instance.get();
  }
  // Pictures of nothing pack well: 1 : 10000 is let pass, and any claim below 256 MB.
  if (total > uint64_t{1} << 28 && total / 10000 > packed) {
    throw IoError("cannot read " + whose + ": " + std::to_string(packed) +
                  " bytes claim to unpack to " + std::to_string(total));
  }
  const bool voxels = options.voxels || regularise;
  try {
    if (voxels) volume.data.resize(total);
  } catch (const std::bad_alloc&) {
    throw IoError("cannot read " + whose + ": not enough memory for " +
                  std::to_string(total >> 20) + " MiB");
  }

  const std::vector<Run> runs = voxels ? MakeRuns(plan.frames) : std::vector<Run>();
  std::mutex mutex;
  bool dirty = false;
  ParallelFor(
      runs.size(), ReadingThreads(),
      [&](size_t r) {
        const Instance& instance = *plan.frames[runs[r].first].instance;
        const auto store = dicom::OpenStore(instance.path, instance.transfer_syntax);
        std::error_code ignored;
        if (std::filesystem::file_size(instance.path, ignored) != instance.bytes) {
          throw IoError("cannot read '" + instance.path.string() +
                        "': it changed since its header was read");
        }
        std::vector<std::byte> decoded;
        bool local_dirty = false;
        int decoded_frame = -1;
        for (size_t k = runs[r].first; k < runs[r].last; ++k) {
          const dicom::FrameInfo& frame = plan.frames[k].info();
          if (decoded_frame != frame.frame) {
            dicom::DecodeFrame(instance, *store, frame.frame, decoded, &local_dirty);
            decoded_frame = frame.frame;
          }
          const std::byte* from = decoded.data();
          std::vector<std::byte> tile;
          if (frame.tile >= 0) {
            const dicom::Mosaic& m = instance.mosaic;
            const size_t voxel = SizeOf(stored) * static_cast<size_t>(components);
            const size_t row_bytes = static_cast<size_t>(m.columns) * voxel;
            tile.resize(row_bytes * static_cast<size_t>(m.rows));
            for (int row = 0; row < m.rows; ++row) {
              const int y = frame.tile / m.across * m.rows + row;
              const int x = frame.tile % m.across * m.columns;
              std::memcpy(tile.data() + static_cast<size_t>(row) * row_bytes,
                          decoded.data() + (static_cast<size_t>(y) * instance.format.columns +
                                            static_cast<size_t>(x)) *
                                               voxel,
                          row_bytes);
            }
            from = tile.data();
          }
          std::byte* to = volume.data.data() + k * slice_bytes;
          if (volume.type == stored) {
            std::memcpy(to, from, slice_bytes);
          } else {
            ToReal(stored, from, values, frame, reinterpret_cast<float*>(to));
          }
        }
        if (local_dirty) {
          const std::lock_guard<std::mutex> lock(mutex);
          dirty = true;
        }
      },
      [&](size_t done) {
        UpdateOrThrow(progress, static_cast<double>(done) / static_cast<double>(runs.size()),
                      "reading DICOM slices");
      });

  if (dirty) {
    volume.notes.push_back("bits outside BitsStored were set and have been cleared");
  }
  if (!one_scale && components == 1) {
    volume.notes.push_back(
        "the rescale slope or intercept differs between slices: it was applied, values are real");
  }
  if (first.has_padding) {
    const auto other = std::find_if(plan.frames.begin(), plan.frames.end(), [&](const FrameRef& f) {
      return f.instance->has_padding && f.instance->padding != first.padding;
    });
    volume.notes.push_back("PixelPaddingValue " + Number(first.padding) +
                           (other == plan.frames.end()
                                ? std::string()
                                : ", in other slices " + Number(other->instance->padding)) +
                           " (as stored) marks pixels that are not image");
  }
  if (regularise) {
    const bool has_fill = first.has_padding && volume.type == stored;
    volume = dicom::Regularise(plan, volume, has_fill, first.padding);
  }

  auto source = std::make_shared<DicomSource>();
  source->format_name = first.mosaic.tiles > 0   ? "DICOM, Siemens mosaic"
                        : first.frame_count > 1  ? "DICOM, multi-frame"
                        : plan.frames.size() > 1 ? "DICOM series"
                                                 : "DICOM";
  source->study_uid = first.study_uid;
  source->series_uid = first.series_uid;
  source->frame_of_reference_uid = volume.frame_of_reference_uid;
  source->transfer_syntax_uid = first.transfer_syntax;
  source->is_big_endian = first.big_endian;
  source->regularised = regularise;
  source->fields = dicom::FieldsOf(dicom::ParseFile(first.path));
  for (const FrameRef& frame : plan.frames) {
    if (source->files.empty() || source->files.back() != frame.instance->path) {
      source->files.push_back(frame.instance->path);
    }
  }
  std::set<std::filesystem::path> listed;
  source->files.erase(std::remove_if(source->files.begin(), source->files.end(),
                                     [&](const auto& file) { return !listed.insert(file).second; }),
                      source->files.end());
  source->plan = series.plan;
  volume.source = std::move(source);
  return volume;
}

namespace {

Volume ReadChosen(const std::filesystem::path& path, const ReadOptions& options, bool voxels) {
  SilentProgress silent;
  Progress& progress = options.progress ? *options.progress : silent;
  PartOf scanning(progress, 0, 0.4), reading(progress, 0.4, 1);
  const DicomTree tree = ScanDicom(path, scanning);
  const DicomSeries& series = ChooseSeries(tree, options.series, path.string());
  DicomReadOptions read;
  read.regularise = options.regularise;
  read.voxels = voxels;
  Volume volume = ReadDicomSeries(series, read, reading);
  if (!tree.skipped.empty()) {
    volume.notes.push_back(std::to_string(tree.skipped.size()) +
                           " DICOM files beside it could not be read, and slices may be "
                           "missing; 'avocet info' names them");
  }
  return volume;
}

class Dicom final : public Format {
 public:
  const char* Name() const override { return "DICOM"; }
  std::vector<std::string> Extensions() const override { return {".dcm", ".dicom", ".ima"}; }
  bool Recognises(const std::filesystem::path& path, std::string_view head) const override {
    std::error_code ignored;
    return head.empty() ? std::filesystem::is_directory(path, ignored) : LooksLikeDicom(head);
  }
  Volume Read(const std::filesystem::path& path) const override {
    return Read(path, ReadOptions());
  }
  Volume Read(const std::filesystem::path& path, const ReadOptions& options) const override {
    return ReadChosen(path, options, true);
  }
  Volume ReadInformation(const std::filesystem::path& path) const override {
    return ReadChosen(path, ReadOptions(), false);
  }
  // A slice of a series is no volume of its own.
  Listing InFolders() const override { return Listing::kNever; }
};

}  // namespace

bool IsDicom(const std::filesystem::path& path) { return FindFormat(path) == &DicomFormat(); }

const Format& DicomFormat() {
  static const Dicom format;
  return format;
}

}  // namespace avocet::io

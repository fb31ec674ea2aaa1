// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "app/base/progress.h"
#include "io/volume.h"

namespace avocet::io {

// DICOM images (PS3.3, PS3.5, PS3.10). The header is parsed here, every length checked against the
// file before memory is taken; compressed frames are decoded by DCMTK (JPEG, JPEG-LS) and OpenJPEG
// (JPEG 2000), one at a time, after the size in the codestream has been compared with Rows and
// Columns.
//
// A series is what can be one volume: images of one SeriesInstanceUID, split further where several
// lie at the same place (echo, time, acquisition, b-value, image type, repeats), where the image
// type is that of a localiser, and by frame of reference and plane (over 15 degrees apart), which
// one volume cannot hold. Files belong together by their SeriesInstanceUID; where their patients,
// studies or frames of reference differ, io/dicom_group.h and BelongTogether (io/dicom_plan.h) say
// what is one series all the same and what is refused. The same image twice, also in
// two transfer syntaxes, is one image. Slices are ordered by ImagePositionPatient along the normal
// of ImageOrientationPatient, towards its positive end; the name and the instance number never
// count. The distance of slices comes from the positions, never from SliceThickness (one single
// slice has no other, and a note says so). Values stay as stored: rescale slope and intercept
// become Volume::scaling, or are applied (float32, with a note) when they differ between slices;
// MONOCHROME1 is not inverted, a note says so; bits outside BitsStored are cleared; palettes and
// YBR become RGB.

struct DicomPlan;  // frames in order and their grid; private to io/dicom_*.cc

struct DicomSeries {
  std::string uid;          // SeriesInstanceUID
  std::string split;        // what sets it apart within the UID, "echo time 4.6 ms"; "" when whole
  std::string modality;     // "CT"
  std::string description;  // SeriesDescription, else ProtocolName: free text, may name a patient
  int64_t number = -1;      // SeriesNumber; -1 when not given
  int64_t files = 0;
  std::filesystem::path first_file;      // of the first slice
  uint64_t bytes = 0;                    // of these files
  std::array<int64_t, 3> size{0, 0, 0};  // voxels; 0 when it is no image
  std::string problem;                   // why it cannot be read as it is; "" when it can
  bool can_regularise = false;           // DicomReadOptions::regularise would make it readable
  std::vector<std::string> notes;        // what is odd, one sentence each, no patient data
  std::shared_ptr<const DicomPlan> plan;
};

struct DicomStudy {
  std::string uid;
  std::string date;         // as stored, YYYYMMDD
  std::string description;  // free text
  std::vector<DicomSeries> series;
};

struct DicomPatient {
  std::string name;  // for --show-patient only: never in a log, note or error
  std::string id;
  std::vector<DicomStudy> studies;
};

struct DicomTree {
  std::vector<DicomPatient> patients;
  int64_t files = 0;                 // DICOM files found
  int64_t other_files = 0;           // not DICOM
  std::vector<std::string> skipped;  // DICOM files that could not be read, one sentence each

  // In the order of the list: patients, studies, series as found, numbered from 1.
  std::vector<const DicomSeries*> AllSeries() const;
};

struct DicomReadOptions {
  // Resample a series with gantry tilt, missing or unevenly spaced slices linearly onto a regular
  // grid (slice distance: the smallest gap). Without it such a series is refused.
  bool regularise = false;
  // False: no pixel is decoded and Volume::data is empty (a series that is regularised is read all
  // the same).
  bool voxels = true;
};

// Recognises DICOM by its first bytes (1 KiB): "DICM" after the preamble, or a data set without
// preamble that begins with group 0002 or 0008.
bool LooksLikeDicom(std::string_view head);

// True for a folder, and for a file that begins so. Throws IoError when it cannot be opened.
bool IsDicom(const std::filesystem::path& path);

// True for a regular file that begins so, be it image, segmentation, structure set or DICOMDIR.
bool IsDicomFile(const std::filesystem::path& path);

// SOPClassUID of a DICOM file; "" when it is none, cannot be read or states none.
std::string SopClassOf(const std::filesystem::path& path);

// `path`: a file, a DICOMDIR, or a folder (searched with its subfolders; symbolic links to folders
// are not followed). Files that a DICOMDIR names outside its folder are refused. Headers are read
// on two threads. Throws IoError when nothing is there or nothing is DICOM; Cancelled.
DicomTree ScanDicom(const std::filesystem::path& path, Progress& progress);

// The same of files named one by one, none of them a DICOMDIR. `name` stands for them in errors.
DicomTree ScanDicomFiles(const std::vector<std::filesystem::path>& files, const std::string& name,
                         Progress& progress);

// Chooses by `selector`: "" (exactly one readable series must be there), the number in the list, a
// SeriesInstanceUID, or UID:N for the Nth split of it. Throws IoError listing the choices.
const DicomSeries& ChooseSeries(const DicomTree& tree, const std::string& selector,
                                const std::string& name);

// Throws IoError naming the file at fault; UnevenSeriesError where resampling would help;
// Cancelled.
Volume ReadDicomSeries(const DicomSeries& series, const DicomReadOptions& options,
                       Progress& progress);

// The series that a volume was read from: what is written about it (DICOM SEG, RTSTRUCT) asks
// SourceOf (io/dicom_source_series.h) for its slices.
class DicomSource final : public SourceHeader {
 public:
  std::string FormatName() const override { return format_name; }
  bool big_endian() const override { return is_big_endian; }
  std::vector<std::pair<std::string, std::string>> Fields() const override { return fields; }

  std::string format_name = "DICOM";
  std::string study_uid;
  std::string series_uid;
  std::string frame_of_reference_uid;
  std::string transfer_syntax_uid;  // of the first file
  bool is_big_endian = false;
  bool regularised = false;  // its slices do not match the volume's
  // Of the first slice: attributes of image, acquisition and equipment; no free text.
  std::vector<std::pair<std::string, std::string>> fields;
  std::vector<std::filesystem::path> files;  // in the order of the slices, each once
  std::shared_ptr<const DicomPlan> plan;
};

}  // namespace avocet::io

// SPDX-License-Identifier: Apache-2.0
#include "io/frame_of_reference.h"

#include <algorithm>

#include "io/dicom.h"
#include "io/dicom_source_series.h"
#include "io/volume.h"

namespace avocet::io {
namespace {

std::string Describe(const SpaceIdentity& space) {
  std::string text = space.frame_of_reference_uid.empty()
                         ? std::string("no frame of reference")
                         : "frame of reference " + space.frame_of_reference_uid;
  if (space.series_uids.empty()) return text;
  text += ", image series " + space.series_uids[0];
  if (space.series_uids.size() > 1)
    text += " and " + std::to_string(space.series_uids.size() - 1) + " more";
  return text;
}

}  // namespace

const char* NameOf(SpaceMatch match) {
  switch (match) {
    case SpaceMatch::kSame:
      return "same";
    case SpaceMatch::kUnknown:
      return "unknown";
    case SpaceMatch::kOtherSeries:
      return "other series, same frame of reference";
    case SpaceMatch::kOtherFrame:
      return "other frame of reference";
    case SpaceMatch::kUnrelated:
      return "other series, frame of reference not stated";
  }
  return "";
}

SpaceMatch CompareSpaces(const SpaceIdentity& mask, const SpaceIdentity& image) {
  const bool frames = !mask.frame_of_reference_uid.empty() && !image.frame_of_reference_uid.empty();
  const bool series = !mask.series_uids.empty() && !image.series_uids.empty();
  const bool same_series =
      series && std::any_of(mask.series_uids.begin(), mask.series_uids.end(), [&](const auto& uid) {
        return std::find(image.series_uids.begin(), image.series_uids.end(), uid) !=
               image.series_uids.end();
      });
  if (frames && mask.frame_of_reference_uid != image.frame_of_reference_uid)
    return SpaceMatch::kOtherFrame;
  if (same_series) return SpaceMatch::kSame;
  if (frames) return series ? SpaceMatch::kOtherSeries : SpaceMatch::kSame;
  return series ? SpaceMatch::kUnrelated : SpaceMatch::kUnknown;
}

bool IsComparable(SpaceMatch match) {
  return match != SpaceMatch::kOtherFrame && match != SpaceMatch::kUnrelated;
}

std::string DescribeMismatch(const SpaceIdentity& mask, const SpaceIdentity& image) {
  return Describe(mask) + " against " + Describe(image);
}

SpaceIdentity SpaceOf(const SourceSeries& series) {
  SpaceIdentity space;
  space.frame_of_reference_uid = series.frame_of_reference_uid;
  if (!series.series_uid.empty()) space.series_uids.push_back(series.series_uid);
  return space;
}

SpaceIdentity SpaceOf(const Volume& volume) {
  SpaceIdentity space;
  space.frame_of_reference_uid = volume.frame_of_reference_uid;
  if (!volume.series_instance_uid.empty()) space.series_uids.push_back(volume.series_instance_uid);
  if (space.Known()) return space;
  if (const auto* source = dynamic_cast<const DicomSource*>(volume.source.get())) {
    space.frame_of_reference_uid = source->frame_of_reference_uid;
    if (!source->series_uid.empty()) space.series_uids.push_back(source->series_uid);
  }
  return space;
}

}  // namespace avocet::io

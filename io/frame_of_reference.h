// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

namespace avocet::io {

struct SourceSeries;
struct Volume;

// What DICOM states of the space that positions lie in (PS3.3 C.7.4.1) and of the image series that
// an object belongs to. Empty where it is not stated. UIDs are no patient data.
struct SpaceIdentity {
  std::string frame_of_reference_uid;
  // Of images their own series; of a mask the series that it names, of which there may be several.
  std::vector<std::string> series_uids;

  bool Known() const { return !frame_of_reference_uid.empty() || !series_uids.empty(); }
};

// Whether the positions of a mask may be laid on an image.
enum class SpaceMatch {
  kSame,         // the same frame of reference or series
  kUnknown,      // one side states too little for a comparison
  kOtherSeries,  // another series of the same frame of reference: positions are comparable
  kOtherFrame,   // two frames of reference: positions are not comparable
  kUnrelated,    // another series, and no frame of reference that both share
};
const char* NameOf(SpaceMatch match);  // "same", "unknown", "other series", ...

SpaceMatch CompareSpaces(const SpaceIdentity& mask, const SpaceIdentity& image);

// False for kOtherFrame and kUnrelated: what lies there may be another patient.
bool IsComparable(SpaceMatch match);

// Clause that names both sides of a pair that is not comparable.
std::string DescribeMismatch(const SpaceIdentity& mask, const SpaceIdentity& image);

SpaceIdentity SpaceOf(const SourceSeries& series);
// Of a volume read from DICOM images, a SEG or an RTSTRUCT; empty for other formats.
SpaceIdentity SpaceOf(const Volume& volume);

}  // namespace avocet::io

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "io/dicom_instance.h"

namespace avocet::io::dicom {

// The files of one series, and the patient and study under which it is listed.
struct SeriesGroup {
  std::string patient_name, patient_id;  // as the first file spells them; never in notes or errors
  std::string patient_key;               // equal for spellings of one patient
  std::string study_uid;
  std::string study_date;  // the earliest that its files state, as stored
  std::vector<std::shared_ptr<const Instance>> images;
  std::string problem;  // why these files must not be read as one series; "" when they may
  std::vector<std::string> notes;
};

// Brings together what has one SeriesInstanceUID, in a stable order (patients, studies by date,
// series by number). The UID counts, and what else the files state is held against it:
//
//   - PatientName and PatientID may be spelled in several ways (case, blanks, ^, order and absence
//     of name parts, component groups). Images of patients that really differ are refused, unless
//     each patient has a whole series, with slices at the places of the other's.
//   - Several StudyInstanceUIDs are one study when the slices lie on one even grid without two at
//     one place, or when every file has a UID of its own; else each study has its own series.
//   - Without a SeriesInstanceUID, the series number, modality and grid of the slices decide.
std::vector<SeriesGroup> GroupBySeries(std::vector<std::shared_ptr<const Instance>> instances);

}  // namespace avocet::io::dicom

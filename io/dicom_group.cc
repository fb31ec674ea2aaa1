// SPDX-License-Identifier: Apache-2.0
#include "io/dicom_group.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cmath>
#include <map>
#include <set>
#include <tuple>

#include "io/dicom_plan.h"

namespace avocet::io::dicom {
namespace {

using InstancePtr = std::shared_ptr<const Instance>;

// Lower case, without blanks at the ends.
std::string NormalId(const std::string& id) {
  std::string normal;
  for (const char c : id) {
    normal += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  }
  const size_t first = normal.find_first_not_of(' ');
  if (first == normal.npos) return "";
  return normal.substr(first, normal.find_last_not_of(' ') - first + 1);
}

// The parts of the first component group (PS3.5 6.2.1), lower case. Bytes beyond ASCII depend on
// the character set of the file: they count only where nothing else tells patients apart.
enum class Beyond { kIgnored, kCounts };
std::set<std::string> NameParts(const std::string& name, Beyond ascii = Beyond::kCounts) {
  std::set<std::string> parts;
  std::string part;
  for (const char c : name.substr(0, name.find('=')) + "^") {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '^' || c == ' ' || c == ',' || c == '.') {
      if (!part.empty()) parts.insert(part);
      part.clear();
    } else if (byte < 128) {
      part += static_cast<char>(std::tolower(byte));
    } else if (ascii == Beyond::kCounts) {
      part += c;
    }
  }
  return parts;
}

std::string NormalName(const std::string& name) {
  std::string normal;
  for (const std::string& part : NameParts(name)) normal += (normal.empty() ? "" : " ") + part;
  return normal;
}

// How many of these names cannot be spellings of one: one that only lacks parts of another can.
size_t CountNames(const std::vector<InstancePtr>& images) {
  // With one PatientID throughout, a name may be written in two character sets.
  const bool same_id = !images[0]->patient_id.empty() &&
                       std::all_of(images.begin(), images.end(), [&](const InstancePtr& image) {
                         return NormalId(image->patient_id) == NormalId(images[0]->patient_id);
                       });
  std::set<std::set<std::string>> names;
  for (const InstancePtr& image : images) {
    names.insert(NameParts(image->patient_name, same_id ? Beyond::kIgnored : Beyond::kCounts));
  }
  size_t count = 0;
  for (const auto& name : names) {
    count += std::none_of(names.begin(), names.end(), [&](const auto& other) {
      return name.size() < other.size() &&
             std::includes(other.begin(), other.end(), name.begin(), name.end());
    });
  }
  return count;
}

template <typename F>
size_t CountValues(const std::vector<InstancePtr>& images, F&& value_of) {
  std::set<std::string> values;
  for (const InstancePtr& image : images) {
    if (std::string value = value_of(*image); !value.empty()) values.insert(std::move(value));
  }
  return values.size();
}

std::string PatientProblem(const std::vector<InstancePtr>& images) {
  const size_t ids = CountValues(images, [](const Instance& i) { return NormalId(i.patient_id); });
  const size_t names = CountNames(images);
  if (ids < 2 && names < 2) return "";
  const std::string what =
      ids > 1 ? "PatientID has " + std::to_string(ids) : "PatientName has " + std::to_string(names);
  return std::to_string(images.size()) + " files share one SeriesInstanceUID, but their " + what +
         " different values, beyond spelling: they may be of several patients; keep the files of "
         "each patient in a folder of their own";
}

std::string PatientKey(const Instance& i) {
  return NormalId(i.patient_id) + "|" + NormalName(i.patient_name);
}

// The series of several patients to whom one UID was given: each has slices at all the places that
// the others have. Empty when that is not so.
std::vector<std::vector<InstancePtr>> WholeSeriesOfEach(const std::vector<InstancePtr>& images) {
  std::map<std::string, std::vector<InstancePtr>> patients;
  std::map<std::string, std::multiset<std::array<int64_t, 9>>> places;
  for (const InstancePtr& image : images) {
    if (!image->problem.empty() || image->frames.empty()) return {};
    patients[PatientKey(*image)].push_back(image);
    for (const FrameInfo& frame : image->frames) {
      if (!frame.has_position || !frame.has_orientation) return {};
      std::array<int64_t, 9> place;
      for (size_t a = 0; a < 3; ++a) place[a] = std::llround(frame.position[a] * 100);
      for (size_t a = 0; a < 6; ++a) place[3 + a] = std::llround(frame.cosines[a] * 100);
      places[PatientKey(*image)].insert(place);
    }
  }
  const auto& first = places.begin()->second;
  for (const auto& [patient, own] : places) {
    if (own.size() < 2 || own != first) return {};
  }
  std::vector<std::vector<InstancePtr>> series;
  for (auto& [patient, own] : patients) series.push_back(std::move(own));
  return series;
}

// What sets series apart where no UID does.
std::string KeyWithoutUid(const Instance& i) {
  std::string key = i.study_uid + "|" + i.modality + "|" + std::to_string(i.series_number) + "|" +
                    std::to_string(i.format.rows) + "|" + std::to_string(i.format.columns);
  if (!i.problem.empty()) key += "|" + i.sop_class;
  for (size_t a = 0; a < 2 && !i.frames.empty(); ++a) {
    key += "|" + std::to_string(std::llround(i.frames[0].spacing[a] * 1e4));
  }
  return key;
}

std::vector<FrameRef> PlacedFrames(const std::vector<InstancePtr>& images) {
  std::vector<FrameRef> frames;
  for (const InstancePtr& image : images) {
    if (!image->problem.empty() || image->localizer) continue;
    for (size_t i = 0; i < image->frames.size(); ++i) {
      const FrameInfo& f = image->frames[i];
      if (f.has_position && f.has_orientation && f.has_spacing) frames.push_back({image, i});
    }
  }
  return frames;
}

}  // namespace

std::vector<SeriesGroup> GroupBySeries(std::vector<InstancePtr> instances) {
  // Files of one UID; those without go by patient and by what KeyWithoutUid says.
  std::map<std::pair<std::string, std::string>, std::vector<InstancePtr>> by_uid;
  for (InstancePtr& i : instances) {
    const bool has_uid = !i->series_uid.empty();
    std::string rest;
    if (!has_uid) {
      rest = PatientKey(*i) + "|" + KeyWithoutUid(*i);
    }
    by_uid[{i->series_uid, rest}].push_back(std::move(i));
  }
  std::vector<SeriesGroup> groups;
  const auto add = [&](std::vector<InstancePtr> images, std::string problem,
                       std::vector<std::string> notes) {
    SeriesGroup group;
    const Instance& first = *images[0];
    group.patient_name = first.patient_name;
    group.patient_id = first.patient_id;
    group.study_uid = first.study_uid;
    group.problem = std::move(problem);
    group.notes = std::move(notes);
    group.images = std::move(images);
    groups.push_back(std::move(group));
  };
  const auto add_of_patient = [&](const std::string& uid, std::vector<InstancePtr> images) {
    std::vector<std::string> notes;
    const std::vector<FrameRef> frames = PlacedFrames(images);
    if (uid.empty() && !frames.empty()) {
      notes.emplace_back(
          "the files state no SeriesInstanceUID: those of one study, series number, modality and "
          "pixel grid are taken for one series");
    }
    const size_t studies = CountValues(images, [](const Instance& i) { return i.study_uid; });
    if (studies < 2) {
      add(std::move(images), "", std::move(notes));
    } else if (BelongTogether(frames, &Instance::study_uid)) {
      notes.push_back("the files of this series name " + std::to_string(studies) +
                      " studies (StudyInstanceUID), but their slices belong to one volume: they "
                      "are taken for one series");
      add(std::move(images), "", std::move(notes));
    } else {
      notes.push_back("one SeriesInstanceUID stands in " + std::to_string(studies) +
                      " studies (StudyInstanceUID), and their slices do not form one volume: each "
                      "study is a series of its own, which may be a part of the examination");
      std::map<std::string, std::vector<InstancePtr>> by_study;
      for (InstancePtr& image : images) by_study[image->study_uid].push_back(std::move(image));
      for (auto& [study, own] : by_study) add(std::move(own), "", notes);
    }
  };
  for (auto& [uid, images] : by_uid) {
    std::string problem = PatientProblem(images);
    if (problem.empty()) {
      add_of_patient(uid.first, std::move(images));
      continue;
    }
    std::vector<std::vector<InstancePtr>> patients = WholeSeriesOfEach(images);
    if (patients.empty()) add(std::move(images), std::move(problem), {});
    for (auto& own : patients) add_of_patient(uid.first, std::move(own));
  }

  // Spellings of a patient get one key: the PatientID, and the most complete name beside it.
  std::map<std::string, std::set<std::set<std::string>>> names_of;
  for (const SeriesGroup& group : groups) {
    names_of[NormalId(group.patient_id)].insert(NameParts(group.patient_name));
  }
  std::map<std::pair<std::string, std::string>, std::string> date_of;
  for (SeriesGroup& group : groups) {
    const std::string id = NormalId(group.patient_id);
    std::set<std::string> name = NameParts(group.patient_name);
    if (!id.empty()) {
      for (const auto& other : names_of[id]) {
        const bool fuller = other.size() > name.size() &&
                            std::includes(other.begin(), other.end(), name.begin(), name.end());
        if (fuller) name = other;
      }
    }
    group.patient_key = id;
    for (const std::string& part : name) group.patient_key += "^" + part;
    std::string& date = date_of[{group.patient_key, group.study_uid}];
    for (const InstancePtr& image : group.images) {
      if (image->study_uid != group.study_uid || image->study_date.empty()) continue;
      if (date.empty() || image->study_date < date) date = image->study_date;
    }
  }
  const auto number = [](const SeriesGroup& group) {
    int64_t lowest = -1;
    for (const InstancePtr& image : group.images) {
      const int64_t n = image->series_number;
      if (n >= 0 && (lowest < 0 || n < lowest)) lowest = n;
    }
    return lowest;
  };
  const auto key = [&](const SeriesGroup& group) {
    return std::make_tuple(group.patient_key, date_of.at({group.patient_key, group.study_uid}),
                           group.study_uid, number(group), group.images[0]->series_uid);
  };
  using Key = decltype(key(groups[0]));
  std::vector<std::pair<Key, SeriesGroup>> sorted;
  for (SeriesGroup& group : groups) {
    Key k = key(group);
    sorted.emplace_back(std::move(k), std::move(group));
  }
  std::stable_sort(sorted.begin(), sorted.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  for (size_t i = 0; i < sorted.size(); ++i) {
    groups[i] = std::move(sorted[i].second);
    groups[i].study_date = std::get<1>(sorted[i].first);
  }
  return groups;
}

}  // namespace avocet::io::dicom

// SPDX-License-Identifier: Apache-2.0
#include "io/anonymize.h"

#include <algorithm>
#include <cstdio>
#include <sstream>
#include <unordered_map>

#include "app/base/error.h"
#include "io/dcmtk_util.h"
#include "io/resources.h"

namespace avocet::io {
namespace fs = std::filesystem;
namespace {

enum class Action { kKeep, kDummy, kEmpty, kRemove, kUid };

uint32_t KeyOf(const DcmTagKey& tag) {
  return static_cast<uint32_t>(tag.getGroup()) << 16 | tag.getElement();
}

// Choices of the table: the one that is valid for every type of attribute.
Action ActionOf(const std::string& code) {
  if (code == "D" || code == "Z/D" || code == "X/D" || code == "X/Z/D") return Action::kDummy;
  if (code == "Z" || code == "X/Z") return Action::kEmpty;
  if (code == "X") return Action::kRemove;
  return Action::kUid;  // U, X/Z/U*
}

const std::unordered_map<uint32_t, Action>& Table() {
  static const auto* table = [] {
    auto* made = new std::unordered_map<uint32_t, Action>;
    std::istringstream in(resources::ConfidentialityProfile());
    for (std::string line; std::getline(in, line);) {
      if (line.empty() || line[0] == '#') continue;
      unsigned group = 0;
      unsigned element = 0;
      char action[16] = {};
      if (std::sscanf(line.c_str(), "%4x\t%4x\t%15s", &group, &element, action) == 3)
        made->emplace(group << 16 | element, ActionOf(action));
    }
    return made;
  }();
  return *table;
}

bool IsStandardUid(const std::string& uid) { return uid.rfind("1.2.840.10008.", 0) == 0; }

// UIDs that say what something is, not which one.
bool KeepsUid(const DcmTagKey& tag) {
  static const DcmTagKey kKept[] = {DCM_SOPClassUID,
                                    DCM_ReferencedSOPClassUID,
                                    DCM_RelatedGeneralSOPClassUID,
                                    DCM_OriginalSpecializedSOPClassUID,
                                    DCM_SOPClassesInStudy,
                                    DCM_CodingSchemeUID,
                                    DCM_ContextUID,
                                    DCM_MappingResourceUID,
                                    DCM_SOPClassesSupported,
                                    DCM_ReferencedSOPClassUIDInFile,
                                    DCM_MediaStorageSOPClassUID};
  return std::any_of(std::begin(kKept), std::end(kKept),
                     [&](const DcmTagKey& kept) { return kept == tag; });
}

const char* DummyFor(DcmEVR vr) {
  switch (vr) {
    case EVR_DA:
      return "19000101";
    case EVR_TM:
      return "000000";
    case EVR_DT:
      return "19000101000000";
    case EVR_AS:
      return "000Y";
    case EVR_IS:
    case EVR_DS:
      return "0";
    case EVR_AE:
    case EVR_CS:
    case EVR_LO:
    case EVR_LT:
    case EVR_PN:
    case EVR_SH:
    case EVR_ST:
    case EVR_UC:
    case EVR_UT:
      return "ANON";
    default:
      return nullptr;
  }
}

}  // namespace

struct Anonymizer::State {
  std::map<std::string, std::string> uids;
  std::map<std::string, std::string> patients;
  AnonymizeReport report;
  std::unique_ptr<DcmFileFormat> file;
  E_TransferSyntax syntax = EXS_Unknown;

  AttributeCounts& Counts(DcmObject& element) {
    const DcmTagKey key = element.getTag();
    char number[16];
    std::snprintf(number, sizeof number, "(%04X,%04X) ", key.getGroup(), key.getElement());
    DcmTag tag(key);
    return report.attributes[number + std::string(tag.getTagName())];
  }

  void Warn(const std::string& text) {
    if (std::find(report.warnings.begin(), report.warnings.end(), text) == report.warnings.end())
      report.warnings.push_back(text);
  }

  std::string NewUidFor(const std::string& old) {
    std::string& uid = uids[old];
    if (uid.empty()) uid = dcm::NewUid();
    return uid;
  }

  // True when something was replaced.
  bool MapUids(DcmElement& element) {
    OFString all;
    if (element.getOFStringArray(all).bad() || all.empty()) return false;
    std::istringstream in(std::string(all.c_str()));
    std::string mapped;
    bool changed = false;
    bool first = true;
    for (std::string uid; std::getline(in, uid, '\\');) {
      if (!first) mapped += '\\';
      first = false;
      if (!uid.empty() && !IsStandardUid(uid)) {
        uid = NewUidFor(uid);
        changed = true;
      }
      mapped += uid;
    }
    if (changed && element.putString(mapped.c_str()).bad())
      throw IoError("a UID could not be replaced");
    return changed;
  }

  // Returns false when the element is to go.
  bool Treat(DcmElement& element, const std::string& patient_id);
  void Clean(DcmItem& item, const std::string& patient_id);
};

bool Anonymizer::State::Treat(DcmElement& element, const std::string& patient_id) {
  const DcmTagKey key = element.getTag();
  const uint16_t group = key.getGroup();
  if (group % 2 != 0) {
    ++report.private_removed;
    return false;
  }
  if (key.getElement() == 0) return false;  // group lengths, wrong by now
  const bool repeating = (group & 0xFF00) == 0x5000 || (group & 0xFF00) == 0x6000;
  const DcmDictEntry* entry = dcmDataDict.rdlock().findEntry(key, nullptr);
  const bool known = entry != nullptr;
  dcmDataDict.rdunlock();
  const auto found = Table().find(KeyOf(key));
  Action action = found == Table().end() ? Action::kKeep : found->second;
  if (repeating || (!known && found == Table().end())) action = Action::kRemove;
  const DcmEVR vr = element.ident();
  if (action == Action::kKeep && vr == EVR_PN) action = Action::kEmpty;
  if (action == Action::kKeep && vr == EVR_UI && !KeepsUid(key)) action = Action::kUid;
  auto* sequence = vr == EVR_SQ ? dynamic_cast<DcmSequenceOfItems*>(&element) : nullptr;

  switch (action) {
    case Action::kRemove:
      ++Counts(element).removed;
      return false;
    case Action::kEmpty:
    case Action::kDummy: {
      if (key == DCM_PatientID) {
        if (element.putString(patient_id.c_str()).bad()) return false;
        ++Counts(element).replaced;
        return true;
      }
      const char* dummy = action == Action::kDummy ? DummyFor(vr) : nullptr;
      if (action == Action::kDummy && vr == EVR_UI) {
        if (MapUids(element)) ++Counts(element).replaced;
        return true;
      }
      if (dummy) {
        if (element.putString(dummy).bad()) return false;
        ++Counts(element).replaced;
      } else {
        if (sequence && sequence->card() > 0 && key == DCM_ContentSequence)
          Warn("structured reports lose their whole content tree, as the basic profile demands");
        if (element.clear().bad()) return false;
        ++Counts(element).emptied;
      }
      return true;
    }
    case Action::kUid:
      if (sequence) break;  // kept; what is inside is treated
      if (vr != EVR_UI) {
        ++Counts(element).removed;
        return false;
      }
      if (MapUids(element)) ++Counts(element).replaced;
      return true;
    case Action::kKeep:
      break;
  }
  if (sequence)
    for (unsigned long i = 0; i < sequence->card(); ++i)
      if (DcmItem* item = sequence->getItem(i)) Clean(*item, patient_id);
  return true;
}

void Anonymizer::State::Clean(DcmItem& item, const std::string& patient_id) {
  for (unsigned long i = item.card(); i > 0; --i) {
    DcmElement* element = item.getElement(i - 1);
    if (!element || !Treat(*element, patient_id)) delete item.remove(i - 1);
  }
}

Anonymizer::Anonymizer() : state_(std::make_unique<State>()) {}
Anonymizer::~Anonymizer() = default;

const AnonymizeReport& Anonymizer::report() const { return state_->report; }

std::string Anonymizer::Load(const fs::path& in) {
  State& s = *state_;
  const auto loaded = dcm::Load(in);
  const std::string syntax = dcm::Text(*loaded->getMetaInfo(), DCM_TransferSyntaxUID);
  s.syntax = loaded->getDataset()->getOriginalXfer();
  if (s.syntax == EXS_Unknown ||
      (!syntax.empty() && DcmXfer(syntax.c_str()).getXfer() == EXS_Unknown))
    throw IoError(in.string() + " has the transfer syntax '" + syntax +
                  "', which cannot be written again; convert the file first");
  // Pixels are read on demand; the file may be gone or replaced by then.
  if (loaded->loadAllDataIntoMemory().bad()) throw IoError(in.string() + " cannot be read");
  DcmDataset& data = *loaded->getDataset();
  const std::string patient =
      dcm::Text(data, DCM_PatientID) + "\n" + dcm::Text(data, DCM_IssuerOfPatientID);
  std::string& id = s.patients[patient];
  if (id.empty()) id = "ANON-" + std::to_string(s.patients.size());
  const std::string modality = dcm::Text(data, DCM_Modality);
  if (dcm::Text(data, DCM_BurnedInAnnotation) == "YES")
    s.Warn("some images say that text is burned into their pixels; pixels were not changed");
  if (modality == "US" || modality == "SC" || modality == "OT" || modality == "XC" ||
      modality == "DOC" || modality == "ES")
    s.Warn("images of modality " + modality +
           " often show names in their pixels; pixels were not changed");
  // Secondary captures are screens, whatever modality they go under: dose reports, key pictures.
  const std::string sop_class = dcm::Text(data, DCM_SOPClassUID);
  if (sop_class.rfind("1.2.840.10008.5.1.4.1.1.7", 0) == 0 && modality != "SC")
    s.Warn("secondary captures often show names in their pixels; pixels were not changed");
  s.Clean(data, id);

  dcm::Put(data, DCM_PatientIdentityRemoved, "YES");
  dcm::Put(data, DCM_DeidentificationMethod, "Avocet, DICOM PS3.15 basic confidentiality profile");
  DcmElement* old = nullptr;
  if (data.findAndGetElement(DCM_DeidentificationMethodCodeSequence, old).good())
    delete data.remove(old);
  dcm::PutCode(data, DCM_DeidentificationMethodCodeSequence, "113100", "DCM",
               "Basic Application Confidentiality Profile");
  dcm::Put(data, DCM_LongitudinalTemporalInformationModified, "REMOVED");
  std::string series = dcm::Text(data, DCM_SeriesInstanceUID);
  // A new file around the data set: fresh meta header, empty preamble.
  s.file = std::make_unique<DcmFileFormat>(loaded->getAndRemoveDataset(), OFFalse);
  ++s.report.files;
  return series;
}

void Anonymizer::Save(const fs::path& out) {
  if (!state_->file) throw IoError("no DICOM file was loaded before " + out.string());
  dcm::Save(*state_->file, out, state_->syntax);
  state_->file.reset();
}

}  // namespace avocet::io

// SPDX-License-Identifier: Apache-2.0
#include "io/dcmtk_util.h"

#include <dcmtk/oflog/oflog.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <mutex>
#include <random>
#include <utility>

#include "app/base/error.h"
#include "io/dicom_structure.h"
#include "io/file_util.h"

namespace avocet::io::dcm {
namespace fs = std::filesystem;
namespace {

// DCMTK's own messages would go to stderr and may quote header text.
void Prepare() {
  static std::once_flag once;
  std::call_once(once, [] {
    OFLog::configure(OFLogger::OFF_LOG_LEVEL);
    dcmEnableGenerationOfNewVRs();
    // DCMTK reads DCMDICTPATH, else a path of its build. A program that was moved to another
    // machine, or a variable that points nowhere, leaves it without; then: the dictionary beside
    // the program, or that of the machine where this was built.
    if (dcmDataDict.isDictionaryLoaded()) return;
    std::error_code error;
    const fs::path program = fs::read_symlink("/proc/self/exe", error);
    for (const fs::path& path :
         {program.parent_path() / "../share/avocet/dicom.dic", fs::path(AVOCET_DICOM_DICTIONARY)}) {
      if (!fs::is_regular_file(path, error)) continue;
      setenv("DCMDICTPATH", path.c_str(), 1);
      dcmDataDict.wrlock().reloadDictionaries(OFFalse, OFTrue);
      dcmDataDict.wrunlock();
      if (dcmDataDict.isDictionaryLoaded()) return;
    }
  });
  if (!dcmDataDict.isDictionaryLoaded()) {
    const char* named = std::getenv("DCMDICTPATH");
    throw IoError(
        "DCMTK's data dictionary was not found" +
        (named ? " where DCMDICTPATH says ('" + std::string(named) + "')" : std::string()) +
        "; install the package libdcmtk17, or set DCMDICTPATH to a dicom.dic");
  }
}

[[noreturn]] void Fail(const fs::path& path, const std::string& what) {
  throw IoError(path.string() + " " + what);
}

void Check(const OFCondition& condition, const DcmTagKey& tag) {
  if (condition.bad())
    throw IoError("the DICOM attribute " + std::string(tag.toString().c_str()) +
                  " could not be set: " + condition.text());
}

}  // namespace

std::unique_ptr<DcmFileFormat> Load(const fs::path& path) {
  Prepare();
  std::error_code error;
  if (!fs::exists(path, error)) Fail(path, "does not exist");
  if (!fs::is_regular_file(path, error)) Fail(path, "is not a file; a DICOM file is expected");
  CheckDicomStructure(path);
  auto file = std::make_unique<DcmFileFormat>();
  const OFCondition condition = file->loadFile(path.c_str(), EXS_Unknown, EGL_noChange);
  if (condition.bad()) Fail(path, std::string("cannot be read as DICOM: ") + condition.text());
  if (file->getDataset()->card() == 0) Fail(path, "holds no DICOM data set");
  return file;
}

void Save(DcmFileFormat& file, const fs::path& path, E_TransferSyntax syntax) {
  Prepare();
  AtomicFile out(path);
  const OFCondition condition =
      file.saveFile(out.temporary_path().c_str(), syntax, EET_UndefinedLength, EGL_recalcGL);
  if (condition.bad()) Fail(path, std::string("could not be written: ") + condition.text());
  out.Commit();
}

std::string Text(DcmItem& item, const DcmTagKey& tag) {
  OFString value;
  if (item.findAndGetOFStringArray(tag, value).bad()) return "";
  std::string text(value.c_str());
  const size_t end = text.find_last_not_of(std::string(" \0", 2));
  text.resize(end == std::string::npos ? 0 : end + 1);
  const size_t begin = text.find_first_not_of(' ');
  return begin == std::string::npos ? "" : text.substr(begin);
}

bool Numbers(DcmItem& item, const DcmTagKey& tag, size_t count, double* values) {
  DcmElement* element = nullptr;
  if (item.findAndGetElement(tag, element).bad() || !element || element->getVM() != count)
    return false;
  for (size_t i = 0; i < count; ++i) {
    if (element->getFloat64(values[i], i).bad()) {
      Float32 single = 0;
      if (element->getFloat32(single, i).bad()) return false;
      values[i] = single;
    }
    if (!std::isfinite(values[i])) return false;
  }
  return true;
}

bool Triple(DcmItem& item, const DcmTagKey& tag, Vec3& value) {
  return Numbers(item, tag, 3, value.data());
}

long Integer(DcmItem& item, const DcmTagKey& tag, long otherwise) {
  DcmElement* element = nullptr;
  if (item.findAndGetElement(tag, element).bad() || !element) return otherwise;
  Uint16 small = 0;
  if (element->getUint16(small).good()) return small;
  Uint32 large = 0;
  if (element->getUint32(large).good()) return static_cast<long>(large);
  Sint32 number = 0;
  if (element->getSint32(number).good()) return number;
  return otherwise;
}

DcmItem* Item(DcmItem& item, const DcmTagKey& sequence, unsigned long index) {
  DcmSequenceOfItems* items = nullptr;
  if (item.findAndGetSequence(sequence, items).bad() || !items) return nullptr;
  return index < items->card() ? items->getItem(index) : nullptr;
}

std::vector<DcmItem*> Items(DcmItem& item, const DcmTagKey& sequence) {
  std::vector<DcmItem*> all;
  DcmSequenceOfItems* items = nullptr;
  if (item.findAndGetSequence(sequence, items).bad() || !items) return all;
  all.reserve(items->card());
  DcmObject* next = nullptr;
  while ((next = items->nextInContainer(next)) != nullptr) {
    if (auto* one = dynamic_cast<DcmItem*>(next)) all.push_back(one);
  }
  return all;
}

unsigned long ItemCount(DcmItem& item, const DcmTagKey& sequence) {
  DcmSequenceOfItems* items = nullptr;
  if (item.findAndGetSequence(sequence, items).bad() || !items) return 0;
  return items->card();
}

DcmItem& AddItem(DcmItem& item, const DcmTagKey& sequence) {
  DcmSequenceOfItems* items = nullptr;
  if (item.findAndGetSequence(sequence, items).bad() || !items) {
    items = new DcmSequenceOfItems(DcmTag(sequence));
    Check(item.insert(items, OFTrue), sequence);
  }
  auto* added = new DcmItem(DCM_ItemTag);
  Check(items->append(added), sequence);
  return *added;
}

void Put(DcmItem& item, const DcmTag& tag, const std::string& value) {
  Check(item.putAndInsertString(tag, value.c_str()), tag);
}

void PutUInt16(DcmItem& item, const DcmTag& tag, const std::vector<uint16_t>& values) {
  Check(item.putAndInsertUint16Array(tag, values.data(), values.size()), tag);
}

void PutUInt32(DcmItem& item, const DcmTag& tag, const std::vector<uint32_t>& values) {
  auto* element = new DcmUnsignedLong(tag);
  const OFCondition put = element->putUint32Array(values.data(), values.size());
  if (put.bad()) delete element;
  Check(put, tag);
  Check(item.insert(element, OFTrue), tag);
}

void PutCode(DcmItem& item, const DcmTagKey& sequence, const std::string& value,
             const std::string& scheme, const std::string& meaning) {
  DcmItem& code = AddItem(item, sequence);
  Put(code, DCM_CodeValue, value);
  Put(code, DCM_CodingSchemeDesignator, scheme);
  Put(code, DCM_CodeMeaning, Clean(meaning, 64));
}

void Copy(DcmItem& from, DcmItem& to, const DcmTagKey& tag, bool type2) {
  DcmElement* element = nullptr;
  if (from.findAndGetElement(tag, element).good() && element) {
    auto* copy = dynamic_cast<DcmElement*>(element->clone());
    if (copy && to.insert(copy, OFTrue).good()) return;
    delete copy;
  }
  if (type2) Check(to.insertEmptyElement(DcmTag(tag), OFTrue), tag);
}

bool CopyPatientAndStudy(DcmItem& from, DcmItem& to, bool keep_patient) {
  const bool keep = keep_patient || Text(from, DCM_PatientIdentityRemoved) == "YES";
  if (!Text(from, DCM_SpecificCharacterSet).empty()) Copy(from, to, DCM_SpecificCharacterSet);
  bool left = false;
  for (const DcmTagKey& tag : {DCM_PatientName, DCM_PatientID, DCM_PatientBirthDate,
                               DCM_ReferringPhysicianName, DCM_StudyID, DCM_AccessionNumber}) {
    if (keep) {
      Copy(from, to, tag, true);
    } else {
      left = left || !Text(from, tag).empty();
      Check(to.insertEmptyElement(DcmTag(tag), OFTrue), tag);
    }
  }
  for (const DcmTagKey& tag : {DCM_PatientSex, DCM_StudyDate, DCM_StudyTime})
    Copy(from, to, tag, true);
  // Optional ones only when they are legal: an error of the source is not passed on.
  const auto copy_legal = [&](const DcmTagKey& tag) {
    DcmElement* element = nullptr;
    if (from.findAndGetElement(tag, element).good() && element && !Text(from, tag).empty() &&
        (tag == DCM_StudyDescription || element->checkValue("1-n", OFFalse).good()))
      Copy(from, to, tag);
  };
  for (const DcmTagKey& tag :
       {DCM_PatientAge, DCM_PatientSize, DCM_PatientWeight, DCM_PatientIdentityRemoved,
        DCM_DeidentificationMethod, DCM_LongitudinalTemporalInformationModified})
    copy_legal(tag);
  if (keep) {
    copy_legal(DCM_IssuerOfPatientID);
    copy_legal(DCM_StudyDescription);
    if (ItemCount(from, DCM_OtherPatientIDsSequence) > 0)
      Copy(from, to, DCM_OtherPatientIDsSequence);
  }
  if (ItemCount(from, DCM_DeidentificationMethodCodeSequence) > 0)
    Copy(from, to, DCM_DeidentificationMethodCodeSequence);
  if (!Text(from, DCM_StudyInstanceUID).empty()) Copy(from, to, DCM_StudyInstanceUID);
  if (Text(to, DCM_PatientIdentityRemoved) == "YES" &&
      Text(to, DCM_DeidentificationMethod).empty() &&
      ItemCount(to, DCM_DeidentificationMethodCodeSequence) == 0)
    Put(to, DCM_DeidentificationMethod, "not stated by the source images");
  // Some sources break the length of these; a copy would make our file invalid too.
  for (const auto& [tag, length] :
       {std::pair<DcmTagKey, size_t>{DCM_StudyID, 16}, {DCM_StudyDescription, 64}}) {
    const std::string value = Text(to, tag);
    if (value.size() > length) Put(to, tag, Clean(value, length));
  }
  return left;
}

void PrepareForTexts(DcmDataset& data, const std::vector<std::string>& texts) {
  bool plain = true;
  for (const std::string& text : texts)
    for (const char c : text) plain = plain && static_cast<unsigned char>(c) < 128;
  if (plain || Text(data, DCM_SpecificCharacterSet) == "ISO_IR 192") return;
  const OFCondition converted = data.convertToUTF8();
  if (converted.bad() && !Text(data, DCM_SpecificCharacterSet).empty())
    throw IoError(
        std::string("the patient's texts could not be brought to UTF-8 beside labels that "
                    "are not ASCII: ") +
        converted.text());
  Put(data, DCM_SpecificCharacterSet, "ISO_IR 192");
}

void PutEquipment(DcmItem& to) {
  Put(to, DCM_Manufacturer, "Avocet");
  Put(to, DCM_ManufacturerModelName, "Avocet");
  Put(to, DCM_DeviceSerialNumber, "0");
  Put(to, DCM_SoftwareVersions, AVOCET_VERSION);
}

std::string DecimalString(double value) {
  char text[40];
  for (int digits = 17; digits > 0; --digits) {
    std::snprintf(text, sizeof text, "%.*g", digits, value);
    if (std::string(text).size() <= 16) break;
  }
  return text;
}

std::string Clean(const std::string& text, size_t length) {
  std::string clean;
  for (const char c : text) {
    if (clean.size() == length) break;
    clean += c == '\\' || static_cast<unsigned char>(c) < 32 ? ' ' : c;
  }
  // Do not end within a UTF-8 character.
  if (clean.size() == length && text.size() > length)
    while (!clean.empty() && (static_cast<unsigned char>(text[clean.size()]) & 0xC0) == 0x80)
      clean.pop_back();
  return clean;
}

std::string NewUid() {
  // A random UUID as a decimal number under 2.25 (PS3.5 B.2): nothing of the machine is in it.
  std::random_device random;
  std::array<uint32_t, 4> words{random(), random(), random(), random()};
  words[1] = (words[1] & 0xFFFF0FFF) | 0x4000;
  words[2] = (words[2] & 0x3FFFFFFF) | 0x80000000;
  std::string digits;
  while (words[0] | words[1] | words[2] | words[3]) {
    uint64_t rest = 0;
    for (uint32_t& word : words) {
      rest = rest << 32 | word;
      word = static_cast<uint32_t>(rest / 10);
      rest %= 10;
    }
    digits.insert(digits.begin(), static_cast<char>('0' + rest));
  }
  return "2.25." + digits;
}

Now CurrentTime() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  localtime_r(&now, &parts);
  char date[16];
  char time[16];
  std::strftime(date, sizeof date, "%Y%m%d", &parts);
  std::strftime(time, sizeof time, "%H%M%S", &parts);
  return {date, time};
}

}  // namespace avocet::io::dcm

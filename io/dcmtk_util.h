// SPDX-License-Identifier: Apache-2.0
#pragma once

// Private to io/: DCMTK's types, with its errors turned into ours. Include only from .cc files.

#include <dcmtk/config/osconfig.h>
#include <dcmtk/dcmdata/dctk.h>

#include <array>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace avocet::io::dcm {

using Vec3 = std::array<double, 3>;

inline double Dot(const Vec3& a, const Vec3& b) { return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]; }
inline Vec3 Cross(const Vec3& a, const Vec3& b) {
  return {a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]};
}
inline Vec3 Minus(const Vec3& a, const Vec3& b) { return {a[0] - b[0], a[1] - b[1], a[2] - b[2]}; }

// Loads a DICOM file. Values over 4 KiB stay on the disk until asked for. A deflated file that
// would unpack to more than dicom::MostInflated, a value longer than the file, nesting deeper than
// 64 sequences and what is not DICOM are refused. Throws IoError naming the file.
std::unique_ptr<DcmFileFormat> Load(const std::filesystem::path& path);

// Saves atomically. Throws IoError.
void Save(DcmFileFormat& file, const std::filesystem::path& path,
          E_TransferSyntax syntax = EXS_LittleEndianExplicit);

// Whole text of an element (all values, backslashes kept), without padding; "" when missing.
std::string Text(DcmItem& item, const DcmTagKey& tag);

// Exactly `count` finite numbers (DS, FD or FL). False when missing or otherwise.
bool Numbers(DcmItem& item, const DcmTagKey& tag, size_t count, double* values);
bool Triple(DcmItem& item, const DcmTagKey& tag, Vec3& value);
// One whole number (IS, US, UL), or `otherwise`.
long Integer(DcmItem& item, const DcmTagKey& tag, long otherwise);

// The n-th item of a sequence, null when there is none.
DcmItem* Item(DcmItem& item, const DcmTagKey& sequence, unsigned long index = 0);
// All items, in one pass: DCMTK finds the n-th by counting from the first.
std::vector<DcmItem*> Items(DcmItem& item, const DcmTagKey& sequence);
unsigned long ItemCount(DcmItem& item, const DcmTagKey& sequence);
// A new item at the end of a sequence, made when missing.
DcmItem& AddItem(DcmItem& item, const DcmTagKey& sequence);

void Put(DcmItem& item, const DcmTag& tag, const std::string& value);
void PutUInt16(DcmItem& item, const DcmTag& tag, const std::vector<uint16_t>& values);
void PutUInt32(DcmItem& item, const DcmTag& tag, const std::vector<uint32_t>& values);
void PutCode(DcmItem& item, const DcmTagKey& sequence, const std::string& value,
             const std::string& scheme, const std::string& meaning);

// Copies the element when `from` has it; otherwise an empty one when `type2`.
void Copy(DcmItem& from, DcmItem& to, const DcmTagKey& tag, bool type2 = false);
// Patient and general study modules, for an object of the same study. Without `keep_patient` what
// names the patient, a physician or the examination (name, ID, birth date, accession number, study
// ID, descriptions) stays empty, unless the source says that it is de-identified already; the
// study's UID and date, sex, age and size are copied. True when something was left behind.
bool CopyPatientAndStudy(DcmItem& from, DcmItem& to, bool keep_patient);
// Turns the texts copied so far into UTF-8 when `texts` to come are not plain ASCII, so that one
// character set serves both.
void PrepareForTexts(DcmDataset& data, const std::vector<std::string>& texts);
// Manufacturer, model, version, serial number: this software.
void PutEquipment(DcmItem& to);

// At most 16 characters, as near to `value` as they allow (VR DS).
std::string DecimalString(double value);
// The same for several, "a\\b\\c".
template <typename Values>
std::string DecimalStrings(const Values& values) {
  std::string text;
  for (const double value : values) text += (text.empty() ? "" : "\\") + DecimalString(value);
  return text;
}
// Text cut to `length` bytes, without backslashes and control characters.
std::string Clean(const std::string& text, size_t length);
std::string NewUid();
struct Now {
  std::string date;  // YYYYMMDD
  std::string time;  // HHMMSS
};
Now CurrentTime();

}  // namespace avocet::io::dcm

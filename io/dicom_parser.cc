// SPDX-License-Identifier: Apache-2.0
// The header of a DICOM file: PS3.10 (preamble, meta group) and PS3.5 section 7 (data elements).
#include <zlib.h>

#include <algorithm>
#include <cstdio>
#include <cstring>

#include "app/base/error.h"
#include "io/dicom.h"
#include "io/dicom_dataset.h"

namespace avocet::io {
namespace dicom {
namespace {

constexpr uint32_t kUndefined = 0xffffffff;
constexpr Tag kItem = 0xfffee000, kItemEnd = 0xfffee00d, kSequenceEnd = 0xfffee0dd;
constexpr int kMaxDepth = 16;
// An element in memory is an order of magnitude larger than the shortest one in a file.
constexpr int64_t kMaxElements = 20000000;
constexpr size_t kKeptValue = size_t{1} << 20;
constexpr const char* kImplicit = "1.2.840.10008.1.2";
constexpr const char* kExplicit = "1.2.840.10008.1.2.1";
constexpr const char* kDeflated = "1.2.840.10008.1.2.1.99";
constexpr const char* kBigEndian = "1.2.840.10008.1.2.2";
constexpr const char* kGePrivate = "1.2.840.113619.5.2";  // implicit, pixels big endian

std::string TagText(Tag tag) {
  char text[16];
  std::snprintf(text, sizeof text, "(%04X,%04X)", tag >> 16, tag & 0xffff);
  return text;
}

bool IsVr(const unsigned char* letters) {
  static const char* const kAll =
      "AE AS AT CS DA DS DT FL FD IS LO LT OB OD OF OL OV OW PN SH SL SQ SS ST SV TM UC UI UL UN "
      "UR US UT UV ";
  const char text[4] = {static_cast<char>(letters[0]), static_cast<char>(letters[1]), ' ', 0};
  return letters[0] >= 'A' && letters[1] >= 'A' && std::strstr(kAll, text) != nullptr;
}

bool HasLongLength(std::string_view vr) {
  static constexpr std::string_view kLong = "OB OD OF OL OV OW SQ SV UC UN UR UT UV";
  return kLong.find(vr) != kLong.npos;
}

// What implicit VR leaves unsaid, for the elements that are used here (PS3.6).
const char* DictionaryVr(Tag tag) {
  switch (tag) {
    case 0x00280002:
    case 0x00280006:
    case 0x00280010:
    case 0x00280011:
    case 0x00280100:
    case 0x00280101:
    case 0x00280102:
    case 0x00280103:
    case 0x00281101:
    case 0x00281102:
    case 0x00281103:
    case 0x00280120:
    case 0x0019100a:
      return "US";
    case 0x00281201:
    case 0x00281202:
    case 0x00281203:
      return "OW";
    case 0x00189087:
    case 0x00189082:
    case 0x00209153:
    case 0x00189073:
    case 0x00189089:
    case 0x00409224:
    case 0x00409225:
      return "FD";
    case 0x00209128:
    case 0x00209157:
    case 0x00209057:
    case 0x00041400:
    case 0x00041420:
      return "UL";
    case 0x7fe00001:
    case 0x7fe00002:
      return "OV";
    case 0x52009229:
    case 0x52009230:
    case 0x00209111:
    case 0x00209113:
    case 0x00209116:
    case 0x00209071:
    case 0x00289110:
    case 0x00289145:
    case 0x00189114:
    case 0x00189117:
    case 0x00189226:
    case 0x00189329:
    case 0x00409096:
    case 0x00041220:
    case 0x00189341:
    case 0x00186011:
    case 0x00283000:
    case 0x00283010:
    case 0x00081140:
    case 0x00082112:
    case 0x00289422:
    case 0x00189118:
    case 0x00189152:
      return "SQ";
    default:
      return "UN";
  }
}

class Parser {
 public:
  Parser(const ByteStore& store, ParsedFile& out) : store_(store), out_(out) {}

  struct Syntax {
    bool is_explicit = true;
    bool big_endian = false;
  };

  [[noreturn]] void Fail(const std::string& what) const {
    throw IoError("cannot read '" + store_.path().string() + "': " + what);
  }

  // The bytes at `at`; `count` is small. Fails at the end of the file.
  const unsigned char* At(uint64_t at, size_t count) {
    if (at > store_.size() || count > store_.size() - at) Fail("the DICOM header is cut short");
    if (at < window_at_ || at + count > window_at_ + window_.size()) {
      const uint64_t wanted = std::min<uint64_t>(store_.size() - at, kWindow);
      window_.resize(static_cast<size_t>(wanted));
      window_at_ = at;
      store_.Read(at, window_.data(), window_.size());
    }
    return reinterpret_cast<const unsigned char*>(window_.data()) + (at - window_at_);
  }
  uint16_t U16(uint64_t at, bool big) {
    const unsigned char* b = At(at, 2);
    return static_cast<uint16_t>(big ? b[0] << 8 | b[1] : b[1] << 8 | b[0]);
  }
  uint32_t U32(uint64_t at, bool big) {
    const uint32_t first = U16(at, big), second = U16(at + 2, big);
    return big ? first << 16 | second : second << 16 | first;
  }
  Tag TagAt(uint64_t at, bool big) {
    return static_cast<Tag>(U16(at, big)) << 16 | U16(at + 2, big);
  }

  // Parses elements from `at`; stops at `end`, at an item delimiter when `delimited`, at the pixel
  // data of the top level, or where the group is no longer 0002 when `meta`. Returns where.
  uint64_t ParseElements(uint64_t at, uint64_t end, Syntax syntax, int depth, bool delimited,
                         bool meta, Dataset& to) {
    if (depth > kMaxDepth) Fail("its sequences are nested too deep");
    const bool big = syntax.big_endian;
    to.big_endian = big;
    while (at < end) {
      if (end - at < 8) {
        if (depth == 0 && !meta) break;  // trailing padding
        Fail("the DICOM header is cut short");
      }
      const Tag tag = TagAt(at, big);
      if (meta && tag >> 16 != 2) return at;
      if (tag == kItemEnd && delimited) return at + 8;
      if (tag == kSequenceEnd) {
        if (depth > 0) return at;  // an item whose own delimiter is missing
        at += 8;
        continue;
      }
      if (++elements_ > kMaxElements) Fail("it has more than 20 million elements");
      Element element;
      element.tag = tag;
      uint64_t value = 0;
      const uint32_t length = Header(at, end, syntax, element, value);
      const uint32_t group = tag >> 16;
      if (depth == 0 && !meta && group == 0x7fe0 &&
          (tag == 0x7fe00010 || tag == 0x7fe00008 || tag == 0x7fe00009)) {
        Pixels(element, value, length, big);
        return at;
      }
      if (depth == 0 && !meta && group > 0x7fe0) return at;  // signatures, trailing padding
      const std::string_view vr(element.vr, 2);
      const bool undefined = length == kUndefined;
      if (!undefined && length > end - value) {
        Fail("the value of " + TagText(tag) + " claims " + std::to_string(length) + " bytes, " +
             std::to_string(end - value) + " are left");
      }
      element.offset = value;
      if (vr == "SQ" || (undefined && vr == "UN")) {
        // CP-246: a sequence of unknown VR is implicit little endian within.
        const Syntax inner = vr == "UN" ? Syntax{false, false} : syntax;
        at = Items(value, undefined ? end : value + length, undefined, inner, depth, &element);
      } else if (undefined) {
        at = Items(value, end, true, syntax, depth, nullptr);  // fragments of an icon
      } else {
        element.length = length;
        if (length <= kKeptValue) {
          element.bytes.resize(length);
          if (length > 0) {
            if (length <= kWindow) {
              std::memcpy(element.bytes.data(), At(value, length), length);
            } else {
              store_.Read(value, element.bytes.data(), length);
            }
          }
        }
        at = value + length;
      }
      to.elements.push_back(std::move(element));
    }
    return at;
  }

 private:
  static constexpr size_t kWindow = size_t{1} << 15;

  // Reads VR and length; sets `value` to where the value begins.
  uint32_t Header(uint64_t at, uint64_t end, Syntax syntax, Element& element, uint64_t& value) {
    const bool big = syntax.big_endian;
    const auto set_vr = [&](const char* vr) { std::memcpy(element.vr, vr, 2); };
    if (element.tag >> 16 == 0xfffe || !syntax.is_explicit) {
      set_vr(DictionaryVr(element.tag));
      value = at + 8;
      return U32(at + 4, big);
    }
    unsigned char letters[2];
    std::memcpy(letters, At(at + 4, 2), 2);
    if (IsVr(letters)) {
      set_vr(reinterpret_cast<const char*>(letters));
      if (HasLongLength(std::string_view(element.vr, 2))) {
        value = at + 12;
        return U32(at + 8, big);
      }
      value = at + 8;
      return U16(at + 6, big);
    }
    // A VR that does not exist: as the standard's short form, or as implicit VR; what the element
    // behind it looks like decides.
    if (!noted_vr_) {
      noted_vr_ = true;
      out_.notes.push_back("the element " + TagText(element.tag) +
                           " has a value representation that does not exist; it was passed over");
    }
    set_vr(DictionaryVr(element.tag));
    value = at + 8;
    const auto plausible = [&](uint64_t next) {
      if (next > end) return false;
      if (end - next < 8) return next == end;
      const Tag tag = TagAt(next, big);
      return tag > element.tag || tag >> 16 == 0xfffe;
    };
    const uint32_t short_length = U16(at + 6, big), long_length = U32(at + 4, big);
    if (plausible(at + 8 + short_length)) return short_length;
    if (long_length == kUndefined || plausible(at + 8 + long_length)) return long_length;
    Fail("the element " + TagText(element.tag) + " has no valid value representation");
  }

  // Items of a sequence, kept in `element`, or passed over when it is null.
  uint64_t Items(uint64_t at, uint64_t end, bool undefined, Syntax syntax, int depth,
                 Element* element) {
    while (at < end) {
      if (end - at < 8) Fail("a sequence is cut short");
      const Tag tag = TagAt(at, syntax.big_endian);
      const uint32_t length = U32(at + 4, syntax.big_endian);
      if (tag == kSequenceEnd) {
        at += 8;
        return undefined ? at : end;
      }
      if (tag != kItem) {
        const std::string where = element == nullptr ? "" : " " + TagText(element->tag);
        Fail("the sequence" + where + " is damaged: " + TagText(tag) +
             " stands where an item should");
      }
      at += 8;
      if (element == nullptr) {
        if (length > end - at) Fail("a sequence is cut short");
        at += length;
        continue;
      }
      if (++elements_ > kMaxElements) Fail("it has more than 20 million elements");
      element->items.emplace_back();
      Dataset& item = element->items.back();
      if (length == kUndefined) {
        at = ParseElements(at, end, syntax, depth + 1, true, false, item);
      } else {
        if (length > end - at) Fail("the sequence " + TagText(element->tag) + " is cut short");
        ParseElements(at, at + length, syntax, depth + 1, false, false, item);
        at += length;
      }
    }
    return at;
  }

  void Pixels(const Element& element, uint64_t value, uint32_t length, bool big) {
    PixelLocation& pixels = out_.pixels;
    pixels.kind = element.tag == 0x7fe00008   ? PixelLocation::Kind::kFloat
                  : element.tag == 0x7fe00009 ? PixelLocation::Kind::kDouble
                                              : PixelLocation::Kind::kInteger;
    const uint64_t there = store_.size() - std::min(value, store_.size());
    pixels.words = std::string_view(element.vr, 2) == "OW";
    if (length != kUndefined) {
      pixels.offset = value;
      pixels.claimed = length;
      pixels.length = std::min<uint64_t>(length, there);
      pixels.cut = length > there;
      return;
    }
    // PS3.5 A.4: the first item is the offset table, each further one a fragment.
    pixels.encapsulated = true;
    uint64_t at = value;
    bool first = true, ended = false;
    while (store_.size() - at >= 8) {
      const Tag tag = TagAt(at, big);
      uint64_t size = U32(at + 4, big);
      if (tag == kSequenceEnd) {
        ended = true;
        break;
      }
      if (tag != kItem) break;
      at += 8;
      if (size > store_.size() - at) {
        size = store_.size() - at;
        pixels.cut = true;
      }
      if (first) {
        for (uint64_t i = 0; i + 4 <= size && size <= kKeptValue * 16; i += 4) {
          pixels.frame_offsets.push_back(U32(at + i, big));
        }
        first = false;
      } else {
        pixels.fragments.emplace_back(at, size);
      }
      at += size;
    }
    if (!ended) pixels.cut = true;
    // The extended offset table (7FE0,0001) counts in 64 bits.
    const std::vector<double> extended = out_.data.Numbers(0x7fe00001);
    if (!extended.empty()) {
      pixels.frame_offsets.clear();
      for (const double offset : extended) {
        pixels.frame_offsets.push_back(offset < 9e15 ? static_cast<uint64_t>(offset) : 0);
      }
    }
  }

  const ByteStore& store_;
  ParsedFile& out_;
  std::string window_;
  uint64_t window_at_ = 0;
  int64_t elements_ = 0;
  bool noted_vr_ = false;
};

// Inflates the data set behind the meta group (PS3.5 A.5: a raw deflate stream).
std::string Inflate(const ByteStore& store, uint64_t from) {
  const auto fail = [&](const std::string& what) {
    throw IoError("cannot read '" + store.path().string() + "': " + what);
  };
  std::string packed(static_cast<size_t>(store.size() - from), '\0');
  store.Read(from, packed.data(), packed.size());
  z_stream stream = {};
  if (inflateInit2(&stream, -MAX_WBITS) != Z_OK) fail("zlib could not be started");
  std::string out, block(size_t{1} << 18, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(packed.data());
  stream.avail_in = static_cast<uInt>(std::min<size_t>(packed.size(), UINT32_MAX));
  int status = Z_OK;
  const uint64_t most = MostInflated(packed.size());
  while (status == Z_OK) {
    stream.next_out = reinterpret_cast<Bytef*>(block.data());
    stream.avail_out = static_cast<uInt>(block.size());
    status = inflate(&stream, Z_NO_FLUSH);
    out.append(block, 0, block.size() - stream.avail_out);
    if (out.size() > most) break;
  }
  inflateEnd(&stream);
  if (out.size() > most) {
    fail("its deflated content unpacks to over " + std::to_string(most >> 20) +
         " MB, which no data set of its length does");
  }
  if (status != Z_STREAM_END) fail("its deflated content is damaged or cut short");
  return out;
}

// How a data set without a meta group is written, by its first element; false: no data set.
bool GuessSyntax(std::string_view head, Parser::Syntax& syntax) {
  if (head.size() < 8) return false;
  const auto* b = reinterpret_cast<const unsigned char*>(head.data());
  const bool vr = IsVr(b + 4);
  // Files begin with group 0008 (or, without preamble, 0002 or 0004); the element number is small.
  const auto begins = [](unsigned group, unsigned element) {
    return (group == 2 || group == 4 || group == 8) && element <= 0x0070;
  };
  if (begins(b[0] | b[1] << 8, b[2] | b[3] << 8)) {
    const uint32_t length = b[4] | b[5] << 8 | b[6] << 16 | static_cast<uint32_t>(b[7]) << 24;
    syntax = {vr, false};
    return vr || length < 4096 || length == kUndefined;
  }
  if (vr && begins(b[0] << 8 | b[1], b[2] << 8 | b[3])) {
    syntax = {true, true};
    return true;
  }
  return false;
}

}  // namespace

ParsedFile ParseFile(const std::filesystem::path& path) {
  ParsedFile file;
  auto store = std::make_shared<const ByteStore>(path);
  std::string head(static_cast<size_t>(std::min<uint64_t>(store->size(), 1024)), '\0');
  store->Read(0, head.data(), head.size());
  if (head.compare(0, 2, "\x1f\x8b") == 0) {
    throw NotDicom("cannot read '" + path.string() +
                   "': DICOM packed with gzip is not read; unpack it first");
  }
  if (!LooksLikeDicom(head)) {
    throw NotDicom("cannot read '" + path.string() + "': it is not a DICOM file");
  }
  uint64_t at = 0;
  if (head.size() >= 132 && head.compare(128, 4, "DICM") == 0) {
    at = 132;
  } else if (head.compare(0, 4, "DICM") == 0) {
    at = 4;
  }
  {
    // PS3.10 prescribes explicit VR for the meta group; some writers use implicit VR there too.
    const bool is_explicit =
        head.size() < at + 6 || IsVr(reinterpret_cast<const unsigned char*>(head.data()) + at + 4);
    Parser parser(*store, file);
    at = parser.ParseElements(at, store->size(), {is_explicit, false}, 0, false, true, file.meta);
    if (!is_explicit && !file.meta.elements.empty()) {
      file.notes.push_back("the meta group is in implicit VR, which the standard does not allow");
    }
  }
  file.transfer_syntax = file.meta.Text(0x00020010);
  if (file.transfer_syntax == kDeflated) {
    store = std::make_shared<const ByteStore>(Inflate(*store, at), path);
    at = 0;
  }
  // What the data set really is wins over what the meta group says of it.
  head.assign(static_cast<size_t>(std::min<uint64_t>(store->size() - at, 8)), '\0');
  store->Read(at, head.data(), head.size());
  const std::string& uid = file.transfer_syntax;
  Parser::Syntax syntax{uid != kImplicit && uid != kGePrivate, uid == kBigEndian};
  Parser::Syntax found;
  if (GuessSyntax(head, found) && found.is_explicit != syntax.is_explicit) {
    if (!uid.empty()) {
      file.notes.push_back(std::string("the transfer syntax says ") +
                           (syntax.is_explicit ? "explicit" : "implicit") + ", the data set is " +
                           (found.is_explicit ? "explicit" : "implicit"));
    }
    syntax = found;
  } else if (uid.empty()) {
    syntax = found;
  }
  if (uid.empty()) {
    file.notes.push_back("the file does not state its transfer syntax; it was found by content");
    file.transfer_syntax =
        syntax.big_endian ? kBigEndian : (syntax.is_explicit ? kExplicit : kImplicit);
  }
  file.big_endian = syntax.big_endian;
  Parser parser(*store, file);
  parser.ParseElements(at, store->size(), syntax, 0, false, false, file.data);
  file.store = std::move(store);
  return file;
}

std::shared_ptr<const ByteStore> OpenStore(const std::filesystem::path& path,
                                           const std::string& transfer_syntax) {
  if (transfer_syntax == kDeflated) return ParseFile(path).store;
  return std::make_shared<const ByteStore>(path);
}

}  // namespace dicom

bool LooksLikeDicom(std::string_view head) {
  if (head.size() >= 132 && head.substr(128, 4) == "DICM") return true;
  if (head.substr(0, 4) == "DICM") return true;
  dicom::Parser::Syntax syntax;
  return dicom::GuessSyntax(head, syntax);
}

}  // namespace avocet::io

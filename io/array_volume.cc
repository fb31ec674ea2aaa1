// SPDX-License-Identifier: Apache-2.0
#include "io/array_volume.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

#include "app/base/error.h"
#include "io/header_text.h"
#include "io/voxel_data.h"

namespace avocet::io {
namespace fs = std::filesystem;
namespace {

constexpr const char* kImageNames[] = {"image", "img", "volume", "vol", "data", "raw", "arr_0"};
constexpr const char* kLabelNames[] = {"label",        "labels", "mask",   "seg",
                                       "segmentation", "gt",     "target", "scribble"};

std::string LastPart(const std::string& name) { return Lower(name.substr(name.rfind('/') + 1)); }

bool IsLabelName(const std::string& name) {
  return std::any_of(std::begin(kLabelNames), std::end(kLabelNames),
                     [&](const char* label) { return LastPart(name) == label; });
}

std::string ShapeText(const std::vector<int64_t>& shape) {
  std::string text;
  for (const int64_t size : shape) text += (text.empty() ? "" : " x ") + std::to_string(size);
  return text;
}

std::string Printable(std::string text) {
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < 32 || c == 127) c = '?';
  }
  return text.substr(0, 60);
}

}  // namespace

MemberPath SplitMember(const fs::path& path) {
  const std::string text = path.string();
  const size_t hash = text.rfind('#');
  std::error_code ignored;
  if (hash == text.npos || hash == 0 || fs::exists(path, ignored)) return {path, ""};
  std::string member = text.substr(hash + 1);
  while (!member.empty() && member[0] == '/') member.erase(0, 1);
  return {text.substr(0, hash), member};
}

size_t ChooseArray(const std::vector<ArrayInfo>& arrays, const std::string& member,
                   const std::string& file, std::vector<std::string>* notes) {
  std::string names;
  std::vector<size_t> usable;
  for (size_t i = 0; i < arrays.size(); ++i) {
    if (i < 12) names += (names.empty() ? "" : ", ") + Printable(arrays[i].name);
    if (arrays[i].unusable.empty()) usable.push_back(i);
  }
  if (arrays.size() > 12) names += ", ...";
  size_t chosen = arrays.size();
  for (size_t i = 0; i < arrays.size() && !member.empty(); ++i) {
    if (arrays[i].name == member) chosen = i;
  }
  if (!member.empty() && chosen == arrays.size()) {
    throw IoError("cannot read '" + file + "': it holds no array '" + Printable(member) +
                  "'; it holds " + (names.empty() ? "none" : names));
  }
  for (const char* wanted : kImageNames) {
    for (size_t i = 0; i < arrays.size() && chosen == arrays.size(); ++i) {
      if (LastPart(arrays[i].name) == wanted) chosen = i;
    }
  }
  if (chosen == arrays.size() && usable.size() == 1) chosen = usable[0];
  if (chosen == arrays.size() && usable.empty() && arrays.size() == 1) chosen = 0;
  if (chosen == arrays.size()) {
    throw IoError("cannot read '" + file + "': " +
                  (arrays.empty() ? "it holds no array"
                                  : "it is not clear which of its arrays is the image (" + names +
                                        "); name one as FILE#NAME"));
  }
  if (!arrays[chosen].unusable.empty()) {
    throw IoError("cannot read '" + file + "': its array '" + Printable(arrays[chosen].name) +
                  "' " + arrays[chosen].unusable);
  }
  for (const size_t i : usable) {
    if (i == chosen || notes->size() >= 8) continue;
    notes->push_back("the file also holds the array '" + Printable(arrays[i].name) + "' (" +
                     NameOf(arrays[i].type) + ", " + ShapeText(arrays[i].shape) +
                     "), to be named as FILE#" + Printable(arrays[i].name));
  }
  return chosen;
}

Volume VolumeFromArray(const ArrayInfo& info, std::vector<std::byte> data, const std::string& file,
                       std::vector<std::string> notes, bool voxels) {
  const size_t width = SizeOf(info.type);
  const std::vector<int64_t>& shape = info.shape;
  if (voxels && data.size() != CheckedByteCount(shape, width, file)) {
    throw IoError("cannot read '" + file + "': its array '" + Printable(info.name) +
                  "' does not hold what its shape says; the file is damaged");
  }
  Volume volume;
  volume.type = info.type;
  volume.notes = std::move(notes);
  auto& size = volume.geometry.size;
  const size_t n = shape.size();
  const bool colour = n == 3 && (shape[2] == 3 || shape[2] == 4) && shape[0] >= 16 &&
                      shape[1] >= 16 && info.type == VoxelType::kUInt8;
  if (colour) {
    volume.components = static_cast<int>(shape[2]);
    size = {shape[1], shape[0], 1};
    volume.notes.push_back("axis order (H,W,C): one colour picture of " + ShapeText(shape));
  } else if (n == 2) {
    size = {shape[1], shape[0], 1};
    volume.notes.push_back("axis order (H,W): one slice of " + ShapeText(shape) + " pixels");
  } else if (n == 3 || n == 4) {
    if (n == 4) volume.frames = shape[0];
    const int64_t a = shape[n - 3];
    const int64_t b = shape[n - 2];
    const int64_t c = shape[n - 1];
    bool slices_last = false;
    if (b != c) slices_last = a == b || (c < a && c < b);
    std::vector<int64_t> sizes{c, b, a};  // fastest first
    if (slices_last) {
      sizes.push_back(volume.frames);
      if (voxels) data = PermuteAxes(data, sizes, {1, 2, 0, 3}, width);
      size = {b, a, c};
    } else {
      size = {c, b, a};
    }
    const std::string order = slices_last ? "(H,W,D): the last axis is taken as the slices, "
                                          : "(D,H,W): the first axis is taken as the slices, ";
    volume.notes.push_back("axis order " + std::string(n == 4 ? "with frames first, then " : "") +
                           order + std::to_string(size[2]) + " of " + std::to_string(size[1]) +
                           " x " + std::to_string(size[0]) + " pixels");
  } else {
    throw IoError("cannot read '" + file + "': its array '" + Printable(info.name) + "' has " +
                  std::to_string(n) + " dimensions; an image has two to four");
  }
  volume.notes.push_back(
      "the file knows no voxel size and no orientation; 1 mm and axes to the left, back and top "
      "are assumed, so left and right may be swapped");
  volume.assumed = {true, true, true};
  if (!voxels) return volume;
  volume.data = std::move(data);
  NoteNonFinite(volume);
  if (IsLabelName(info.name) && volume.components == 1 && volume.frames == 1) {
    for (const std::string& note : LabelOrderNotes(volume)) volume.notes.push_back(note);
  }
  return volume;
}

namespace {

// What one label covers.
struct Extent {
  int64_t voxels = 0;
  int64_t slices = 0;       // with the label
  int64_t inner_edges = 0;  // in-plane neighbours of another value
  int64_t edges_to_2 = 0;   // those of value 2
  double PerSlice() const { return slices > 0 ? static_cast<double>(voxels) / slices : 0; }
};

}  // namespace

std::vector<std::string> LabelOrderNotes(const Volume& volume) {
  std::vector<uint16_t> labels;
  try {
    labels = volume.ToLabels("label");
  } catch (const IoError& error) {
    return {"the array is called a label, but its values are no labels from 0 on"};
  }
  const auto& size = volume.geometry.size;
  std::array<Extent, 16> extents;
  uint16_t highest = 0;
  for (int64_t k = 0; k < size[2]; ++k) {
    std::array<bool, 16> seen{};
    for (int64_t j = 0; j < size[1]; ++j) {
      for (int64_t i = 0; i < size[0]; ++i) {
        const uint16_t* at = &labels[static_cast<size_t>((k * size[1] + j) * size[0] + i)];
        const uint16_t value = *at;
        highest = std::max(highest, value);
        if (value == 0 || value > 15) continue;
        Extent& extent = extents[value];
        ++extent.voxels;
        extent.slices += !seen[value];
        seen[value] = true;
        const auto edge = [&](bool there, int64_t step) {
          if (!there || at[step] == value) return;
          ++extent.inner_edges;
          extent.edges_to_2 += at[step] == 2;
        };
        edge(i > 0, -1);
        edge(i + 1 < size[0], 1);
        edge(j > 0, -size[0]);
        edge(j + 1 < size[1], size[0]);
      }
    }
  }
  if (highest > 8 || highest < 3) return {};
  if (highest == 3) {
    // The cavity of the left ventricle lies inside the myocardium, the right one only beside it.
    const auto enclosed = [&](const Extent& e) {
      return e.inner_edges > 0 ? static_cast<double>(e.edges_to_2) / e.inner_edges : 0.0;
    };
    const double one = enclosed(extents[1]);
    const double three = enclosed(extents[3]);
    if (extents[2].voxels > 0 && three > 0.75 && one < 0.6) {
      return {
          "label order as in ACDC: 1 right ventricle, 2 myocardium, 3 left ventricle (label 3 lies "
          "inside label 2)"};
    }
    if (extents[2].voxels > 0 && one > 0.75 && three < 0.6) {
      return {
          "label order unlike ACDC's: label 1 lies inside label 2 and so is the left ventricle; 1 "
          "left ventricle, 2 myocardium, 3 right ventricle (as in M&Ms)"};
    }
    return {
        "label values 0 to 3: whether their order is that of ACDC (1 right ventricle, 2 "
        "myocardium, 3 left ventricle) cannot be told from this image"};
  }
  // Synapse: aorta and spleen change places. The aorta is a thin tube in nearly all slices, the
  // spleen thick and shorter.
  const Extent& one = extents[1];
  const Extent& seven = extents[7];
  if (size[2] > 8 && one.voxels > 0 && seven.voxels > 0) {
    if (one.PerSlice() < seven.PerSlice() && one.slices >= seven.slices) {
      return {
          "label order as in TransUNet's Synapse files: 1 aorta, 2 gallbladder, 3 left kidney, 4 "
          "right kidney, 5 liver, 6 pancreas, 7 spleen, 8 stomach (label 1 is a thin tube, label "
          "7 thick)"};
    }
    if (seven.PerSlice() < one.PerSlice() && seven.slices >= one.slices) {
      return {
          "label order as in SAMed's Synapse files: 1 spleen, 2 right kidney, 3 left kidney, 4 "
          "gallbladder, 5 liver, 6 stomach, 7 aorta, 8 pancreas (label 7 is a thin tube, label 1 "
          "thick); TransUNet's order differs"};
    }
  }
  return {"label values 0 to " + std::to_string(highest) +
          ": whether their order is TransUNet's (1 aorta, 7 spleen) or SAMed's (1 spleen, 7 aorta) "
          "cannot be told from this image"};
}

float FloatFromHalf(uint16_t half) {
  const uint32_t sign = static_cast<uint32_t>(half & 0x8000) << 16;
  const uint32_t exponent = half >> 10 & 31;
  const uint32_t fraction = half & 1023;
  if (exponent == 0) {
    const float magnitude = std::ldexp(static_cast<float>(fraction), -24);
    return sign != 0 ? -magnitude : magnitude;
  }
  const uint32_t bits = exponent == 31 ? sign | 0x7f800000 | fraction << 13
                                       : sign | (exponent + 112) << 23 | fraction << 13;
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

}  // namespace avocet::io

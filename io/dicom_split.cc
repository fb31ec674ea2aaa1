// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <tuple>

#include "app/base/error.h"
#include "io/dicom_plan.h"

namespace avocet::io::dicom {
namespace {

using Frames = std::vector<FrameRef>;

// Place and orientation of a slice to a hundredth of a millimetre, to find slices at one place.
// Projection on the coordinate axes, so that it does not depend on a common normal.
using Place = std::array<int64_t, 9>;
Place PlaceOf(const FrameInfo& frame) {
  Place place;
  for (int a = 0; a < 3; ++a) place[a] = std::llround(frame.position[a] * 100);
  for (int a = 0; a < 6; ++a) place[3 + a] = std::llround(frame.cosines[a] * 100);
  return place;
}

std::map<Place, Frames> ByPlace(const Frames& frames) {
  std::map<Place, Frames> places;
  for (const FrameRef& frame : frames) places[PlaceOf(frame.info())].push_back(frame);
  return places;
}

size_t MostAtOnePlace(const Frames& frames) {
  size_t most = 0;
  for (const auto& [place, at] : ByPlace(frames)) most = std::max(most, at.size());
  return most;
}

// Numbers in keys sort as numbers.
bool KeyLess(const std::string& a, const std::string& b) {
  size_t i = 0, j = 0;
  while (i < a.size() && j < b.size()) {
    const bool digits = std::isdigit(static_cast<unsigned char>(a[i])) &&
                        std::isdigit(static_cast<unsigned char>(b[j]));
    if (!digits) {
      if (a[i] != b[j]) return a[i] < b[j];
      ++i, ++j;
      continue;
    }
    size_t ie = i, je = j;
    while (ie < a.size() && std::isdigit(static_cast<unsigned char>(a[ie]))) ++ie;
    while (je < b.size() && std::isdigit(static_cast<unsigned char>(b[je]))) ++je;
    if (ie - i != je - j) return ie - i < je - j;
    const int order = a.compare(i, ie - i, b, j, je - j);
    if (order != 0) return order < 0;
    i = ie, j = je;
  }
  return a.size() - i < b.size() - j;
}
struct KeyOrder {
  bool operator()(const std::string& a, const std::string& b) const { return KeyLess(a, b); }
};

std::string Extend(const std::string& label, const std::string& part) {
  if (part.empty()) return label;
  return label.empty() ? part : label + ", " + part;
}

void Emit(Frames frames, const std::string& label,
          std::vector<std::shared_ptr<const DicomPlan>>& out) {
  auto plan = std::make_shared<DicomPlan>();
  plan->frames = std::move(frames);
  plan->split = label;
  MakeGrid(*plan);
  out.push_back(std::move(plan));
}

bool Earlier(const FrameRef& a, const FrameRef& b) {
  const auto key = [](const FrameRef& f) {
    return std::make_tuple(f.instance->instance_number, f.info().order, f.info().frame);
  };
  if (key(a) != key(b)) return key(a) < key(b);
  return a.instance->path < b.instance->path;
}

void Split(Frames frames, int key, const std::string& label,
           std::vector<std::shared_ptr<const DicomPlan>>& out) {
  size_t most = MostAtOnePlace(frames);
  for (; key < FrameInfo::kKeys; ++key) {
    if (most == 1 && key != FrameInfo::kStack) break;
    std::map<std::string, Frames, KeyOrder> parts;
    for (const FrameRef& frame : frames) parts[frame.info().keys[key]].push_back(frame);
    if (parts.size() < 2) continue;
    // A key separates volumes when it has no more values than images lie at one place (a trigger
    // time that differs from slice to slice does not), and when it leaves fewer of them there.
    // Stacks are volumes by definition.
    size_t left = 0;
    for (const auto& [value, part] : parts) left = std::max(left, MostAtOnePlace(part));
    const bool stacks = key == FrameInfo::kStack && parts.size() <= frames.size() / 2;
    if (!stacks && (parts.size() > most || left >= most)) continue;
    for (auto& [value, part] : parts) {
      Split(std::move(part), key + 1, Extend(label, value), out);
    }
    return;
  }
  if (most == 1) return Emit(std::move(frames), label, out);
  // The same number of images at every place: repeats, in the order in which they were taken.
  std::map<Place, Frames> places = ByPlace(frames);
  const bool even = std::all_of(places.begin(), places.end(),
                                [&](const auto& at) { return at.second.size() == most; });
  if (!even) return Emit(std::move(frames), label, out);  // MakeGrid names the duplicates
  std::vector<Frames> repeats(most);
  for (auto& [place, at] : places) {
    std::sort(at.begin(), at.end(), Earlier);
    for (size_t r = 0; r < most; ++r) repeats[r].push_back(at[r]);
  }
  for (size_t r = 0; r < most; ++r) {
    Emit(std::move(repeats[r]),
         Extend(label, "repeat " + std::to_string(r + 1) + " of " + std::to_string(most)), out);
  }
}

// Slices turned against each other by more than this are no volume, whatever their series says
// (localisers in three planes); those turned by less are, with a fault that MakeGrid names.
constexpr double kOtherPlane = 15 * M_PI / 180;

bool SamePlane(const FrameInfo& a, const FrameInfo& b) {
  double cosine = 1;
  for (int axis = 0; axis < 2; ++axis) {
    double dot = 0;
    for (int i = 0; i < 3; ++i) dot += a.cosines[3 * axis + i] * b.cosines[3 * axis + i];
    cosine = std::min(cosine, dot);
  }
  return cosine > std::cos(kOtherPlane);
}

const char* PlaneName(const FrameInfo& frame) {
  const std::array<double, 3> normal = NormalOf(frame);
  int axis = 0;
  for (const int other : {1, 2}) {
    if (std::abs(normal[other]) > std::abs(normal[axis])) axis = other;
  }
  return axis == 0 ? "sagittal" : axis == 1 ? "coronal" : "axial";
}

}  // namespace

bool BelongTogether(const std::vector<FrameRef>& slices, std::string Instance::*uid) {
  if (slices.empty()) return false;
  std::map<std::string, std::set<const Instance*>> files;
  bool single = true;
  for (const FrameRef& slice : slices) {
    const Instance& instance = *slice.instance;
    if (!(instance.*uid).empty()) files[instance.*uid].insert(&instance);
    single &= instance.frames.size() == 1;
    if (!Mismatch(slices[0], slice).empty()) return false;
  }
  const bool one_each = std::all_of(files.begin(), files.end(),
                                    [](const auto& file) { return file.second.size() == 1; });
  if (single && one_each) return true;
  if (MostAtOnePlace(slices) > 1) return false;
  DicomPlan trial;
  trial.frames = slices;
  MakeGrid(trial);
  return trial.problem.empty();
}

namespace {

void AddNote(std::shared_ptr<const DicomPlan>& plan, const std::string& note) {
  auto changed = std::make_shared<DicomPlan>(*plan);
  changed->notes.push_back(note);
  plan = std::move(changed);
}

// What cannot lie in one volume: other frames of reference, other planes. Then what lies at one
// place is split.
void SplitBySpace(Frames slices, const std::string& label,
                  std::vector<std::shared_ptr<const DicomPlan>>& out) {
  std::map<std::string, Frames> spaces;
  for (const FrameRef& slice : slices) spaces[slice.instance->frame_of_reference].push_back(slice);
  // A file that names none goes with the others when there is but one.
  if (spaces.size() == 2 && spaces.count("")) spaces = {{"", slices}};
  const size_t before = out.size(), stated = spaces.size() - spaces.count("");
  const bool merged = stated > 1 && BelongTogether(slices, &Instance::frame_of_reference);
  if (merged) spaces = {{"", slices}};
  int space_number = 0;
  for (auto& [uid, space] : spaces) {
    std::string space_label = label;
    ++space_number;
    if (spaces.size() > 1) {
      space_label = Extend(label, "frame of reference " + std::to_string(space_number));
    }
    std::vector<Frames> planes;
    for (const FrameRef& slice : space) {
      const auto plane = std::find_if(planes.begin(), planes.end(), [&](const Frames& other) {
        return SamePlane(other[0].info(), slice.info());
      });
      if (plane == planes.end()) {
        planes.push_back({slice});
      } else {
        plane->push_back(slice);
      }
    }
    std::map<std::string, int> used;
    for (Frames& plane : planes) {
      std::string name = PlaneName(plane[0].info());
      if (const int n = ++used[name]; n > 1) name += " " + std::to_string(n);
      Split(std::move(plane), 0, planes.size() > 1 ? Extend(space_label, name) : space_label, out);
    }
  }
  for (size_t i = before; merged && i < out.size(); ++i) {
    AddNote(out[i], "the slices name " + std::to_string(stated) +
                        " frames of reference (FrameOfReferenceUID), but belong to one volume: "
                        "they are taken for one series");
  }
  const size_t apart = spaces.size();
  for (size_t i = before; apart > 1 && i < out.size(); ++i) {
    AddNote(out[i],
            "the files of this series lie in " + std::to_string(apart) +
                " frames of reference (FrameOfReferenceUID) and form no one volume: each is "
                "a volume of its own, which may be a part of the examination");
  }
}

// True when both show the same pixels in two transfer syntaxes: one image, exported twice.
bool SameDecoded(const Instance& a, const Instance& b) {
  if (a.format.rows != b.format.rows || a.format.columns != b.format.columns ||
      !a.format.SameValues(b.format) || a.frame_count != b.frame_count) {
    return false;
  }
  try {
    const auto x = OpenStore(a.path, a.transfer_syntax), y = OpenStore(b.path, b.transfer_syntax);
    std::vector<std::byte> p, q;
    bool ignored = false;
    for (int64_t frame = 0; frame < a.frame_count; ++frame) {
      DecodeFrame(a, *x, static_cast<int>(frame), p, &ignored);
      DecodeFrame(b, *y, static_cast<int>(frame), q, &ignored);
      if (p != q) return false;
    }
  } catch (const IoError&) {
    return false;  // what cannot be read is named when the series is
  }
  return true;
}

// Where the image lies, or else its number.
std::string PlaceKey(const Instance& instance) {
  std::string key = "|" + std::to_string(instance.frame_count);
  if (instance.frames.empty() || !instance.frames[0].has_position) {
    return key + "|number " + std::to_string(instance.instance_number);
  }
  for (const int64_t number : PlaceOf(instance.frames[0])) key += "|" + std::to_string(number);
  return key;
}

// True when both hold the same pixels.
bool SamePixels(const Instance& a, const Instance& b) {
  if (a.transfer_syntax != b.transfer_syntax) return SameDecoded(a, b);
  if (a.pixels.encapsulated != b.pixels.encapsulated || a.pixels.length != b.pixels.length ||
      a.pixels.fragments.size() != b.pixels.fragments.size()) {
    return false;
  }
  const auto same = [](const ByteStore& x, uint64_t at_x, const ByteStore& y, uint64_t at_y,
                       uint64_t size) {
    std::string p(1 << 16, '\0'), q = p;
    for (uint64_t done = 0; done < size;) {
      const size_t count = static_cast<size_t>(std::min<uint64_t>(p.size(), size - done));
      x.Read(at_x + done, p.data(), count);
      y.Read(at_y + done, q.data(), count);
      if (p.compare(0, count, q, 0, count) != 0) return false;
      done += count;
    }
    return true;
  };
  const auto x = OpenStore(a.path, a.transfer_syntax), y = OpenStore(b.path, b.transfer_syntax);
  if (!a.pixels.encapsulated) {
    return same(*x, a.pixels.offset, *y, b.pixels.offset, a.pixels.length);
  }
  for (size_t i = 0; i < a.pixels.fragments.size(); ++i) {
    const auto& p = a.pixels.fragments[i];
    const auto& q = b.pixels.fragments[i];
    if (p.second != q.second || !same(*x, p.first, *y, q.first, p.second)) return false;
  }
  return true;
}

}  // namespace

}  // namespace avocet::io::dicom

namespace avocet::io {

std::string DicomPlan::FrameOfReference() const {
  std::string common;
  for (const dicom::FrameRef& frame : frames) {
    const std::string& uid = frame.instance->frame_of_reference;
    if (uid.empty()) continue;
    if (!common.empty() && uid != common) return "";
    common = uid;
  }
  return common;
}

}  // namespace avocet::io

namespace avocet::io::dicom {

std::vector<std::shared_ptr<const DicomPlan>> PlanSeries(
    const std::vector<std::shared_ptr<const Instance>>& instances,
    const std::vector<std::string>& notes) {
  std::vector<std::shared_ptr<const DicomPlan>> plans;
  std::map<std::string, std::shared_ptr<DicomPlan>> problems;
  std::vector<std::shared_ptr<DicomPlan>> pictures;
  Frames slices, localizers;
  std::map<std::string, std::vector<std::shared_ptr<const Instance>>> seen;
  std::set<std::string> sop_uids;
  size_t shared_uids = 0;
  std::vector<std::string> copies;
  size_t copy_count = 0;
  for (const auto& instance : instances) {
    if (!instance->problem.empty()) {
      std::shared_ptr<DicomPlan>& plan = problems[instance->problem];
      if (!plan) {
        plan = std::make_shared<DicomPlan>();
        plan->problem = instance->problem;
      }
      plan->frames.push_back({instance, 0});
      continue;
    }
    if (!instance->sop_uid.empty()) {
      // A copy has the place of its original too: slices of air have equal pixels.
      auto& same = seen[instance->sop_uid + PlaceKey(*instance)];
      const auto other = std::find_if(same.begin(), same.end(),
                                      [&](const auto& one) { return SamePixels(*one, *instance); });
      if (other != same.end()) {
        if (copy_count++ == 0) {
          copies.push_back("'" + instance->path.string() + "' is a copy of '" +
                           (*other)->path.filename().string() + "' and was left out");
        }
        continue;
      }
      same.push_back(instance);
      if (!sop_uids.insert(instance->sop_uid).second) ++shared_uids;
    }
    const bool placed = std::all_of(
        instance->frames.begin(), instance->frames.end(),
        [](const FrameInfo& f) { return f.has_position && f.has_orientation && f.has_spacing; });
    if (placed) {
      Frames& to = instance->localizer ? localizers : slices;
      for (size_t i = 0; i < instance->frames.size(); ++i) to.push_back({instance, i});
      continue;
    }
    auto plan = std::make_shared<DicomPlan>();
    plan->picture = true;
    for (size_t i = 0; i < instance->frames.size(); ++i) plan->frames.push_back({instance, i});
    pictures.push_back(std::move(plan));
  }
  if (copy_count > 1) {
    copies[0] += ", as are " + std::to_string(copy_count - 1) + " further files";
  }
  const size_t kinds = (slices.empty() ? 0 : 1) + (localizers.empty() ? 0 : 1) + pictures.size();
  if (!slices.empty()) SplitBySpace(std::move(slices), "", plans);
  if (!localizers.empty()) {
    SplitBySpace(std::move(localizers), kinds > 1 ? "localiser" : "", plans);
  }
  // A slice without its place may be one of the volume.
  if (!plans.empty() && !pictures.empty()) {
    auto first = std::make_shared<DicomPlan>(*plans[0]);
    const Instance& picture = *pictures[0]->frames[0].instance;
    first->notes.push_back(
        "'" + picture.path.filename().string() + "'" +
        (pictures.size() > 1
             ? " and " + std::to_string(pictures.size() - 1) + " further images have"
             : std::string(" has")) +
        " the same series, but no complete position, orientation and pixel size; left out here");
    plans[0] = std::move(first);
  }
  for (size_t i = 0; i < pictures.size(); ++i) {
    if (kinds > 1) pictures[i]->split = "picture " + std::to_string(i + 1);
    MakeGrid(*pictures[i]);
    plans.push_back(pictures[i]);
  }
  // A file of the series that cannot be read may be a slice of the volume.
  for (const auto& [problem, plan] : problems) {
    if (plans.empty() || plan->frames[0].instance->pixels.kind == PixelLocation::Kind::kNone ||
        plan->frames[0].instance->modality == "SEG") {
      continue;
    }
    auto first = std::make_shared<DicomPlan>(*plans[0]);
    first->notes.push_back(
        "'" + plan->frames[0].instance->path.filename().string() + "'" +
        (plan->frames.size() > 1
             ? " and " + std::to_string(plan->frames.size() - 1) + " further files"
             : std::string()) +
        " of the same series cannot be read (" + problem + "): slices may be missing here");
    plans[0] = std::move(first);
  }
  if (!copies.empty() && !plans.empty()) {
    auto first = std::make_shared<DicomPlan>(*plans[0]);
    first->notes.insert(first->notes.end(), copies.begin(), copies.end());
    plans[0] = std::move(first);
  }
  if (shared_uids > 0 && !plans.empty()) {
    AddNote(plans[0], std::to_string(shared_uids + 1) +
                          " images that differ share a SOPInstanceUID with another: each is taken "
                          "for an image of its own");
  }
  for (auto& plan : plans) {
    for (const std::string& note : notes) AddNote(plan, note);
  }
  for (auto& [problem, plan] : problems) plans.push_back(std::move(plan));
  return plans;
}

}  // namespace avocet::io::dicom

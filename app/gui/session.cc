// SPDX-License-Identifier: Apache-2.0
#include "app/gui/session.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <set>
#include <type_traits>
#include <utility>

#include "app/core/machine.h"
#include "app/gui/label_comparison.h"
#include "io/volume_io.h"

namespace avocet::gui {
namespace fs = std::filesystem;
namespace {

constexpr int kStoreMs = 300;  // after the last measurement

}  // namespace

Session::Session(const fs::path& journal_root)
    : journal_(std::make_unique<Journal>(journal_root)),
      store_(journal_root.parent_path() / "measurements") {
  store_timer_.setSingleShot(true);
  store_timer_.setInterval(kStoreMs);
  QObject::connect(&store_timer_, &QTimer::timeout, [this] { KeepMeasurements(); });
  journal_timer_.setSingleShot(true);
  QObject::connect(&journal_timer_, &QTimer::timeout, [this] { KeepInJournal(); });
  document.AddObserver([this](unsigned changes) { OnDocument(changes); });
}

// The tasks write to the journal: they end before it does.
Session::~Session() {
  const bool waiting = store_timer_.isActive() || keeping_;
  tasks.Stop();
  if (!waiting) return;
  for (const auto& [id, key] : keys_) {
    if (key.empty() || document.Image(id) == nullptr) continue;
    try {
      store_.Keep(key, document.MeasurementsOf(id));
    } catch (const Error&) {
      // Nobody is left to be told.
    }
  }
}

void Session::Tell(Message::Kind kind, const std::string& title, std::vector<std::string> lines) {
  if (on_message) on_message({kind, title, std::move(lines)});
}

void Session::OnDocument(unsigned changes) {
  if (changes & kLayersChanged) {
    LookCloser();
    RecogniseImages();
  }
  if (changes & kMeasurementsChanged) {
    if (!store_timer_.isActive()) store_timer_.start();
    KeepMeasurementsInJournal();
  }
  if (changes & (kVoxelsChanged | kLayersChanged | kDisplayChanged)) StartJournalTimer();
  if (changes & kLayersChanged) NameErrorMap();
}

// Finds the measurements of an earlier session for images that are new here.
void Session::RecogniseImages() {
  for (const auto& image : document.images()) {
    const int id = image->id;
    if (!keys_.emplace(id, "").second) continue;
    struct Found {
      std::string key;
      std::vector<Measurement> measurements;
    };
    auto found = std::make_shared<Found>();
    tasks.Start(
        "Recognise " + image->name,
        [this, volume = image->volume, found](Progress&) {
          found->key = MeasurementStore::KeyOf(*volume);
          found->measurements = store_.Load(found->key);
        },
        [this, id, found](const TaskRunner::Outcome& outcome) {
          if (!outcome.error.empty() || outcome.cancelled) return;
          keys_[id] = found->key;
          document.RestoreMeasurements(id, std::move(found->measurements));
          // Drawn while the image was being recognised.
          if (!document.MeasurementsOf(id).empty()) store_timer_.start();
        },
        /*quiet=*/true);
  }
}

// One task at a time, so that an older state never comes last.
void Session::KeepMeasurements() {
  if (keeping_) {
    keep_again_ = true;
    return;
  }
  std::vector<std::pair<std::string, std::vector<Measurement>>> kept;
  for (const auto& image : document.images()) {
    const auto key = keys_.find(image->id);
    if (key == keys_.end() || key->second.empty()) continue;
    kept.emplace_back(key->second, document.MeasurementsOf(image->id));
  }
  if (kept.empty()) return;
  keeping_ = true;
  tasks.Start(
      "Keep measurements",
      [this, kept](Progress&) {
        for (const auto& [key, measurements] : kept) store_.Keep(key, measurements);
      },
      [this](const TaskRunner::Outcome& outcome) {
        keeping_ = false;
        if (!outcome.error.empty()) Tell(Message::Kind::kWarning, "Measurements", {outcome.error});
        if (std::exchange(keep_again_, false)) return KeepMeasurements();
        if (outcome.error.empty()) KeepMeasurementsInJournal();  // it holds them no longer
      },
      /*quiet=*/true);
}

void Session::Close(int layer) {
  if (store_timer_.isActive()) KeepMeasurements();
  const bool errors = layer != 0 && layer == error_layer_;
  if (errors) {
    for (const int id : hidden_by_errors_) {
      if (LabelLayer* hidden = document.Labels(id)) hidden->visible = true;
    }
    hidden_by_errors_.clear();
  }
  document.Remove(layer);
  ForgetInJournal(layer);
  Journal::Measured none;
  none.layer = layer;
  journal_->KeepMeasurements(none);
  if (errors) document.Notify(kDisplayChanged);
}

// The file of the image that is worked on; a result that is in no file is worked on for another's
// sake.
fs::path Session::SourcePath() const {
  const ImageLayer* active = document.ActiveImage();
  if (active != nullptr && !active->path.empty()) return active->path;
  for (const auto& image : document.images()) {
    if (!image->path.empty()) return image->path;
  }
  return {};
}

void Session::Open(const std::vector<fs::path>& paths, LoadAs as, std::function<void()> then) {
  std::vector<fs::path> order = paths;
  std::stable_partition(order.begin(), order.end(), [](const fs::path& path) {
    return path.extension() != ".dcm";  // may be contours, which need an image to lie on
  });
  OpenNext(order, as, std::move(then));
}

void Session::OpenNext(std::vector<fs::path> paths, LoadAs as, std::function<void()> then,
                       const std::string& series, bool resampled, bool force) {
  if (paths.empty()) {
    if (then) then();
    return;
  }
  const fs::path path = paths.front();
  paths.erase(paths.begin());
  auto loaded = std::make_shared<LoadedFile>();
  const std::string name =
      path.filename().empty() ? path.parent_path().filename().string() : path.filename().string();
  std::shared_ptr<OpenImage> image;
  if (document.grid() != nullptr) {
    image = std::make_shared<OpenImage>();
    image->grid = *document.grid();
    image->force = force;
    const ImageLayer* active = document.ActiveImage();
    image->space = io::SpaceOf(active ? *active->volume : *document.labels().front()->header);
  }
  tasks.Start(
      "Open " + name,
      [loaded, path, as, series, image, resampled](Progress& progress) {
        *loaded = LoadFile(path, as, progress, series, image.get(), resampled);
      },
      [this, loaded, path, name, series, paths = std::move(paths), as,
       then = std::move(then)](const TaskRunner::Outcome& outcome) {
        if (!outcome.error.empty()) {
          Tell(Message::Kind::kError, name, {outcome.error});
        } else if (!outcome.cancelled && !loaded->other_space.empty()) {
          if (on_other_space && on_other_space(name, loaded->other_space)) {
            std::vector<fs::path> again = paths;
            again.insert(again.begin(), path);
            return OpenNext(std::move(again), as, then, series, /*resampled=*/false,
                            /*force=*/true);
          }
          Tell(Message::Kind::kError, name, {loaded->other_space});
        } else if (!outcome.cancelled && !loaded->choices.empty()) {
          const int chosen = on_choose_series ? on_choose_series(name, loaded->choices) : -1;
          if (chosen >= 0) {
            std::vector<fs::path> again = paths;
            again.insert(again.begin(), path);
            return OpenNext(std::move(again), as, then, loaded->choices.at(chosen).selector);
          }
        } else if (!outcome.cancelled && !loaded->uneven.empty()) {
          if (on_uneven_series && on_uneven_series(name, loaded->uneven)) {
            std::vector<fs::path> again = paths;
            again.insert(again.begin(), path);
            return OpenNext(std::move(again), as, then, series, /*resampled=*/true);
          }
          Tell(Message::Kind::kWarning, name, {"not opened: " + loaded->uneven});
        } else if (!outcome.cancelled) {
          loaded->report.insert(loaded->report.end(), outcome.warnings.begin(),
                                outcome.warnings.end());
          Add(std::move(*loaded), name);
          if (on_opened) on_opened(path);
        }
        OpenNext(paths, as, then);
      });
}

void Session::CompareWithLabels(const ImageLayer& image, std::vector<std::string>& report) {
  const io::SpaceIdentity space = io::SpaceOf(*image.volume);
  for (const auto& labels : document.labels()) {
    const io::SpaceIdentity own = io::SpaceOf(*labels->header);
    if (io::IsComparable(io::CompareSpaces(own, space))) continue;
    labels->other_space = true;
    report.push_back("the label map '" + labels->name +
                     "' does not belong to this image: " + io::DescribeMismatch(own, space) +
                     "; where it lies on the image means nothing");
  }
}

void Session::Add(LoadedFile loaded, const std::string& title) {
  std::vector<std::string> report = std::move(loaded.report);
  if (loaded.image) {
    if (document.images().empty()) CompareWithLabels(*loaded.image, report);
    if (!IsAlignedWithPatient(loaded.image->volume->geometry)) {
      report.push_back(
          "the slices are oblique: they are shown along their own axes; View > Patient planes "
          "resamples them");
    }
    document.AddImage(std::move(loaded.image));
  } else if (loaded.labels) {
    const io::Geometry* grid = document.grid();
    if (grid != nullptr && io::MaxCornerDistance(*grid, loaded.labels->geometry()) > 0.01) {
      report.push_back(
          "this label map has another grid than the image; it is shown where it lies in the "
          "patient");
    }
    document.AddLabels(std::move(loaded.labels));
    for (auto& labels : loaded.more_labels) document.AddLabels(std::move(labels));
  }
  Tell(Message::Kind::kReport, title, std::move(report));
}

bool Session::IsOpenImage(const fs::path& path) const {
  return std::any_of(document.images().begin(), document.images().end(), [&](const auto& image) {
    std::error_code ignored;
    return !image->path.empty() && fs::equivalent(image->path, path, ignored);
  });
}

namespace {

void Write(const LabelLayer& layer, const fs::path& path) { SaveLabels(layer, path); }
void Write(const ImageLayer& layer, const fs::path& path) { SaveImage(layer, path); }
// Painted on while it was being written: the newer strokes are not in the file.
bool IsNewer(const LabelLayer& layer, const LabelLayer& written) {
  return layer.labels != written.labels;
}
bool IsNewer(const ImageLayer&, const ImageLayer&) { return false; }
// An image that was read from a file keeps its name: the new file is a copy of it.
bool IsCopy(const LabelLayer&) { return false; }
bool IsCopy(const ImageLayer& layer) { return !layer.unsaved; }

}  // namespace

void Session::Save(int id, const fs::path& path, std::function<void(bool)> then) {
  if (const LabelLayer* labels = document.Labels(id)) {
    SaveLayer(*labels, path, std::move(then));
  } else if (const ImageLayer* image = document.Image(id)) {
    SaveLayer(*image, path, std::move(then));
  }
}

template <typename Layer>
void Session::SaveLayer(const Layer& layer, const fs::path& path, std::function<void(bool)> then) {
  if (IsOpenImage(path)) {
    Tell(Message::Kind::kError, layer.name,
         {"'" + path.string() + "' is an open image; originals are never written over"});
    if (then) then(false);
    return;
  }
  const int id = layer.id;
  auto copy = std::make_shared<Layer>(layer);
  tasks.Start(
      "Save " + path.filename().string(), [copy, path](Progress&) { Write(*copy, path); },
      [this, id, path, copy, then](const TaskRunner::Outcome& outcome) {
        Layer* saved = nullptr;
        if constexpr (std::is_same_v<Layer, LabelLayer>) {
          saved = document.Labels(id);
        } else {
          saved = document.Image(id);
        }
        const bool done = outcome.error.empty() && !outcome.cancelled;
        if (!done) {
          Tell(Message::Kind::kError, path.filename().string(), {outcome.error});
        } else if (saved != nullptr && !IsCopy(*saved)) {
          saved->path = path;
          saved->name = path.filename().string();
          saved->unsaved = IsNewer(*saved, *copy);
          if (!saved->unsaved) ForgetInJournal(id);
          document.Notify(kLayersChanged);
        }
        if (then) then(done);
      });
}

int Session::AddResult(std::unique_ptr<LabelLayer> layer) {
  layer->unsaved = true;
  const int id = document.AddLabels(std::move(layer));
  GoToLargest(*document.Labels(id));
  KeepInJournal();
  return id;
}

// A mask that appears must be seen.
void Session::GoToLargest(const LabelLayer& layer) {
  int largest = 0;
  int64_t voxels = 0;
  for (const auto& [value, entry] : layer.table) {
    if (entry.voxels <= voxels) continue;
    largest = value;
    voxels = entry.voxels;
  }
  if (largest == 0) return;
  Vec3 x{};
  const SlicePlane plane =
      OwnAxesPlane(layer.geometry(), Orientation::kAxial, document.convention());
  if (WorstSlice(layer, plane, x, static_cast<uint16_t>(largest))) document.SetCursor(x);
}

fs::path Session::NewWorkFolder(const std::string& job) {
  return journal_->folder() / (job + "-" + std::to_string(++results_));
}

}  // namespace avocet::gui

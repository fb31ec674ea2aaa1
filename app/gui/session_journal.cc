// SPDX-License-Identifier: Apache-2.0
// The part of Session that keeps unsaved work on disk and brings it back.
#include <algorithm>
#include <utility>

#include "app/gui/session.h"

namespace avocet::gui {
namespace fs = std::filesystem;
namespace {

// Voxels are written some time after the first stroke, all else soon: it is small.
constexpr int kVoxelsMs = 2000;
constexpr int kDescriptionMs = 300;

// What goes to the journal in one task. Copies share the voxels until one is painted on; painting
// may go on meanwhile.
struct ToKeep {
  int id = 0;
  uint64_t state = 0;
  std::string description;
  // Null when the journal has the voxels already.
  std::shared_ptr<const LabelLayer> labels;
  std::shared_ptr<const ImageLayer> image;
  std::string error;
};

}  // namespace

std::string Session::DescriptionOf(int id) const {
  Journal::Standing standing;
  standing.image = SourcePath();
  standing.selected = id == document.selected();
  if (const LabelLayer* labels = document.Labels(id)) {
    if (labels == document.ActiveLabels()) standing.brush_label = view.brush_label;
    return Journal::Describe(*labels, standing);
  }
  const ImageLayer* image = document.Image(id);
  return image == nullptr ? std::string() : Journal::Describe(*image, standing);
}

void Session::StartJournalTimer() {
  int after = -1;
  const auto consider = [&](const auto& layer, uint64_t state) {
    if (!layer.unsaved) return;
    const auto kept = in_journal_.find(layer.id);
    if (kept == in_journal_.end() || kept->second.state != state) {
      if (after < 0) after = kVoxelsMs;
    } else if (kept->second.description != DescriptionOf(layer.id)) {
      after = kDescriptionMs;
    }
  };
  for (const auto& layer : document.labels()) consider(*layer, layer->state);
  for (const auto& layer : document.images()) consider(*layer, 0);
  if (after < 0) return;
  if (journal_timer_.isActive() && journal_timer_.remainingTime() <= after) return;
  journal_timer_.start(after);
}

void Session::NoteBrush() { StartJournalTimer(); }

void Session::ForgetInJournal(int layer) {
  journal_->Forget(layer);
  in_journal_.erase(layer);
}

// One task at a time, so that an older state never comes last.
void Session::KeepInJournal() {
  if (journaling_) {
    journal_again_ = true;
    return;
  }
  auto work = std::make_shared<std::vector<ToKeep>>();
  const auto add = [&](const auto& layer, uint64_t state, auto ToKeep::*voxels) {
    if (!layer.unsaved) return;
    ToKeep one;
    one.id = layer.id;
    one.state = state;
    one.description = DescriptionOf(layer.id);
    const auto kept = in_journal_.find(layer.id);
    const bool has_voxels = kept != in_journal_.end() && kept->second.state == state;
    if (has_voxels && kept->second.description == one.description) return;
    if (!has_voxels) one.*voxels = std::make_shared<std::decay_t<decltype(layer)>>(layer);
    work->push_back(std::move(one));
  };
  for (const auto& layer : document.images()) add(*layer, 0, &ToKeep::image);
  for (const auto& layer : document.labels()) add(*layer, layer->state, &ToKeep::labels);
  if (work->empty()) {
    if (const auto then = std::exchange(journal_then_, {})) then();
    return;
  }
  journaling_ = true;
  tasks.Start(
      "Keep unsaved work",
      [this, work](Progress&) {
        for (ToKeep& one : *work) {
          try {
            if (one.labels) journal_->KeepVoxels(*one.labels);
            if (one.image) journal_->KeepVoxels(*one.image);
            journal_->KeepDescription(one.id, one.description);
          } catch (const Error& error) {
            one.error = error.what();
          }
        }
      },
      [this, work](const TaskRunner::Outcome& outcome) {
        journaling_ = false;
        if (outcome.cancelled) return;  // the window closes
        std::vector<std::string> errors;
        if (!outcome.error.empty()) errors.push_back(outcome.error);
        for (const ToKeep& one : *work) {
          const LabelLayer* labels = document.Labels(one.id);
          const ImageLayer* image = document.Image(one.id);
          if (!(labels != nullptr && labels->unsaved) && !(image != nullptr && image->unsaved)) {
            ForgetInJournal(one.id);  // saved or closed while its copy was being written
          } else if (!one.error.empty()) {
            errors.push_back(one.error);
          } else if (outcome.error.empty()) {
            in_journal_[one.id] = {one.state, one.description};
          }
        }
        if (!errors.empty()) return Tell(Message::Kind::kWarning, "Unsaved work", errors);
        if (std::exchange(journal_again_, false) || journal_then_) KeepInJournal();
      },
      /*quiet=*/true);
}

// Measurements go to the store, which takes a moment and needs to know the image: until then they
// are here.
void Session::KeepMeasurementsInJournal() {
  const bool waiting = store_timer_.isActive() || keeping_;
  try {
    for (const auto& image : document.images()) {
      Journal::Measured measured;
      measured.layer = image->id;
      measured.image = image->path;
      measured.series = image->series;
      measured.name = image->name;
      const auto key = keys_.find(image->id);
      if (waiting || key == keys_.end() || key->second.empty()) {
        measured.measurements = document.MeasurementsOf(image->id);
      }
      journal_->KeepMeasurements(measured);
    }
  } catch (const Error& error) {
    Tell(Message::Kind::kWarning, "Measurements", {error.what()});
  }
}

void Session::Recover(const std::vector<Journal::Entry>& entries) {
  std::vector<fs::path> images;
  const auto add = [&](const fs::path& image) {
    std::error_code ignored;
    if (image.empty() || !fs::exists(image, ignored) || IsOpenImage(image)) return;
    if (std::find(images.begin(), images.end(), image) == images.end()) images.push_back(image);
  };
  for (const auto& entry : entries) add(entry.image);
  for (const auto& measured : journal_->AbandonedMeasurements()) add(measured.image);
  Open(images, LoadAs::kImage, [this, entries] { RecoverNext(entries, 0, {}, false); });
}

// One after the other: they keep their order.
void Session::RecoverNext(std::vector<Journal::Entry> entries, size_t next, Recovered done,
                          bool failed) {
  if (next == entries.size()) {
    // What could not be read stays where it is.
    if (!failed) FinishRecovery(entries, done);
    return;
  }
  const Journal::Entry entry = entries[next];
  auto loaded = std::make_shared<LoadedFile>();
  tasks.Start(
      "Recover " + entry.name,
      [loaded, entry](Progress& progress) {
        *loaded = LoadFile(entry.file, entry.is_image ? LoadAs::kImage : LoadAs::kLabels, progress);
        const Companions companions = ReadCompanions(entry.file);
        if (loaded->labels) loaded->labels->companions = companions;
        if (loaded->image) loaded->image->companions = companions;
      },
      [this, loaded, entries = std::move(entries), entry, next, done = std::move(done),
       failed](const TaskRunner::Outcome& outcome) mutable {
        if (outcome.cancelled) return;
        const std::pair<fs::path, int> old(entry.file.parent_path(), entry.layer);
        if (outcome.error.empty() && loaded->labels) {
          LabelLayer& layer = *loaded->labels;
          layer.name = entry.name;
          layer.path.clear();
          if (entry.described) {
            layer.edited = entry.edited;
            layer.drawn = entry.drawn;
            layer.visible = entry.visible;
            layer.outline = entry.outline;
            layer.opacity = entry.opacity;
            for (const auto& [value, kept] : entry.table) {
              LabelEntry& label = layer.table[value];
              label.name = kept.name;
              label.colour = kept.colour;
              label.visible = kept.visible;
              label.surface_opacity = kept.surface_opacity;
            }
          }
          done[old] = AddResult(std::move(loaded->labels));
        } else if (outcome.error.empty() && loaded->image) {
          loaded->image->name = entry.name;
          loaded->image->path.clear();
          done[old] = AddResult(std::move(loaded->image));
        } else {
          failed = true;
          Tell(Message::Kind::kError, entry.name, {outcome.error});
        }
        RecoverNext(std::move(entries), next + 1, std::move(done), failed);
      });
}

void Session::FinishRecovery(const std::vector<Journal::Entry>& entries, const Recovered& done) {
  for (const Journal::Measured& measured : journal_->AbandonedMeasurements()) {
    const auto unsaved = done.find({measured.folder, measured.layer});
    int layer = unsaved == done.end() ? 0 : unsaved->second;
    for (const auto& image : document.images()) {
      std::error_code ignored;
      if (layer == 0 && !measured.image.empty() && image->series == measured.series &&
          fs::equivalent(image->path, measured.image, ignored)) {
        layer = image->id;
      }
    }
    document.RestoreMeasurements(layer, measured.measurements);
  }
  for (const Journal::Entry& entry : entries) {
    const auto found = done.find({entry.file.parent_path(), entry.layer});
    if (!entry.selected || found == done.end()) continue;
    document.SetActiveImage(found->second);
    document.SetActiveLabels(found->second);
    if (entry.brush_label > 0 && document.Labels(found->second) != nullptr) {
      view.brush_label = entry.brush_label;
      document.Notify(kLayersChanged);
    }
  }
  // The old copies may go only when all of them are kept anew.
  journal_then_ = [this] { journal_->DiscardAbandoned(); };
  KeepInJournal();
}

}  // namespace avocet::gui

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "app/core/evaluate.h"
#include "app/gui/document.h"
#include "app/gui/journal.h"
#include "app/gui/task_runner.h"
#include "app/gui/view_state.h"
#include "models/model_card.h"

namespace avocet::gui {

struct Message {
  enum class Kind { kReport, kWarning, kError };
  Kind kind = Kind::kReport;
  std::string title;               // what it is about: a file's name
  std::vector<std::string> lines;  // sentences
};

struct CatalogueModel {
  std::filesystem::path path;
  models::ModelCard card;
  std::string problem;  // why it cannot be used, or ""
};

// One window's work: the document, and the jobs that read, segment, score and save it. Knows no
// widgets. Everything is called in the window's thread; the work is done in others.
class Session {
 public:
  // `journal_root`: where unsaved masks are kept (Journal::DefaultRoot). Throws IoError.
  explicit Session(const std::filesystem::path& journal_root);
  ~Session();

  Document document;
  ViewState view;
  TaskRunner tasks;

  std::function<void(const Message&)> on_message;
  std::function<void(const std::filesystem::path&)> on_opened;
  // Asks which of several DICOM series to open; -1: none.
  std::function<int(const std::string& name, const std::vector<SeriesChoice>&)> on_choose_series;
  std::function<void()> on_models;     // the catalogue is there
  std::function<void()> on_evaluated;  // `evaluation` is a new one

  // Images first, so that masks find the grid they lie on. `then` runs when all have ended.
  void Open(const std::vector<std::filesystem::path>& paths, LoadAs as = LoadAs::kGuess,
            std::function<void()> then = {});

  // Saves a label layer; `then` gets whether it worked.
  void Save(int labels, const std::filesystem::path& path, std::function<void(bool)> then = {});
  // Surfaces of the visible labels (.stl, .obj, .ply).
  void ExportSurfaces(int labels, const std::filesystem::path& path);

  // --- models and segmentation
  void FindModels();
  const std::vector<CatalogueModel>& catalogue() const { return catalogue_; }
  bool models_known() const { return models_known_; }
  void AddModel(const std::filesystem::path& path);
  // "" when the model suits the image, otherwise why not; a warning does not forbid.
  struct Fit {
    std::string refusal, warning;
  };
  static Fit FitOf(const CatalogueModel& model, const ImageLayer& image);
  // "about 84 MB of 12.1 GB free".
  static std::string MemoryForecast(const ImageLayer& image);
  // Returns the task. The result becomes a new, unsaved label layer and the views go to it.
  int Segment(int image, const CatalogueModel& model, const std::string& device, bool force);

  // --- scores
  int Evaluate(int prediction, int reference, const std::string& protocol);
  struct Evaluation {
    int prediction = 0, reference = 0;  // layers
    core::EvaluateResult result;
  };
  const std::optional<Evaluation>& evaluation() const { return evaluation_; }
  // Shows where the two maps of the last evaluation differ about a class (0: all) and goes to the
  // axial slice with the most errors; false when there is none.
  bool ShowErrors(int label);

  // --- unsaved work
  const Journal& journal() const { return *journal_; }
  void Recover(const std::vector<Journal::Entry>& entries);

 private:
  void Tell(Message::Kind kind, const std::string& title, std::vector<std::string> lines);
  void OpenNext(std::vector<std::filesystem::path> paths, LoadAs as, std::function<void()> then,
                const std::string& series = "");
  void Add(LoadedFile loaded, const std::string& title);
  void OnDocument(unsigned changes);
  void KeepInJournal();
  int AddResult(std::unique_ptr<LabelLayer> layer);
  void ReplaceAbandoned(const std::filesystem::path& image);
  void GoToLargest(const LabelLayer& layer);

  std::unique_ptr<Journal> journal_;
  QTimer journal_timer_;
  std::vector<CatalogueModel> catalogue_;
  std::optional<Evaluation> evaluation_;
  bool models_known_ = false;
  int error_layer_ = 0;
  int results_ = 0;
};

}  // namespace avocet::gui

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "app/core/evaluate.h"
#include "app/core/image_checks.h"
#include "app/gui/document.h"
#include "app/gui/journal.h"
#include "app/gui/measurement_store.h"
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

  bool Translates() const { return card.task == "translation"; }
  std::string Name() const;
};

// One window's work: the document, and the jobs that read, segment, translate, score and save it.
// Knows no widgets. Everything is called in the window's thread; the work is done in others.
class Session {
 public:
  // `journal_root`: where unsaved layers are kept (Journal::DefaultRoot); measurements are kept in
  // a folder beside it. Throws IoError.
  explicit Session(const std::filesystem::path& journal_root);
  ~Session();

  Document document;
  ViewState view;
  TaskRunner tasks;

  std::function<void(const Message&)> on_message;
  std::function<void(const std::filesystem::path&)> on_opened;
  // Asks which of several DICOM series to open; -1: none.
  std::function<int(const std::string& name, const std::vector<SeriesChoice>&)> on_choose_series;
  // Asks whether a series with tilted or uneven slices, as `fault` has it, is to be opened
  // resampled.
  std::function<bool(const std::string& name, const std::string& fault)> on_uneven_series;
  // Asks whether to show a mask on an image whose positions are not comparable with it; not set:
  // no.
  std::function<bool(const std::string& name, const std::string& why)> on_other_space;
  std::function<void()> on_models;     // the catalogue is there, or is another one
  std::function<void()> on_fits;       // FitOf may say something else
  std::function<void()> on_evaluated;  // `evaluation` is a new one

  // Images first, so that masks find the grid they lie on. `then` runs when all have ended.
  void Open(const std::vector<std::filesystem::path>& paths, LoadAs as = LoadAs::kGuess,
            std::function<void()> then = {});

  // Closes a layer: an undo step; what the journal holds of it goes. With an error map goes what it
  // had hidden.
  void Close(int layer);
  // Saves a layer, label map or image; `then` gets whether it worked.
  void Save(int layer, const std::filesystem::path& path, std::function<void(bool)> then = {});
  // Surfaces of the visible labels (.stl, .obj, .ply).
  void ExportSurfaces(int labels, const std::filesystem::path& path);
  struct DicomExport {
    std::filesystem::path images;  // the series that the mask belongs to
    std::string series;            // which of those there, "" = the only one
    bool rtstruct = false;         // contours instead of a DICOM SEG
    bool keep_patient = false;     // name, ID, birth date, examination numbers of the images
  };
  void ExportDicom(int labels, const std::filesystem::path& path, const DicomExport& wanted,
                   std::function<void(bool)> then = {});
  // An open image that was read from DICOM, the active one first; null when there is none.
  const ImageLayer* DicomImage() const;

  // --- models
  void FindModels();
  const std::vector<CatalogueModel>& catalogue() const { return catalogue_; }
  bool models_known() const { return models_known_; }
  void AddModel(const std::filesystem::path& path);
  // How a model suits an image; all are "" when nothing speaks against it.
  struct Fit {
    std::string refusal;    // it cannot run
    std::string objection;  // it is not run unless the user insists
    std::string warning;
    bool looking = false;  // a closer look at the image is under way
    bool unseen = false;   // none was taken: the image is too large, or not yet
  };
  Fit FitOf(const CatalogueModel& model, const ImageLayer& image) const;
  // "about 84 MB of 12.1 GB free".
  static std::string MemoryForecast(const CatalogueModel& model, const ImageLayer& image);
  struct RunOptions {
    std::string device = "auto";
    bool force = false;
    bool head_only = false;  // translation: the input is kept outside of the head
  };
  // Both return the task. The result becomes a new, unsaved layer: labels, to whose largest slice
  // the views go, or a synthetic image, which becomes the active one.
  int Segment(int image, const CatalogueModel& model, const RunOptions& run);
  int Translate(int image, const CatalogueModel& model, const RunOptions& run);

  // --- scores
  // Label maps, and images (`avocet evaluate --task translation`); both return the task.
  int Evaluate(int prediction, int reference, const std::string& protocol);
  struct Region {       // where images are also measured, besides everywhere
    bool head = false;  // found in the reference
    int labels = 0;     // a label layer, where it is not 0
  };
  int EvaluateImages(int prediction, int reference, const std::string& protocol, Region region);
  // What was scored, as it was then.
  struct Evaluation {
    int prediction = 0, reference = 0;  // layers
    core::EvaluateResult result;
    bool images = false;
    Region region;  // of images
    std::string prediction_name, reference_name;
    // LabelLayer::state of the layers whose voxels counted: label maps, or the region of images.
    std::map<int, uint64_t> states;

    const std::string& protocol() const { return result.protocols.front().name; }
  };
  const std::optional<Evaluation>& evaluation() const { return evaluation_; }
  // Whether a label map that counted in the last evaluation has been edited or closed since.
  bool IsEvaluationStale() const;
  // Shows where the two maps of the last evaluation differ about a class (0: all) and goes to the
  // axial slice with the most errors; false when there is none.
  bool ShowErrors(int label);
  // Shows the difference of the two images of the last evaluation at the slice that is worst by
  // that column of the protocol, and says which it is; "" when no figure of slices goes with it.
  std::string ShowWorstSlice(size_t column);

  // --- unsaved work
  const Journal& journal() const { return *journal_; }
  // To be called when the brush paints another label: it is kept with the unsaved work.
  void NoteBrush();
  // Opens what earlier windows left behind (Journal::Abandoned) as it stood, with the measurements
  // of Journal::AbandonedMeasurements.
  void Recover(const std::vector<Journal::Entry>& entries);

 private:
  void Tell(Message::Kind kind, const std::string& title, std::vector<std::string> lines);
  void OpenNext(std::vector<std::filesystem::path> paths, LoadAs as, std::function<void()> then,
                const std::string& series = "", bool resampled = false, bool force = false);
  // Marks the label maps that do not belong to an image, and says so.
  void CompareWithLabels(const ImageLayer& image, std::vector<std::string>& report);
  void Add(LoadedFile loaded, const std::string& title);
  void OnDocument(unsigned changes);
  void KeepInJournal();
  void RecogniseImages();
  void KeepMeasurements();
  void StartJournalTimer();
  std::string DescriptionOf(int layer) const;
  void ForgetInJournal(int layer);
  void KeepMeasurementsInJournal();
  using Recovered = std::map<std::pair<std::filesystem::path, int>, int>;  // new id by old id
  void RecoverNext(std::vector<Journal::Entry> entries, size_t next, Recovered done, bool failed);
  void FinishRecovery(const std::vector<Journal::Entry>& entries, const Recovered& done);
  void NameErrorMap();
  template <typename Layer>
  void SaveLayer(const Layer& layer, const std::filesystem::path& path,
                 std::function<void(bool)> then);
  bool IsOpenImage(const std::filesystem::path& path) const;
  int AddResult(std::unique_ptr<LabelLayer> layer);
  int AddResult(std::unique_ptr<ImageLayer> layer);
  std::filesystem::path SourcePath() const;
  void LookCloser();
  std::filesystem::path NewWorkFolder(const std::string& job);
  void GoToLargest(const LabelLayer& layer);

  std::unique_ptr<Journal> journal_;
  QTimer journal_timer_;
  // What the journal has of a layer: the state of its voxels (0 for images, whose never change) and
  // its description.
  struct InJournal {
    uint64_t state = 0;
    std::string description;
  };
  std::map<int, InJournal> in_journal_;
  bool journaling_ = false, journal_again_ = false;
  std::function<void()> journal_then_;  // once all that is unsaved is in the journal
  MeasurementStore store_;
  QTimer store_timer_;
  std::map<int, std::string> keys_;  // of images in the store; "" while it is being found
  bool keeping_ = false, keep_again_ = false;
  std::vector<CatalogueModel> catalogue_;
  std::optional<Evaluation> evaluation_;
  bool models_known_ = false;
  // By image and model file: what a closer look found. Absent: not looked at.
  std::map<std::pair<int, std::string>, core::ImageCheck> checks_;
  std::set<std::pair<int, std::string>> looking_;
  int error_layer_ = 0;
  std::string error_name_;                // of the error map
  std::map<int, uint64_t> error_states_;  // of the maps that it compares
  std::vector<int> hidden_by_errors_;     // layers that are shown again without it
  int results_ = 0;
};

}  // namespace avocet::gui

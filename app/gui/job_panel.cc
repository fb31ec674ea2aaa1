// SPDX-License-Identifier: Apache-2.0
#include "app/gui/job_panel.h"

#include <QFileDialog>
#include <QHBoxLayout>
#include <QVBoxLayout>
#include <algorithm>

namespace avocet::gui {
namespace {

constexpr int kRowHeight = 38;  // a name, and how it suits the image
constexpr int kRowsShown = 3;

// 0: fits, 1: with care or not known yet, 2: only if the user insists, 3: cannot run.
int Rank(const Session::Fit& fit) {
  if (!fit.refusal.empty()) return 3;
  if (!fit.objection.empty()) return 2;
  return !fit.warning.empty() || fit.looking ? 1 : 0;
}

QString InShort(const Session::Fit& fit) {
  if (!fit.refusal.empty()) return "does not fit this image";
  if (!fit.objection.empty()) return "not meant for this image";
  if (fit.looking) return "looking at the image\u2026";
  return fit.warning.empty() ? "fits this image" : "fits, with care";
}

QString Purpose(const CatalogueModel& model) {
  if (!model.problem.empty()) return "cannot be used";
  return model.Translates() ? "translates" : "segments";
}

}  // namespace

JobPanel::JobPanel(Session& session, QWidget* parent) : QWidget(parent), session_(session) {
  auto* layout = new QVBoxLayout(this);
  layout->setContentsMargins(0, 0, 0, 6);
  models_ = new QListWidget;
  models_->setObjectName("models");
  models_->setAccessibleName("Models");
  models_->setTextElideMode(Qt::ElideRight);
  models_->setHorizontalScrollBarPolicy(Qt::ScrollBarAlwaysOff);
  models_->setToolTip("Models that ship, and those in the folders of $AVOCET_MODELS");
  layout->addWidget(models_);
  about_ = new QLabel;
  about_->setObjectName("hint");
  about_->setWordWrap(true);
  layout->addWidget(about_);
  head_only_ = new QCheckBox("Head only");
  head_only_->setToolTip("Outside of the head, found by threshold, the image is kept as it is");
  layout->addWidget(head_only_);
  force_ = new QCheckBox("Run anyway");
  force_->setObjectName("force");
  force_->setToolTip("Runs although the image does not look right for the model");
  layout->addWidget(force_);
  auto* row = new QHBoxLayout;
  device_ = new QComboBox;
  device_->addItems({"auto", "cpu", "cuda"});
  device_->setToolTip("Where to compute: auto takes a GPU when one works");
  device_->setAccessibleName("Device");
  run_ = new QPushButton("Segment");
  run_->setObjectName("run_model");
  run_->setToolTip("Runs the chosen model on the chosen image  Ctrl+R");
  add_ = new QPushButton("Add\u2026");
  add_->setToolTip("A model file from elsewhere");
  row->addWidget(run_, 1);
  row->addWidget(device_);
  row->addWidget(add_);
  layout->addLayout(row);
  connect(run_, &QPushButton::clicked, this, [this] { Run(); });
  connect(add_, &QPushButton::clicked, this, [this] {
    const QString path = QFileDialog::getOpenFileName(
        this, "Add a model", QString(), "Models (*.safetensors *.pth *.pt);;All files (*)");
    if (!path.isEmpty()) session_.AddModel(path.toStdString());
  });
  connect(force_, &QCheckBox::toggled, this, [this] { RefreshState(); });
  connect(models_, &QListWidget::currentRowChanged, this, [this] {
    if (choosing_) return;
    picked_ = true;
    RefreshState();
  });
  session_.on_models = [this] { RefreshModels(); };
  session_.on_fits = [this] {
    if (!picked_) Prefer();  // what is known of the image now may speak for another model
    RefreshState();
  };
  session_.document.AddObserver([this](unsigned changes) {
    if (!(changes & kLayersChanged)) return;
    const ImageLayer* image = session_.document.ActiveImage();
    if ((image == nullptr ? 0 : image->id) != image_) {
      force_->setChecked(false);  // it was said of another image
      picked_ = false;
      Prefer();
    }
    RefreshState();
  });
  RefreshModels();
}

const CatalogueModel* JobPanel::Chosen() const {
  const int row = models_->currentRow();
  if (row < 0 || row >= static_cast<int>(session_.catalogue().size())) return nullptr;
  return &session_.catalogue()[row];
}

void JobPanel::RefreshModels() {
  const int before = models_->currentRow();
  const auto& catalogue = session_.catalogue();
  choosing_ = true;
  models_->clear();
  for (const CatalogueModel& model : catalogue) {
    auto* item = new QListWidgetItem(models_);
    item->setToolTip(QString::fromStdString(model.Name() + "\n" + model.path.string()));
    item->setSizeHint(QSize(10, kRowHeight));
  }
  const int count = models_->count();
  models_->setFixedHeight(std::clamp(count, 1, kRowsShown) * kRowHeight + 4);
  // One that was just added is what the user wants to run.
  models_->setCurrentRow(known_ > 0 && catalogue.size() > known_ ? count - 1
                                                                 : std::min(before, count - 1));
  choosing_ = false;
  if (known_ == 0) Prefer();
  known_ = catalogue.size();
  RefreshState();
}

// The model that suits the image best; what was chosen before stays when it suits as well.
void JobPanel::Prefer() {
  const ImageLayer* image = session_.document.ActiveImage();
  image_ = image == nullptr ? 0 : image->id;
  const auto& catalogue = session_.catalogue();
  const auto rank = [&](int row) {
    if (image == nullptr) return catalogue[row].problem.empty() ? 0 : 3;
    return Rank(session_.FitOf(catalogue[row], *image));
  };
  int best = models_->currentRow();
  for (int row = 0; row < static_cast<int>(catalogue.size()); ++row) {
    if (best < 0 || rank(row) < rank(best)) best = row;
  }
  choosing_ = true;
  models_->setCurrentRow(best);
  choosing_ = false;
}

void JobPanel::RefreshList() {
  const ImageLayer* image = session_.document.ActiveImage();
  for (int row = 0; row < models_->count(); ++row) {
    const CatalogueModel& model = session_.catalogue()[row];
    QString state = Purpose(model);
    int rank = model.problem.empty() ? 0 : 3;
    if (image != nullptr && model.problem.empty()) {
      const Session::Fit fit = session_.FitOf(model, *image);
      state += " \u00b7 " + InShort(fit);
      rank = Rank(fit);
    }
    QListWidgetItem* item = models_->item(row);
    item->setText(QString::fromStdString(model.Name()) + "\n" + state);
    item->setForeground(rank >= 2 ? QColor(138, 146, 156) : QColor(222, 226, 231));
  }
}

void JobPanel::RefreshState() {
  RefreshList();
  const CatalogueModel* model = Chosen();
  const ImageLayer* image = session_.document.ActiveImage();
  QString text;
  Session::Fit fit;
  if (!session_.models_known()) {
    text = "Looking for models\u2026";
  } else if (session_.catalogue().empty()) {
    text = "No model was found. Add a file, or name a folder in AVOCET_MODELS.";
  } else if (model != nullptr) {
    for (size_t c = 1; c < model->card.labels.size(); ++c) {
      text += (c > 1 ? ", " : "") + QString::fromStdString(model->card.labels[c].name);
    }
    if (!model->card.modality.empty()) {
      text += (text.isEmpty() ? "For " : " in ") + QString::fromStdString(model->card.modality);
    }
    if (!text.isEmpty()) text += ". ";
    if (model->Translates()) text += "Makes a synthetic image: research use only. ";
    if (const auto warning = model->card.provenance.find("warning");
        warning != model->card.provenance.end()) {
      text += "Its card says: " + QString::fromStdString(warning->second) + ". ";
    }
    if (image == nullptr) {
      text += "Open an image to run it on.";
    } else {
      fit = session_.FitOf(*model, *image);
      if (!fit.refusal.empty()) {
        text += "Does not fit: " + QString::fromStdString(fit.refusal) + ".";
      } else if (!fit.objection.empty()) {
        text += "Not meant for this image: " + QString::fromStdString(fit.objection) +
                ". Tick 'Run anyway' if you know better. ";
      } else if (!fit.warning.empty()) {
        text += "Careful: " + QString::fromStdString(fit.warning) + ". ";
      } else if (!fit.looking) {
        text += "Fits the image. ";
      }
      if (fit.refusal.empty()) {
        text += "Needs " + QString::fromStdString(Session::MemoryForecast(*model, *image)) + ".";
      }
    }
  }
  about_->setText(text);
  const bool can = model != nullptr && image != nullptr && fit.refusal.empty();
  const bool translates = model != nullptr && model->Translates();
  head_only_->setVisible(can && translates);
  force_->setVisible(can &&
                     (translates || !fit.warning.empty() || !fit.objection.empty() || fit.unseen));
  run_->setText(translates ? "Translate" : "Segment");
  run_->setEnabled(can && !fit.looking && (fit.objection.empty() || force_->isChecked()));
}

void JobPanel::Run() {
  const CatalogueModel* model = Chosen();
  const ImageLayer* image = session_.document.ActiveImage();
  if (model == nullptr || image == nullptr || session_.tasks.IsRunning(task_)) return;
  if (!run_->isEnabled()) return;
  Session::RunOptions run;
  run.device = device_->currentText().toStdString();
  run.force = force_->isChecked();
  run.head_only = head_only_->isChecked();
  task_ = model->Translates() ? session_.Translate(image->id, *model, run)
                              : session_.Segment(image->id, *model, run);
}

}  // namespace avocet::gui

// SPDX-License-Identifier: Apache-2.0
#include "app/gui/job_panel.h"

#include <QFileDialog>
#include <QHBoxLayout>
#include <QVBoxLayout>

namespace avocet::gui {

JobPanel::JobPanel(Session& session, QWidget* parent) : QWidget(parent), session_(session) {
  auto* layout = new QVBoxLayout(this);
  layout->setContentsMargins(0, 0, 0, 6);
  models_ = new QListWidget;
  models_->setObjectName("models");
  models_->setAccessibleName("Models");
  models_->setFixedHeight(52);
  models_->setToolTip("Models that ship, and those in the folders of $AVOCET_MODELS");
  layout->addWidget(models_);
  about_ = new QLabel;
  about_->setObjectName("hint");
  about_->setWordWrap(true);
  layout->addWidget(about_);
  force_ = new QCheckBox("Run anyway");
  force_->setToolTip("Runs although the image does not look right for the model");
  layout->addWidget(force_);
  auto* row = new QHBoxLayout;
  device_ = new QComboBox;
  device_->addItems({"auto", "cpu", "cuda"});
  device_->setToolTip("Where to compute: auto takes a GPU when one works");
  run_ = new QPushButton("Segment");
  run_->setObjectName("segment");
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
  connect(models_, &QListWidget::currentRowChanged, this, [this] {
    if (!choosing_) RefreshState();
  });
  session_.on_models = [this] { RefreshModels(); };
  session_.document.AddObserver([this](unsigned changes) {
    if (!(changes & kLayersChanged)) return;
    const ImageLayer* image = session_.document.ActiveImage();
    if ((image == nullptr ? 0 : image->id) != image_) Prefer();
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
  choosing_ = true;
  models_->clear();
  for (const CatalogueModel& model : session_.catalogue()) {
    const std::string name = model.card.name.empty() ? model.path.stem().string() : model.card.name;
    auto* item = new QListWidgetItem(QString::fromStdString(name), models_);
    item->setToolTip(QString::fromStdString(model.path.string()));
  }
  choosing_ = false;
  Prefer();
  RefreshState();
}

// The model that suits the image best; what was chosen before stays when it suits as well.
void JobPanel::Prefer() {
  const ImageLayer* image = session_.document.ActiveImage();
  image_ = image == nullptr ? 0 : image->id;
  const auto& catalogue = session_.catalogue();
  const auto rank = [&](int row) {
    if (image == nullptr) return catalogue[row].problem.empty() ? 0 : 2;
    const Session::Fit fit = Session::FitOf(catalogue[row], *image);
    return !fit.refusal.empty() ? 2 : !fit.warning.empty() ? 1 : 0;
  };
  int best = models_->currentRow();
  for (int row = 0; row < static_cast<int>(catalogue.size()); ++row) {
    if (best < 0 || rank(row) < rank(best)) best = row;
  }
  choosing_ = true;
  models_->setCurrentRow(best);
  choosing_ = false;
}

void JobPanel::RefreshState() {
  const CatalogueModel* model = Chosen();
  const ImageLayer* image = session_.document.ActiveImage();
  QString text;
  bool can = false;
  bool warned = false;
  if (!session_.models_known()) {
    text = "Looking for models…";
  } else if (session_.catalogue().empty()) {
    text = "No model was found. Add a file, or name a folder in AVOCET_MODELS.";
  } else if (model != nullptr) {
    for (size_t c = 1; c < model->card.labels.size(); ++c) {
      text += (c > 1 ? ", " : "") + QString::fromStdString(model->card.labels[c].name);
    }
    if (!model->card.modality.empty()) {
      text += " in " + QString::fromStdString(model->card.modality);
    }
    if (!text.isEmpty()) text += ". ";
    if (image == nullptr) {
      text += "Open an image to run it on.";
    } else {
      const Session::Fit fit = Session::FitOf(*model, *image);
      can = fit.refusal.empty();
      warned = !fit.warning.empty();
      if (!can) {
        text += "Does not fit: " + QString::fromStdString(fit.refusal) + ".";
      } else if (warned) {
        text += "Careful: " + QString::fromStdString(fit.warning) + ". ";
      } else {
        text += "Fits the image. ";
      }
      if (can) text += "Needs " + QString::fromStdString(Session::MemoryForecast(*image)) + ".";
    }
  }
  about_->setText(text);
  force_->setVisible(can && warned);
  run_->setEnabled(can);
}

void JobPanel::Run() {
  const CatalogueModel* model = Chosen();
  const ImageLayer* image = session_.document.ActiveImage();
  if (model == nullptr || image == nullptr || session_.tasks.IsRunning(task_)) return;
  if (!Session::FitOf(*model, *image).refusal.empty()) return;
  task_ = session_.Segment(image->id, *model, device_->currentText().toStdString(),
                           force_->isVisible() && force_->isChecked());
}

}  // namespace avocet::gui

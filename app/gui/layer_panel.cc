// SPDX-License-Identifier: Apache-2.0
#include "app/gui/layer_panel.h"

#include <QFormLayout>
#include <QHBoxLayout>
#include <QHeaderView>
#include <QMessageBox>
#include <QVBoxLayout>

#include "app/gui/job_files.h"
#include "app/gui/origin.h"

namespace avocet::gui {
namespace {

constexpr int kIdRole = Qt::UserRole;

// "Made by MODEL, edited by hand".
QString Sentence(const Origin& origin) {
  QString text = QString::fromStdString(Describe(origin));
  if (!text.isEmpty()) text[0] = text[0].toUpper();
  return text;
}

}  // namespace

LayerPanel::LayerPanel(Session& session, QWidget* parent)
    : QWidget(parent), session_(session), list_(new QTreeWidget) {
  auto* layout = new QVBoxLayout(this);
  layout->setContentsMargins(0, 0, 0, 6);
  list_->setObjectName("layers");
  list_->setAccessibleName("Layers");
  list_->setHeaderHidden(true);
  list_->setRootIsDecorated(false);
  list_->setColumnCount(1);
  list_->setFixedHeight(84);
  list_->setToolTip("Ticked layers are shown. The chosen image decides where the slices lie.");
  layout->addWidget(list_);
  origin_ = new QLabel;
  origin_->setObjectName("layer_origin");
  origin_->setWordWrap(true);
  layout->addWidget(origin_);

  label_controls_ = new QWidget;
  auto* form = new QFormLayout(label_controls_);
  form->setContentsMargins(2, 0, 2, 0);
  opacity_ = new QSlider(Qt::Horizontal);
  opacity_->setRange(0, 100);
  opacity_->setToolTip("Opacity of the chosen label map  [ and ]");
  form->addRow("Opacity", opacity_);
  outline_ = new QCheckBox("Outline only");
  outline_->setToolTip("Outline instead of fill  O");
  form->addRow("", outline_);
  layout->addWidget(label_controls_);

  image_controls_ = new QWidget;
  auto* second = new QFormLayout(image_controls_);
  second->setContentsMargins(2, 0, 2, 0);
  fused_ = new QComboBox;
  fused_->setToolTip("A second image shown with the chosen one");
  second->addRow("With", fused_);
  fusion_ = new QComboBox;
  fusion_->setObjectName("fusion");
  fusion_->addItems({"Blend", "Curtain", "Checkerboard", "Difference"});
  share_ = new QSlider(Qt::Horizontal);
  share_->setRange(0, 100);
  share_->setToolTip(
      "Share of the second image, place of the curtain, or strength of the difference");
  second->addRow(fusion_, share_);
  layout->addWidget(image_controls_);

  remove_ = new QPushButton("Close layer");
  remove_->setToolTip("Closes the chosen layer; its file stays as it is. Ctrl+Z brings it back");
  layout->addWidget(remove_);

  connect(list_, &QTreeWidget::itemChanged, this,
          [this](QTreeWidgetItem* item) { OnItemChanged(item); });
  connect(list_, &QTreeWidget::currentItemChanged, this, [this] {
    if (updating_) return;
    const int id = SelectedLayer();
    session_.document.SetActiveImage(id);
    session_.document.SetActiveLabels(id);
    RefreshControls();
  });
  connect(opacity_, &QSlider::valueChanged, this, [this](int value) {
    LabelLayer* layer = session_.document.Labels(SelectedLayer());
    if (updating_ || layer == nullptr) return;
    layer->opacity = value / 100.0;
    session_.document.Notify(kDisplayChanged);
  });
  connect(outline_, &QCheckBox::toggled, this, [this](bool on) {
    LabelLayer* layer = session_.document.Labels(SelectedLayer());
    if (updating_ || layer == nullptr) return;
    layer->outline = on;
    session_.document.Notify(kDisplayChanged);
  });
  const auto fuse = [this] {
    if (updating_) return;
    Document& document = session_.document;
    document.fused_image = fused_->currentData().toInt();
    document.fusion = static_cast<Fusion>(fusion_->currentIndex());
    document.fusion_share = share_->value() / 100.0;
    document.Notify(kDisplayChanged);
  };
  connect(fused_, &QComboBox::currentIndexChanged, this, fuse);
  connect(fusion_, &QComboBox::currentIndexChanged, this, fuse);
  connect(share_, &QSlider::valueChanged, this, fuse);
  connect(remove_, &QPushButton::clicked, this, [this] {
    const int id = SelectedLayer();
    const LabelLayer* labels = session_.document.Labels(id);
    const ImageLayer* image = session_.document.Image(id);
    const bool unsaved =
        (labels != nullptr && labels->unsaved) || (image != nullptr && image->unsaved);
    if (unsaved &&
        QMessageBox::question(this, "Close layer",
                              "'" + QString::fromStdString(labels ? labels->name : image->name) +
                                  "' is not saved. Close it?") != QMessageBox::Yes) {
      return;
    }
    if (id != 0) session_.Close(id);
  });
  session_.document.AddObserver([this](unsigned changes) {
    if (changes & (kLayersChanged | kDisplayChanged)) Refresh();
  });
  Refresh();
}

int LayerPanel::SelectedLayer() const {
  const QTreeWidgetItem* item = list_->currentItem();
  return item == nullptr ? 0 : item->data(0, kIdRole).toInt();
}

void LayerPanel::OnItemChanged(QTreeWidgetItem* item) {
  if (updating_) return;
  const int id = item->data(0, kIdRole).toInt();
  const bool on = item->checkState(0) == Qt::Checked;
  if (ImageLayer* image = session_.document.Image(id)) image->visible = on;
  if (LabelLayer* labels = session_.document.Labels(id)) labels->visible = on;
  session_.document.Notify(kDisplayChanged);
}

void LayerPanel::Refresh() {
  updating_ = true;
  const Document& document = session_.document;
  const int selected = document.selected();
  const int total = static_cast<int>(document.images().size() + document.labels().size());
  // Rebuilt only when layers come or go, so that the keyboard's place stays.
  std::vector<int> ids;
  for (const auto& image : document.images()) ids.push_back(image->id);
  for (const auto& labels : document.labels()) ids.push_back(labels->id);
  bool same = list_->topLevelItemCount() == total;
  for (int row = 0; same && row < total; ++row) {
    same = list_->topLevelItem(row)->data(0, kIdRole).toInt() == ids[row];
  }
  if (!same) {
    list_->clear();
    for (const int id : ids) {
      auto* item = new QTreeWidgetItem(list_);
      item->setData(0, kIdRole, id);
      item->setFlags(Qt::ItemIsEnabled | Qt::ItemIsSelectable | Qt::ItemIsUserCheckable);
    }
  }
  QTreeWidgetItem* current = nullptr;
  for (int row = 0; row < total; ++row) {
    QTreeWidgetItem* item = list_->topLevelItem(row);
    if (const ImageLayer* image = document.Image(ids[row])) {
      const bool active = image == document.ActiveImage();
      item->setText(0, (active ? QString::fromUtf8("\u25a3 ") : QString::fromUtf8("\u25a2 ")) +
                           QString::fromStdString(image->name) +
                           (image->volume->resampled ? "  (resampled)" : "") +
                           (image->unsaved ? "  (not saved)" : ""));
      QString where =
          image->unsaved ? QString("Not saved yet") : QString::fromStdString(image->path.string());
      if (image->volume->resampled) {
        where += "\nResampled onto an even grid: values are interpolated";
      }
      item->setToolTip(0, image->synthetic ? where + "\nSynthetic: made by a network" : where);
      item->setCheckState(0, image->visible ? Qt::Checked : Qt::Unchecked);
    } else if (const LabelLayer* labels = document.Labels(ids[row])) {
      const Origin origin = OriginOf(*labels);
      const bool touched = origin.edited && !origin.drawn;
      const core::ManifestDoubts doubts = DoubtsOf(labels->companions);
      QString text = QString::fromUtf8(doubts.Any() ? "\u26a0 " : "\u25d0 ") +
                     QString::fromStdString(labels->name) +
                     (touched && labels->unsaved ? "  (edited, not saved)"
                      : touched                  ? "  (edited)"
                      : labels->unsaved          ? "  (not saved)"
                                                 : "");
      QString tip =
          labels->unsaved ? "Not saved yet" : QString::fromStdString(labels->path.string());
      if (const QString how = Sentence(origin); !how.isEmpty()) tip += "\n" + how;
      for (const std::string& each : doubts.implausible) {
        tip += "\nImplausible: " + QString::fromStdString(each);
      }
      if (!doubts.overridden.empty()) {
        tip += "\nMade although " + QString::fromStdString(doubts.overridden);
      }
      if (labels->other_space) {
        text += "  (other frame of reference)";
        tip += "\nOf another frame of reference than the image: where it lies on it means nothing";
      }
      item->setText(0, text);
      item->setToolTip(0, tip);
      item->setCheckState(0, labels->visible ? Qt::Checked : Qt::Unchecked);
    }
    if (ids[row] == selected) current = item;
  }
  if (current != nullptr && current != list_->currentItem()) list_->setCurrentItem(current);
  updating_ = false;
  RefreshControls();
}

void LayerPanel::RefreshControls() {
  updating_ = true;
  const Document& document = session_.document;
  const int id = SelectedLayer();
  const LabelLayer* labels = document.Labels(id);
  const ImageLayer* image = document.Image(id);
  const QString how = labels != nullptr  ? Sentence(OriginOf(*labels))
                      : image != nullptr ? Sentence(OriginOf(*image))
                                         : QString();
  origin_->setText(how);
  origin_->setVisible(!how.isEmpty());
  label_controls_->setVisible(labels != nullptr);
  if (labels != nullptr) {
    opacity_->setValue(static_cast<int>(labels->opacity * 100 + 0.5));
    outline_->setChecked(labels->outline);
  }
  image_controls_->setVisible(image != nullptr && document.images().size() > 1);
  fused_->clear();
  fused_->addItem("no other image", 0);
  for (const auto& image : document.images()) {
    if (image.get() == document.ActiveImage()) continue;
    fused_->addItem(QString::fromStdString(image->name), image->id);
    if (image->id == document.fused_image) fused_->setCurrentIndex(fused_->count() - 1);
  }
  fusion_->setCurrentIndex(static_cast<int>(document.fusion));
  share_->setValue(static_cast<int>(document.fusion_share * 100 + 0.5));
  remove_->setEnabled(id != 0);
  updating_ = false;
}

}  // namespace avocet::gui

// SPDX-License-Identifier: Apache-2.0
#include "app/gui/label_panel.h"

#include <QColorDialog>
#include <QHBoxLayout>
#include <QHeaderView>
#include <QVBoxLayout>
#include <algorithm>

namespace avocet::gui {
namespace {

enum Column { kVisible, kName, kVolume, kColumns };

QPixmap Swatch(const std::array<uint8_t, 3>& colour) {
  QPixmap swatch(14, 14);
  swatch.fill(QColor(colour[0], colour[1], colour[2]));
  return swatch;
}

}  // namespace

LabelPanel::LabelPanel(Session& session, QWidget* parent)
    : QWidget(parent),
      session_(session),
      table_(new QTableWidget(0, kColumns)),
      hint_(new QLabel("No label map is open. Open a mask, or run a model.")) {
  auto* layout = new QVBoxLayout(this);
  layout->setContentsMargins(0, 0, 0, 6);
  table_->setObjectName("labels");
  table_->setAccessibleName("Labels");
  table_->setHorizontalHeaderLabels({"", "Label", "ml"});
  table_->verticalHeader()->hide();
  table_->verticalHeader()->setDefaultSectionSize(24);
  table_->horizontalHeader()->setSectionResizeMode(kName, QHeaderView::Stretch);
  table_->horizontalHeader()->setSectionResizeMode(kVisible, QHeaderView::ResizeToContents);
  table_->horizontalHeader()->setSectionResizeMode(kVolume, QHeaderView::ResizeToContents);
  table_->setSelectionBehavior(QAbstractItemView::SelectRows);
  table_->setSelectionMode(QAbstractItemView::SingleSelection);
  table_->setShowGrid(false);
  table_->setTabKeyNavigation(false);
  table_->setToolTip(
      "Tick: shown. Double click: rename, or change the colour. The chosen label is what the brush "
      "paints (Tab: next).");
  hint_->setObjectName("hint");
  hint_->setWordWrap(true);
  layout->addWidget(hint_);
  layout->addWidget(table_);
  auto* buttons = new QHBoxLayout;
  add_ = new QPushButton("Add label");
  add_->setObjectName("add_label");
  add_->setToolTip("One more label in this map, chosen for the brush");
  colour_ = new QPushButton("Colour\u2026");
  colour_->setToolTip("Colour of the chosen label; or double click it");
  buttons->addWidget(add_);
  buttons->addWidget(colour_);
  layout->addLayout(buttons);
  connect(add_, &QPushButton::clicked, this, [this] {
    const LabelLayer* layer = session_.document.ActiveLabels();
    if (layer == nullptr) return;
    const int value = session_.document.AddLabel(layer->id);
    const auto row = std::find(values_.begin(), values_.end(), value);
    if (row != values_.end()) {
      table_->setCurrentCell(static_cast<int>(row - values_.begin()), kName);
    }
  });
  connect(colour_, &QPushButton::clicked, this, [this] { AskColour(table_->currentRow()); });
  connect(table_, &QTableWidget::itemChanged, this, [this](QTableWidgetItem* item) {
    LabelLayer* layer = session_.document.ActiveLabels();
    if (updating_ || layer == nullptr) return;
    const int value = values_.at(item->row());
    if (item->column() == kName && !item->text().trimmed().isEmpty()) {
      session_.document.RenameLabel(layer->id, value, item->text().trimmed().toStdString());
    }
    if (item->column() == kVisible) {
      layer->table[value].visible = item->checkState() == Qt::Checked;
    }
    session_.document.Notify(kDisplayChanged | kLayersChanged);
  });
  connect(table_, &QTableWidget::cellDoubleClicked, this, [this](int row, int column) {
    if (column == kVisible) AskColour(row);
  });
  connect(table_, &QTableWidget::currentCellChanged, this, [this](int row) {
    if (updating_ || row < 0 || row >= static_cast<int>(values_.size())) return;
    session_.view.brush_label = values_[row];
    session_.NoteBrush();
  });
  session_.document.AddObserver([this](unsigned changes) {
    if (changes & (kLayersChanged | kDisplayChanged)) Refresh();
  });
  Refresh();
}

void LabelPanel::AskColour(int row) {
  const LabelLayer* layer = session_.document.ActiveLabels();
  if (layer == nullptr || layer->comparison) return;
  if (row < 0 || row >= static_cast<int>(values_.size())) return;
  const auto& rgb = layer->table.at(values_[row]).colour;
  const int id = layer->id, value = values_[row];
  const QColor colour =
      QColorDialog::getColor(QColor(rgb[0], rgb[1], rgb[2]), this, "Colour of the label");
  if (!colour.isValid()) return;
  session_.document.RecolourLabel(
      id, value,
      {static_cast<uint8_t>(colour.red()), static_cast<uint8_t>(colour.green()),
       static_cast<uint8_t>(colour.blue())});
}

void LabelPanel::SelectNext() {
  const int rows = table_->rowCount();
  if (rows == 0) return;
  table_->setCurrentCell((table_->currentRow() + 1) % rows, kName);
}

void LabelPanel::Refresh() {
  updating_ = true;
  const LabelLayer* layer = session_.document.ActiveLabels();
  hint_->setVisible(layer == nullptr);
  table_->setVisible(layer != nullptr);
  const bool editable = layer != nullptr && !layer->comparison;
  add_->setVisible(editable);
  colour_->setVisible(editable);
  values_.clear();
  const int rows = layer == nullptr ? 0 : static_cast<int>(layer->table.size());
  if (table_->rowCount() != rows) table_->setRowCount(rows);
  int row = 0;
  const bool known = layer == nullptr || layer->KnowsVolume();
  table_->horizontalHeaderItem(kVolume)->setText(known ? "ml" : "voxels");
  if (layer != nullptr) {
    for (const auto& [value, entry] : layer->table) {
      values_.push_back(value);
      const auto item = [&](int column) {
        if (table_->item(row, column) == nullptr) {
          table_->setItem(row, column, new QTableWidgetItem);
        }
        return table_->item(row, column);
      };
      item(kVisible)->setFlags(Qt::ItemIsEnabled | Qt::ItemIsSelectable | Qt::ItemIsUserCheckable);
      item(kVisible)->setCheckState(entry.visible ? Qt::Checked : Qt::Unchecked);
      QIcon icon(Swatch(entry.colour));
      icon.addPixmap(Swatch(entry.colour), QIcon::Selected);  // the same colour when chosen
      item(kVisible)->setIcon(icon);
      item(kName)->setText(QString::fromStdString(entry.name));
      item(kName)->setToolTip("Value " + QString::number(value));
      item(kName)->setFlags(editable ? Qt::ItemIsEnabled | Qt::ItemIsSelectable | Qt::ItemIsEditable
                                     : Qt::ItemIsEnabled | Qt::ItemIsSelectable);
      item(kVolume)->setText(
          known ? QString::number(entry.volume_ml, 'f', entry.volume_ml < 10 ? 3 : 1)
                : QString::number(entry.voxels));
      item(kVolume)->setFlags(Qt::ItemIsEnabled | Qt::ItemIsSelectable);
      item(kVolume)->setTextAlignment(Qt::AlignRight | Qt::AlignVCenter);
      ++row;
    }
    if (std::find(values_.begin(), values_.end(), session_.view.brush_label) == values_.end() &&
        !values_.empty()) {
      session_.view.brush_label = values_.front();
    }
  }
  // The chosen row is what the brush paints.
  const auto brush = std::find(values_.begin(), values_.end(), session_.view.brush_label);
  const int brush_row = static_cast<int>(brush - values_.begin());
  if (brush != values_.end() && table_->currentRow() != brush_row) {
    table_->setCurrentCell(brush_row, kName);
  }
  // As tall as its rows, within reason.
  const int tall = table_->horizontalHeader()->sizeHint().height() + 4 +
                   table_->verticalHeader()->defaultSectionSize() * std::clamp(rows, 2, 8);
  table_->setFixedHeight(tall);
  updating_ = false;
}

}  // namespace avocet::gui

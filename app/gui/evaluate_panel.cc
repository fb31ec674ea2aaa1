// SPDX-License-Identifier: Apache-2.0
#include "app/gui/evaluate_panel.h"

#include <QFormLayout>
#include <QHeaderView>
#include <QStyle>
#include <QVBoxLayout>
#include <algorithm>
#include <cmath>

namespace avocet::gui {
namespace {

QString Text(const metrics::MetricValue& value) {
  if (!value.HasValue()) return "undefined";
  if (std::isinf(value.value)) return "inf";
  if (std::isnan(value.value)) return "undefined";
  return QString::number(value.value, 'g', 4);
}

}  // namespace

EvaluatePanel::EvaluatePanel(Session& session, QWidget* parent)
    : QWidget(parent), session_(session) {
  auto* layout = new QVBoxLayout(this);
  layout->setContentsMargins(0, 0, 0, 6);
  auto* form = new QFormLayout;
  form->setContentsMargins(2, 0, 2, 0);
  prediction_ = new QComboBox;
  reference_ = new QComboBox;
  protocol_ = new QComboBox;
  prediction_->setObjectName("prediction");
  reference_->setObjectName("reference");
  for (auto* box : {prediction_, reference_}) {
    box->setSizeAdjustPolicy(QComboBox::AdjustToMinimumContentsLengthWithIcon);
    box->setMinimumContentsLength(12);
  }
  for (const std::string& name : metrics::ProtocolNames()) {
    protocol_->addItem(QString::fromStdString(name));
    const metrics::Protocol protocol = metrics::MakeProtocol(name);
    protocol_->setItemData(
        protocol_->count() - 1,
        QString::fromStdString(protocol.description + " Empty masks: " + protocol.empty_rule),
        Qt::ToolTipRole);
  }
  protocol_->setCurrentText("default");
  protocol_->setToolTip("Which definitions, units and rules for empty masks count");
  form->addRow("Prediction", prediction_);
  form->addRow("Reference", reference_);
  form->addRow("Protocol", protocol_);
  layout->addLayout(form);
  run_ = new QPushButton("Evaluate");
  run_->setObjectName("evaluate");
  run_->setToolTip("Scores the prediction against the reference  Ctrl+Shift+R");
  layout->addWidget(run_);
  table_ = new QTableWidget;
  table_->setObjectName("scores");
  table_->setAccessibleName("Scores");
  table_->setEditTriggers(QAbstractItemView::NoEditTriggers);
  table_->setSelectionBehavior(QAbstractItemView::SelectRows);
  table_->setSelectionMode(QAbstractItemView::SingleSelection);
  table_->verticalHeader()->hide();
  table_->verticalHeader()->setDefaultSectionSize(24);
  table_->setTabKeyNavigation(false);
  table_->setToolTip("Choose a row: the views go to the slice with the most errors and show them");
  table_->hide();
  layout->addWidget(table_);
  note_ = new QLabel("Two label maps are needed: a result and the reference.");
  note_->setObjectName("hint");
  note_->setWordWrap(true);
  layout->addWidget(note_);
  connect(run_, &QPushButton::clicked, this, [this] {
    session_.Evaluate(prediction_->currentData().toInt(), reference_->currentData().toInt(),
                      protocol_->currentText().toStdString());
  });
  const auto jump = [this](int row) {
    if (row < 0 || row >= static_cast<int>(labels_.size())) return;
    note_->setText(session_.ShowErrors(labels_[row])
                       ? "Blue: agreement. Orange: too much. Pink: missed. The views show the "
                         "axial slice with the most errors."
                       : "No voxel differs.");
  };
  connect(table_, &QTableWidget::cellClicked, this, jump);
  connect(table_, &QTableWidget::cellActivated, this, jump);
  session_.document.AddObserver([this](unsigned changes) {
    if (changes & kLayersChanged) RefreshLayers();
  });
  session_.on_evaluated = [this] { ShowResult(); };
  RefreshLayers();
}

void EvaluatePanel::RefreshLayers() {
  const auto& labels = session_.document.labels();
  const auto fill = [&](QComboBox* box, int preferred) {
    const int before = box->currentData().toInt();
    box->clear();
    for (const auto& layer : labels) {
      if (layer->name.rfind("Errors: ", 0) == 0) continue;
      box->addItem(QString::fromStdString(layer->name), layer->id);
    }
    int index = box->findData(before);
    if (index < 0) index = box->findData(preferred);
    box->setCurrentIndex(index < 0 ? 0 : index);
  };
  // A result of this window is the prediction, a file the reference, unless chosen otherwise.
  int result = 0, file = 0;
  for (const auto& layer : labels) {
    if (layer->unsaved) {
      result = layer->id;
    } else if (file == 0) {
      file = layer->id;
    }
  }
  if (result == 0 && labels.size() > 1) result = labels.back()->id;
  fill(prediction_, result);
  fill(reference_, file);
  if (prediction_->count() > 1 && prediction_->currentData() == reference_->currentData()) {
    prediction_->setCurrentIndex(prediction_->findData(result));
    if (prediction_->currentData() == reference_->currentData()) {
      prediction_->setCurrentIndex(reference_->currentIndex() == 0 ? 1 : 0);
    }
  }
  run_->setEnabled(prediction_->count() > 1);
}

void EvaluatePanel::ShowResult() {
  const auto& evaluation = session_.evaluation();
  if (!evaluation || evaluation->result.set.cases.empty()) return;
  const core::EvaluateResult& result = evaluation->result;
  const metrics::Protocol& protocol = result.protocols.front();
  const core::EvaluatedCase& scored = result.set.cases.front();
  table_->clear();
  const int columns = static_cast<int>(protocol.columns.size()) + 1;
  table_->setColumnCount(columns);
  table_->setRowCount(static_cast<int>(result.classes.size()) + 1);
  table_->setHorizontalHeaderItem(0, new QTableWidgetItem("Label"));
  for (int c = 1; c < columns; ++c) {
    const metrics::MetricColumn& column = protocol.columns[c - 1];
    auto* header = new QTableWidgetItem(QString::fromStdString(column.name));
    header->setToolTip(QString::fromStdString(column.definition) +
                       " Unit: " + QString::fromStdString(column.unit));
    table_->setHorizontalHeaderItem(c, header);
  }
  labels_.clear();
  int row = 0;
  const LabelLayer* reference = session_.document.Labels(evaluation->reference);
  const LabelLayer* prediction = session_.document.Labels(evaluation->prediction);
  for (size_t n = 0; n < result.classes.size(); ++n, ++row) {
    std::string name = result.classes[n].name;
    // The window's names where the job had none.
    for (const LabelLayer* layer : {reference, prediction}) {
      if (layer == nullptr) continue;
      const auto entry = layer->table.find(result.classes[n].label);
      if (entry != layer->table.end() && entry->second.name.rfind("Label ", 0) != 0) {
        name = entry->second.name;
      }
    }
    table_->setItem(row, 0, new QTableWidgetItem(QString::fromStdString(name)));
    for (int c = 1; c < columns; ++c) {
      table_->setItem(row, c, new QTableWidgetItem(Text(scored.classes[n].values[0][c - 1])));
    }
    labels_.push_back(result.classes[n].label);
  }
  table_->setItem(row, 0, new QTableWidgetItem("Mean"));
  for (int c = 1; c < columns; ++c) {
    const auto& mean = result.set.overall.at(0).at(c - 1);
    table_->setItem(
        row, c,
        new QTableWidgetItem(std::isfinite(mean.value) && protocol.columns[c - 1].is_score
                                 ? QString::number(mean.value, 'g', 4)
                                 : QString()));
  }
  labels_.push_back(0);
  table_->resizeColumnsToContents();
  const int rows = std::clamp(table_->rowCount(), 2, 9);
  table_->setFixedHeight(table_->horizontalHeader()->sizeHint().height() +
                         rows * table_->verticalHeader()->defaultSectionSize() +
                         table_->style()->pixelMetric(QStyle::PM_ScrollBarExtent) + 4);
  table_->show();
  note_->setText("Protocol " + QString::fromStdString(protocol.name) +
                 ". Choose a row to see where the maps differ.");
  if (on_result) on_result();
}

}  // namespace avocet::gui

// SPDX-License-Identifier: Apache-2.0
#include "app/gui/evaluate_panel.h"

#include <QFormLayout>
#include <QHBoxLayout>
#include <QHeaderView>
#include <QStyle>
#include <QVBoxLayout>
#include <algorithm>
#include <cmath>

#include "app/core/translation_protocols.h"

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
  kind_ = new QComboBox;
  kind_->setObjectName("evaluate_kind");
  kind_->addItems({"Label maps", "Images"});
  kind_->setToolTip("Masks by overlap and distances, or images by PSNR, SSIM and the like");
  prediction_ = new QComboBox;
  reference_ = new QComboBox;
  protocol_ = new QComboBox;
  region_ = new QComboBox;
  prediction_->setObjectName("prediction");
  reference_->setObjectName("reference");
  protocol_->setObjectName("protocol");
  region_->setObjectName("region");
  for (auto* box : {prediction_, reference_, region_}) {
    box->setSizeAdjustPolicy(QComboBox::AdjustToMinimumContentsLengthWithIcon);
    box->setMinimumContentsLength(12);
  }
  protocol_->setToolTip("Which definitions, units and rules for empty masks count");
  region_->setToolTip("Where the images are measured, besides everywhere");
  form->addRow("Compare", kind_);
  form->addRow("Prediction", prediction_);
  form->addRow("Reference", reference_);
  form->addRow("Protocol", protocol_);
  region_title_ = new QLabel("Also in");
  form->addRow(region_title_, region_);
  layout->addLayout(form);
  run_ = new QPushButton("Evaluate");
  run_->setObjectName("evaluate");
  run_->setToolTip("Scores the prediction against the reference  Ctrl+Shift+R");
  auto* buttons = new QHBoxLayout;
  side_by_side_ = new QPushButton("Side by side");
  side_by_side_->setObjectName("side_by_side");
  side_by_side_->setToolTip(
      "The two label maps next to each other, slice by slice; again: back  Y");
  buttons->addWidget(run_, 1);
  buttons->addWidget(side_by_side_);
  layout->addLayout(buttons);
  connect(side_by_side_, &QPushButton::clicked, this, [this] {
    if (on_side_by_side) on_side_by_side();
  });
  source_ = new QLabel;
  source_->setObjectName("scores_source");
  source_->setWordWrap(true);
  source_->hide();
  layout->addWidget(source_);
  table_ = new QTableWidget;
  table_->setObjectName("scores");
  table_->setAccessibleName("Scores");
  table_->setEditTriggers(QAbstractItemView::NoEditTriggers);
  table_->setSelectionBehavior(QAbstractItemView::SelectRows);
  table_->setSelectionMode(QAbstractItemView::SingleSelection);
  table_->verticalHeader()->hide();
  table_->verticalHeader()->setDefaultSectionSize(24);
  table_->setTabKeyNavigation(false);
  table_->setToolTip("Choose a row: the views go to the worst slice and show where the two differ");
  table_->hide();
  layout->addWidget(table_);
  note_ = new QLabel;
  note_->setObjectName("hint");
  note_->setWordWrap(true);
  layout->addWidget(note_);
  connect(kind_, &QComboBox::activated, this, [this] {
    kind_chosen_ = true;
    RefreshKind();
  });
  connect(run_, &QPushButton::clicked, this, [this] { Run(); });
  connect(table_, &QTableWidget::cellClicked, this, [this](int row) { OnRow(row); });
  connect(table_, &QTableWidget::cellActivated, this, [this](int row) { OnRow(row); });
  session_.document.AddObserver([this](unsigned changes) {
    if (changes & kLayersChanged) RefreshLayers();
    if (changes & (kLayersChanged | kVoxelsChanged)) RefreshSource();
  });
  for (QComboBox* box : {kind_, prediction_, reference_, protocol_, region_}) {
    connect(box, &QComboBox::currentIndexChanged, this, [this] { RefreshSource(); });
  }
  session_.on_evaluated = [this] { ShowResult(); };
  RefreshKind();
}

void EvaluatePanel::Run() {
  const int prediction = prediction_->currentData().toInt();
  const int reference = reference_->currentData().toInt();
  const std::string protocol = protocol_->currentText().toStdString();
  if (!run_->isEnabled()) return;
  if (!Images()) {
    session_.Evaluate(prediction, reference, protocol);
    return;
  }
  Session::Region region;
  const int chosen = region_->currentData().toInt();
  region.head = chosen < 0;
  region.labels = std::max(0, chosen);
  session_.EvaluateImages(prediction, reference, protocol, region);
}

std::pair<int, int> EvaluatePanel::TwoMaps() const {
  if (!Images() && prediction_->count() > 1) {
    const int left = prediction_->currentData().toInt();
    const int right = reference_->currentData().toInt();
    if (left != right) return {left, right};
  }
  std::vector<int> maps;
  for (const auto& layer : session_.document.labels()) {
    if (!layer->comparison) maps.push_back(layer->id);
  }
  if (maps.size() < 2) return {0, 0};
  return {maps[0], maps[1]};
}

// The table says of what and by which protocol it was made: the boxes above it may say something
// else by now, and the masks may be others.
void EvaluatePanel::RefreshSource() {
  const auto& evaluation = session_.evaluation();
  const bool any = evaluation && !evaluation->result.set.cases.empty();
  source_->setVisible(any);
  if (!any) return;
  QString text = QString("<b>Protocol %1</b>: %2 against %3")
                     .arg(QString::fromStdString(evaluation->protocol()).toHtmlEscaped(),
                          QString::fromStdString(evaluation->prediction_name).toHtmlEscaped(),
                          QString::fromStdString(evaluation->reference_name).toHtmlEscaped());
  QStringList differences;
  if (session_.IsEvaluationStale()) {
    differences += "a mask was changed or a layer closed since";
  }
  if (evaluation->images != Images()) {
    differences += QString("it compares %1").arg(evaluation->images ? "images" : "label maps");
  } else {
    if (protocol_->currentText().toStdString() != evaluation->protocol()) {
      differences += "the protocol chosen above is " + protocol_->currentText().toHtmlEscaped();
    }
    if (prediction_->currentData().toInt() != evaluation->prediction ||
        reference_->currentData().toInt() != evaluation->reference) {
      differences += "other layers are chosen above";
    }
    const int chosen = region_->currentData().toInt();
    if (Images() && ((chosen < 0) != evaluation->region.head ||
                     std::max(0, chosen) != evaluation->region.labels)) {
      differences += "another region is chosen above";
    }
  }
  const bool stale = !differences.isEmpty();
  if (stale) {
    text += "<br><span style='color:#d8b765'>Out of date: " + differences.join("; ") +
            ". Press Evaluate for new figures.</span>";
  }
  source_->setProperty("stale", stale);
  source_->setText(text);
}

void EvaluatePanel::OnRow(int row) {
  if (row < 0 || row >= table_->rowCount() || !session_.evaluation()) return;
  if (session_.evaluation()->images) {
    const std::string worst = session_.ShowWorstSlice(row);
    note_->setText((worst.empty() ? QString() : QString::fromStdString(worst) + ". ") +
                   "Warm: brighter than the reference. Cool: darker. The layer's slider sets the "
                   "strength.");
    return;
  }
  note_->setText(session_.ShowErrors(labels_[row])
                     ? "Blue: agreement. Orange: too much. Pink: missed. The views show the "
                       "axial slice with the most errors."
                     : "No voxel differs.");
}

void EvaluatePanel::RefreshKind() {
  RefreshProtocols();
  region_title_->setVisible(Images());
  region_->setVisible(Images());
  RefreshLayers();
}

void EvaluatePanel::RefreshProtocols() {
  protocol_->clear();
  if (Images()) {
    for (const std::string& name : core::TranslationProtocolNames()) {
      protocol_->addItem(QString::fromStdString(name));
    }
    return;
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
}

void EvaluatePanel::RefreshLayers() {
  const auto& labels = session_.document.labels();
  const auto& images = session_.document.images();
  const auto maps = std::count_if(labels.begin(), labels.end(),
                                  [](const auto& layer) { return !layer->comparison; });
  // What there are two of, unless the user said what is to be compared.
  const int kind = maps < 2 && images.size() > 1 ? 1 : 0;
  if (!kind_chosen_ && kind != kind_->currentIndex()) {
    kind_->setCurrentIndex(kind);
    return RefreshKind();
  }
  std::vector<std::pair<int, std::string>> choices;
  // A result of this window is the prediction, a file the reference, unless chosen otherwise.
  int result = 0, file = 0;
  const auto offer = [&](const auto& layer) {
    choices.emplace_back(layer->id, layer->name);
    if (layer->unsaved) {
      result = layer->id;
    } else if (file == 0) {
      file = layer->id;
    }
  };
  if (Images()) {
    for (const auto& layer : images) offer(layer);
  } else {
    for (const auto& layer : labels) {
      if (!layer->comparison) offer(layer);
    }
  }
  if (result == 0 && choices.size() > 1) result = choices.back().first;
  const auto fill = [&](QComboBox* box, int preferred) {
    const int before = box->currentData().toInt();
    box->clear();
    for (const auto& [id, name] : choices) box->addItem(QString::fromStdString(name), id);
    int index = box->findData(before);
    if (index < 0) index = box->findData(preferred);
    box->setCurrentIndex(index < 0 ? 0 : index);
  };
  fill(prediction_, result);
  fill(reference_, file);
  if (prediction_->count() > 1 && prediction_->currentData() == reference_->currentData()) {
    prediction_->setCurrentIndex(prediction_->findData(result));
    if (prediction_->currentData() == reference_->currentData()) {
      prediction_->setCurrentIndex(reference_->currentIndex() == 0 ? 1 : 0);
    }
  }
  const int region = region_->currentData().toInt();
  region_->clear();
  region_->addItem("nowhere else", 0);
  region_->addItem("the head", -1);
  for (const auto& layer : labels) {
    region_->addItem(QString::fromStdString(layer->name), layer->id);
  }
  region_->setCurrentIndex(std::max(0, region_->findData(region)));
  run_->setEnabled(prediction_->count() > 1);
  side_by_side_->setEnabled(TwoMaps().first != 0);
  if (prediction_->count() > 1 || table_->isVisible()) {
    if (!table_->isVisible()) note_->clear();
    return;
  }
  note_->setText(Images() ? "Two images on one grid are needed: a result and the reference."
                          : "Two label maps are needed: a result and the reference.");
}

void EvaluatePanel::ShowResult() {
  const auto& evaluation = session_.evaluation();
  if (!evaluation || evaluation->result.set.cases.empty()) return;
  table_->clear();
  labels_.clear();
  evaluation->images ? ShowFigures() : ShowScores();
  FitTable();
  RefreshSource();
  if (on_result) on_result();
}

void EvaluatePanel::ShowFigures() {
  const core::EvaluateResult& result = session_.evaluation()->result;
  const metrics::Protocol& protocol = result.protocols.front();
  const core::EvaluatedCase& scored = result.set.cases.front();
  table_->setColumnCount(static_cast<int>(result.classes.size()) + 1);
  table_->setRowCount(static_cast<int>(protocol.columns.size()));
  table_->setHorizontalHeaderItem(0, new QTableWidgetItem("Figure"));
  for (size_t n = 0; n < result.classes.size(); ++n) {
    table_->setHorizontalHeaderItem(
        static_cast<int>(n) + 1,
        new QTableWidgetItem(n == 0                               ? QString("image")
                             : session_.evaluation()->region.head ? QString("head")
                                                                  : QString("mask")));
  }
  for (size_t c = 0; c < protocol.columns.size(); ++c) {
    const metrics::MetricColumn& column = protocol.columns[c];
    const int row = static_cast<int>(c);
    const QString about =
        QString::fromStdString(column.definition) + " Unit: " + QString::fromStdString(column.unit);
    auto* name = new QTableWidgetItem(QString::fromStdString(column.name));
    name->setToolTip(name->text() + ": " + about);
    table_->setItem(row, 0, name);
    for (size_t n = 0; n < result.classes.size(); ++n) {
      auto* item = new QTableWidgetItem(Text(scored.classes[n].values[0][c]));
      item->setToolTip(about);
      table_->setItem(row, static_cast<int>(n) + 1, item);
    }
  }
  note_->setText("Data range " + QString::number(scored.data_range, 'g', 5) +
                 ". Choose a row to see the worst slice and the difference.");
}

void EvaluatePanel::ShowScores() {
  const auto& evaluation = session_.evaluation();
  const core::EvaluateResult& result = evaluation->result;
  const metrics::Protocol& protocol = result.protocols.front();
  const core::EvaluatedCase& scored = result.set.cases.front();
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
  note_->setText("Choose a row to see where the maps differ.");
}

// As tall as its rows, within reason.
void EvaluatePanel::FitTable() {
  table_->resizeColumnsToContents();
  // The first figures are in sight; the names are whole in the tool tips.
  table_->setColumnWidth(0, std::min(table_->columnWidth(0), 124));
  const int rows = std::clamp(table_->rowCount(), 2, 9);
  table_->setFixedHeight(table_->horizontalHeader()->sizeHint().height() +
                         rows * table_->verticalHeader()->defaultSectionSize() +
                         table_->style()->pixelMetric(QStyle::PM_ScrollBarExtent) + 4);
  table_->show();
}

}  // namespace avocet::gui

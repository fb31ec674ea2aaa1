// SPDX-License-Identifier: Apache-2.0
#include "app/gui/measure_panel.h"

#include <QFileDialog>
#include <QHBoxLayout>
#include <QVBoxLayout>

#include "io/file_util.h"

namespace avocet::gui {

MeasurePanel::MeasurePanel(Session& session, QWidget* parent) : QWidget(parent), session_(session) {
  auto* layout = new QVBoxLayout(this);
  layout->setContentsMargins(0, 0, 0, 6);
  hint_ = new QLabel("Choose the ruler, angle or region tool and drag on a slice.");
  hint_->setObjectName("hint");
  hint_->setWordWrap(true);
  layout->addWidget(hint_);
  list_ = new QListWidget;
  list_->setObjectName("measurements");
  list_->setAccessibleName("Measurements");
  list_->setFixedHeight(92);
  list_->setWordWrap(true);
  layout->addWidget(list_);
  auto* row = new QHBoxLayout;
  remove_ = new QPushButton("Delete");
  remove_->setToolTip("Deletes the chosen measurement; Ctrl+Z brings it back");
  export_ = new QPushButton("Export\u2026");
  export_->setToolTip("Writes all measurements as CSV, in mm");
  row->addWidget(remove_);
  row->addWidget(export_);
  layout->addLayout(row);
  connect(list_, &QListWidget::currentRowChanged, this, [this](int row_number) {
    const auto& all = session_.document.measurements();
    if (row_number < 0 || row_number >= static_cast<int>(all.size())) return;
    const Vec3 there = all[row_number].points.front();
    if (all[row_number].layer != session_.document.fused_image) {
      session_.document.SetActiveImage(all[row_number].layer);
    }
    session_.document.SetCursor(there);
  });
  connect(remove_, &QPushButton::clicked, this, [this] {
    const int row_number = list_->currentRow();
    const auto& all = session_.document.measurements();
    if (row_number >= 0 && row_number < static_cast<int>(all.size())) {
      session_.document.RemoveMeasurement(all[row_number].id);
    }
  });
  connect(export_, &QPushButton::clicked, this, [this] {
    const QString path = QFileDialog::getSaveFileName(this, "Export measurements",
                                                      "measurements.csv", "CSV (*.csv)");
    if (!path.isEmpty()) Export(path.toStdString());
  });
  session_.document.AddObserver([this](unsigned changes) {
    if (changes & (kMeasurementsChanged | kLayersChanged)) Refresh();
  });
  Refresh();
}

void MeasurePanel::Export(const std::filesystem::path& path) {
  try {
    io::WriteFileAtomically(path, MeasurementsCsv(session_.document.measurements()));
  } catch (const Error& error) {
    if (session_.on_message) {
      session_.on_message({Message::Kind::kError, path.filename().string(), {error.what()}});
    }
  }
}

void MeasurePanel::Refresh() {
  const auto& all = session_.document.measurements();
  hint_->setVisible(all.empty());
  list_->setVisible(!all.empty());
  remove_->setEnabled(!all.empty());
  export_->setEnabled(!all.empty());
  QStringList texts;
  for (const Measurement& m : all) {
    texts += QString::fromStdString(m.Name() + "   " + m.Summary());
  }
  bool same = list_->count() == texts.size();
  for (int row = 0; same && row < texts.size(); ++row)
    same = list_->item(row)->text() == texts[row];
  if (same) return;
  const QSignalBlocker blocker(list_);
  list_->clear();
  list_->addItems(texts);
  list_->setCurrentRow(list_->count() - 1);
}

}  // namespace avocet::gui

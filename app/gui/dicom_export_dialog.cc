// SPDX-License-Identifier: Apache-2.0
#include "app/gui/dicom_export_dialog.h"

#include <QDialogButtonBox>
#include <QFileDialog>
#include <QFormLayout>
#include <QHBoxLayout>
#include <QLabel>
#include <QPushButton>
#include <QVBoxLayout>

namespace avocet::gui {

DicomExportDialog::DicomExportDialog(const ImageLayer* image, QWidget* parent) : QDialog(parent) {
  setObjectName("dicom_export");
  setWindowTitle("Export as DICOM");
  auto* layout = new QVBoxLayout(this);
  auto* form = new QFormLayout;
  kind_ = new QComboBox;
  kind_->setObjectName("dicom_kind");
  kind_->addItems({"DICOM SEG (voxels)", "RTSTRUCT (contours)"});
  form->addRow("Kind", kind_);
  auto* row = new QHBoxLayout;
  images_ = new QLineEdit;
  images_->setObjectName("dicom_images");
  images_->setMinimumWidth(320);
  images_->setPlaceholderText("folder of the images that the mask belongs to");
  if (image != nullptr) {
    open_path_ = QString::fromStdString(image->path.string());
    open_series_ = image->series;
    images_->setText(open_path_);
  }
  auto* choose = new QPushButton("Choose\u2026");
  row->addWidget(images_, 1);
  row->addWidget(choose);
  form->addRow("Images", row);
  layout->addLayout(form);
  keep_patient_ = new QCheckBox("Keep the patient's identity");
  keep_patient_->setObjectName("keep_patient");
  keep_patient_->setChecked(false);
  layout->addWidget(keep_patient_);
  auto* about = new QLabel(
      "Copies name, ID, birth date and examination numbers from the images, by which an archive "
      "files the object beside them; without it the object names nobody and only its UIDs tie it "
      "to them.");
  about->setObjectName("hint");
  about->setWordWrap(true);
  layout->addWidget(about);
  auto* buttons = new QDialogButtonBox(QDialogButtonBox::Ok | QDialogButtonBox::Cancel);
  QPushButton* go = buttons->button(QDialogButtonBox::Ok);
  go->setText("Export\u2026");
  go->setEnabled(!images_->text().isEmpty());
  layout->addWidget(buttons);
  connect(choose, &QPushButton::clicked, this, [this] {
    const QString folder =
        QFileDialog::getExistingDirectory(this, "Folder of the images", images_->text());
    if (!folder.isEmpty()) images_->setText(folder);
  });
  connect(images_, &QLineEdit::textChanged, this,
          [go](const QString& text) { go->setEnabled(!text.isEmpty()); });
  connect(buttons, &QDialogButtonBox::accepted, this, &QDialog::accept);
  connect(buttons, &QDialogButtonBox::rejected, this, &QDialog::reject);
}

Session::DicomExport DicomExportDialog::Wanted() const {
  Session::DicomExport wanted;
  wanted.images = images_->text().toStdString();
  if (images_->text() == open_path_) wanted.series = open_series_;
  wanted.rtstruct = kind_->currentIndex() == 1;
  wanted.keep_patient = keep_patient_->isChecked();
  return wanted;
}

}  // namespace avocet::gui

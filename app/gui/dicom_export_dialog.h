// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <QCheckBox>
#include <QComboBox>
#include <QDialog>
#include <QLineEdit>

#include "app/gui/session.h"

namespace avocet::gui {

// Asks what kind of DICOM object a label map shall become, of which images, and whether the
// patient's identity goes into it.
class DicomExportDialog : public QDialog {
 public:
  // `image`: the open image that was read from DICOM, or null.
  explicit DicomExportDialog(const ImageLayer* image, QWidget* parent = nullptr);

  Session::DicomExport Wanted() const;

 private:
  QComboBox* kind_;
  QLineEdit* images_;
  QCheckBox* keep_patient_;
  QString open_path_;  // of the open image; its series is chosen when it is kept
  std::string open_series_;
};

}  // namespace avocet::gui

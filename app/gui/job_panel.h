// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <QCheckBox>
#include <QComboBox>
#include <QLabel>
#include <QListWidget>
#include <QPushButton>
#include <QWidget>

#include "app/gui/session.h"

namespace avocet::gui {

// The models that were found, which of them suit the image, and the button that runs one.
class JobPanel : public QWidget {
 public:
  explicit JobPanel(Session& session, QWidget* parent = nullptr);

  void Run();  // the chosen model on the chosen image

 private:
  void RefreshModels();
  void RefreshState();
  void RefreshList();
  void Prefer();
  const CatalogueModel* Chosen() const;

  Session& session_;
  QListWidget* models_;
  QLabel* about_;
  QComboBox* device_;
  QCheckBox* force_;
  QCheckBox* head_only_;
  QPushButton* run_;
  QPushButton* add_;
  int image_ = 0;     // for which a model was last chosen
  size_t known_ = 0;  // models in the list
  bool choosing_ = false;
  bool picked_ = false;  // by the user, for the image that is open
  int task_ = 0;
};

}  // namespace avocet::gui

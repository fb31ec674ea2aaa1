// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <QComboBox>
#include <QLabel>
#include <QPushButton>
#include <QTableWidget>
#include <QWidget>

#include "app/gui/session.h"

namespace avocet::gui {

// Scores one label map against another, a row a class; a chosen row shows where they differ.
class EvaluatePanel : public QWidget {
 public:
  explicit EvaluatePanel(Session& session, QWidget* parent = nullptr);

  std::function<void()> on_result;  // a new table is there

 private:
  void RefreshLayers();
  void ShowResult();

  Session& session_;
  QComboBox* prediction_;
  QComboBox* reference_;
  QComboBox* protocol_;
  QPushButton* run_;
  QTableWidget* table_;
  QLabel* note_;
  std::vector<int> labels_;  // by row; 0: all
};

}  // namespace avocet::gui

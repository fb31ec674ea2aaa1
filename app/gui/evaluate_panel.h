// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <QComboBox>
#include <QLabel>
#include <QPushButton>
#include <QTableWidget>
#include <QWidget>

#include "app/gui/session.h"

namespace avocet::gui {

// Scores one label map against another, a row a class, or one image against another, a row a
// figure; a chosen row shows where they differ.
class EvaluatePanel : public QWidget {
 public:
  explicit EvaluatePanel(Session& session, QWidget* parent = nullptr);

  void Run();  // the chosen two under the chosen protocol
  // Two label maps to be seen side by side: the chosen ones, else the first two; 0, 0 when there
  // are no two.
  std::pair<int, int> TwoMaps() const;

  std::function<void()> on_result;        // a new table is there
  std::function<void()> on_side_by_side;  // the button

 private:
  bool Images() const { return kind_->currentIndex() == 1; }
  void RefreshKind();
  void RefreshLayers();
  void RefreshProtocols();
  void ShowResult();
  void ShowScores();   // of label maps
  void ShowFigures();  // of images
  void OnRow(int row);
  void RefreshSource();  // what the table is of, and whether that still holds
  void FitTable();

  Session& session_;
  QComboBox* kind_;
  QComboBox* prediction_;
  QComboBox* reference_;
  QComboBox* protocol_;
  QComboBox* region_;
  QLabel* region_title_;
  QPushButton* run_;
  QPushButton* side_by_side_;
  QTableWidget* table_;
  QLabel* source_;
  QLabel* note_;
  std::vector<int> labels_;   // by row; 0: all
  bool kind_chosen_ = false;  // by the user
};

}  // namespace avocet::gui

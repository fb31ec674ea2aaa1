// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <QLabel>
#include <QPushButton>
#include <QTableWidget>
#include <QWidget>

#include "app/gui/session.h"

namespace avocet::gui {

// The labels of the chosen map: shown or not, colour, name, volume. A chosen row is what the brush
// paints; a double click on the colour changes it, on the name renames.
class LabelPanel : public QWidget {
 public:
  explicit LabelPanel(Session& session, QWidget* parent = nullptr);

  void SelectNext();  // the Tab key

 private:
  void Refresh();
  void AskColour(int row);

  Session& session_;
  QTableWidget* table_;
  QLabel* hint_;
  QPushButton* add_;
  QPushButton* colour_;
  std::vector<int> values_;  // by row
  bool updating_ = false;
};

}  // namespace avocet::gui

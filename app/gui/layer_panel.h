// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <QCheckBox>
#include <QComboBox>
#include <QLabel>
#include <QPushButton>
#include <QSlider>
#include <QTreeWidget>
#include <QWidget>

#include "app/gui/session.h"

namespace avocet::gui {

// The list of images and label maps: which is shown, which is worked on, and how the chosen one is
// drawn.
class LayerPanel : public QWidget {
 public:
  explicit LayerPanel(Session& session, QWidget* parent = nullptr);

  int SelectedLayer() const;  // id, 0: none

 private:
  void Refresh();
  void RefreshControls();
  void OnItemChanged(QTreeWidgetItem* item);

  Session& session_;
  QTreeWidget* list_;
  QLabel* origin_;  // how the chosen layer came about
  QWidget* label_controls_;
  QSlider* opacity_;
  QCheckBox* outline_;
  QWidget* image_controls_;
  QComboBox* fused_;
  QComboBox* fusion_;
  QSlider* share_;
  QPushButton* remove_;
  bool updating_ = false;
};

}  // namespace avocet::gui

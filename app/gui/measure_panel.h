// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <QLabel>
#include <QListWidget>
#include <QPushButton>
#include <QWidget>

#include "app/gui/session.h"

namespace avocet::gui {

// The measurements as a list: a chosen one is gone to; they are deleted and exported here.
class MeasurePanel : public QWidget {
 public:
  explicit MeasurePanel(Session& session, QWidget* parent = nullptr);

  // Writes the CSV; errors go to the session's messages.
  void Export(const std::filesystem::path& path);

 private:
  void Refresh();

  Session& session_;
  QListWidget* list_;
  QLabel* hint_;
  QPushButton* remove_;
  QPushButton* export_;
};

}  // namespace avocet::gui

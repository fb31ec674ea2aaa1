// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <QSettings>
#include <QToolButton>
#include <QVBoxLayout>
#include <QWidget>

namespace avocet::gui {

// A titled part of the panel column that folds up.
class Section : public QWidget {
 public:
  Section(const QString& title, QWidget* content, bool open = true)
      : button_(new QToolButton(this)), content_(content) {
    auto* layout = new QVBoxLayout(this);
    layout->setContentsMargins(0, 0, 0, 0);
    layout->setSpacing(2);
    button_->setObjectName("section");
    button_->setText(title);
    button_->setToolButtonStyle(Qt::ToolButtonTextBesideIcon);
    button_->setCheckable(true);
    button_->setSizePolicy(QSizePolicy::Expanding, QSizePolicy::Fixed);
    layout->addWidget(button_);
    layout->addWidget(content_);
    connect(button_, &QToolButton::toggled, this, [this](bool on) { Show(on); });
    // What the user folds stays folded.
    const QString key = "section/" + title;
    const bool wanted = QSettings().value(key, open).toBool();
    connect(button_, &QToolButton::clicked, this,
            [key](bool on) { QSettings().setValue(key, on); });
    button_->setChecked(wanted);
    Show(wanted);
  }
  bool IsOpen() const { return button_->isChecked(); }
  void SetOpen(bool open) { button_->setChecked(open); }

 private:
  void Show(bool open) {
    button_->setArrowType(open ? Qt::DownArrow : Qt::RightArrow);
    content_->setVisible(open);
  }

  QToolButton* button_;
  QWidget* content_;
};

}  // namespace avocet::gui

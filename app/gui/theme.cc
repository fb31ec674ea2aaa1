// SPDX-License-Identifier: Apache-2.0
#include "app/gui/theme.h"

#include <QApplication>
#include <QFont>
#include <QPalette>
#include <QStyleFactory>

// The resource file lies in a static library: its registration must be asked for, outside any
// namespace.
static void RegisterResources() { Q_INIT_RESOURCE(gui); }

namespace avocet::gui {

void ApplyTheme(QApplication& application) {
  RegisterResources();
  application.setStyle(QStyleFactory::create("Fusion"));
  const QColor window(32, 35, 40), base(24, 26, 30), text(222, 226, 231), faint(134, 142, 152);
  const QColor button(45, 49, 56), accent(74, 132, 196);
  QPalette palette;
  palette.setColor(QPalette::Window, window);
  palette.setColor(QPalette::WindowText, text);
  palette.setColor(QPalette::Base, base);
  palette.setColor(QPalette::AlternateBase, window);
  palette.setColor(QPalette::Text, text);
  palette.setColor(QPalette::Button, button);
  palette.setColor(QPalette::ButtonText, text);
  palette.setColor(QPalette::BrightText, Qt::white);
  palette.setColor(QPalette::ToolTipBase, QColor(52, 57, 65));
  palette.setColor(QPalette::ToolTipText, text);
  palette.setColor(QPalette::PlaceholderText, faint);
  palette.setColor(QPalette::Highlight, accent);
  palette.setColor(QPalette::HighlightedText, Qt::white);
  palette.setColor(QPalette::Link, QColor(120, 175, 235));
  for (const auto role : {QPalette::WindowText, QPalette::Text, QPalette::ButtonText}) {
    palette.setColor(QPalette::Disabled, role, QColor(104, 110, 119));
  }
  application.setPalette(palette);
  application.setStyleSheet(R"(
    QToolTip { color: #dee2e7; background: #343941; border: 1px solid #4a515c; padding: 3px; }
    QToolBar { border: 0; border-bottom: 1px solid #15171a; spacing: 2px; padding: 1px 3px; }
    QToolBar QToolButton { padding: 3px; border: 1px solid transparent; border-radius: 4px; }
    QToolBar QToolButton:hover { background: #3a3f48; }
    QToolBar QToolButton:checked { background: #34557c; border-color: #4a84c4; }
    QToolBar QToolButton:focus { border-color: #4a84c4; }
    QToolBar::separator { background: #454b55; width: 1px; margin: 4px 5px; }
    QStatusBar { border-top: 1px solid #15171a; }
    QStatusBar::item { border: 0; }
    QScrollArea { border: 0; }
    QToolButton#section { text-align: left; border: 0; border-top: 1px solid #454b55;
                          padding: 5px 2px; font-weight: bold; color: #b9c0c9; }
    QToolButton#section:hover { color: #ffffff; }
    QToolButton#section:focus { color: #8fc1f5; }
    QLabel#hint { color: #98a1ac; }
    QLabel#research { color: #d8b765; padding-right: 6px; }
    QFrame#banner { background: #5b2a2c; border: 1px solid #a5474b; border-radius: 4px; }
    QFrame#banner[kind="warning"] { background: #54451f; border-color: #a88a3c; }
    QProgressBar { border: 1px solid #454b55; border-radius: 3px; background: #181a1e;
                   text-align: center; }
    QProgressBar::chunk { background: #34669c; }
    QSlider#view_slider::groove:vertical { background: #2d3138; width: 3px; }
  )");
}

QIcon Icon(const QString& name) { return QIcon(":/icons/" + name + ".svg"); }

}  // namespace avocet::gui

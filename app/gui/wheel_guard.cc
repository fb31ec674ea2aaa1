// SPDX-License-Identifier: Apache-2.0
#include "app/gui/wheel_guard.h"

#include <QAbstractSlider>
#include <QAbstractSpinBox>
#include <QComboBox>
#include <QScrollBar>
#include <QTabBar>
#include <QWheelEvent>

namespace avocet::gui {
namespace {

// What the wheel would change.
bool IsControl(const QObject* object) {
  return qobject_cast<const QComboBox*>(object) != nullptr ||
         qobject_cast<const QAbstractSpinBox*>(object) != nullptr ||
         qobject_cast<const QTabBar*>(object) != nullptr ||
         (qobject_cast<const QAbstractSlider*>(object) != nullptr &&
          qobject_cast<const QScrollBar*>(object) == nullptr);
}

}  // namespace

bool WheelGuard::eventFilter(QObject* object, QEvent* event) {
  // Each widget gets a Polish event before it is first shown.
  if (event->type() == QEvent::Polish && IsControl(object)) {
    auto* control = static_cast<QWidget*>(object);
    if (control->focusPolicy() == Qt::WheelFocus) control->setFocusPolicy(Qt::StrongFocus);
  }
  // A click or a key shows that what lies under the pointer is meant.
  if (event->type() == QEvent::MouseButtonPress || event->type() == QEvent::KeyPress) {
    scrolling_ = false;
  }
  if (event->type() != QEvent::Wheel || !object->isWidgetType()) return false;
  const QPointF at = static_cast<QWheelEvent*>(event)->globalPosition();
  if (!IsControl(object)) {
    scrolling_ = true;
    scrolled_at_ = at;
    return false;
  }
  const bool passing = scrolling_ && at == scrolled_at_;
  if (static_cast<QWidget*>(object)->hasFocus() && !passing) {
    scrolling_ = false;
    return false;
  }
  event->ignore();  // it goes to what the control lies in
  return true;
}

}  // namespace avocet::gui

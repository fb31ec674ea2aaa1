// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <QObject>
#include <QPointF>

namespace avocet::gui {

// Keeps the mouse wheel from changing controls that it only passes over. Installed on the
// application, so that panels, tool bar and dialogs are covered: combo boxes, number fields,
// sliders and tabs take the wheel only when they have the keyboard focus, and the wheel alone does
// not give it to them. Otherwise what they lie in scrolls. A control that is scrolled under a
// pointer which rests takes nothing, even with the focus. Scroll bars and open lists scroll as
// ever.
class WheelGuard : public QObject {
 public:
  using QObject::QObject;

 protected:
  bool eventFilter(QObject* object, QEvent* event) override;

 private:
  bool scrolling_ = false;  // the last wheel event went past the controls...
  QPointF scrolled_at_;     // ...with the pointer here, in screen coordinates
};

}  // namespace avocet::gui

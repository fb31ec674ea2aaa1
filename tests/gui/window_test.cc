// SPDX-License-Identifier: Apache-2.0
// The window as a person uses it: real mouse and key events, under Xvfb.
#include <QMouseEvent>
#include <QWheelEvent>

#include "tests/gui/window_fixture.h"

namespace avocet::gui {
namespace {

using test::ShippedData;

class Window : public test::WindowTest {
 protected:
  void OpenSample() {
    Open({ShippedData("hippocampus/images/hippocampus_007.nii.gz"),
          ShippedData("hippocampus/labels/hippocampus_007.nii.gz")});
    ASSERT_EQ(Doc().images().size(), 1u);
    ASSERT_EQ(Doc().labels().size(), 1u);
  }
  static void Wheel(QWidget& widget, int notches) {
    const QPointF at(widget.width() / 2.0, widget.height() / 2.0);
    QWheelEvent event(at, widget.mapToGlobal(at), QPoint(), QPoint(0, 120 * notches), Qt::NoButton,
                      Qt::NoModifier, Qt::NoScrollPhase, false);
    QApplication::sendEvent(&widget, &event);
  }
};

TEST_F(Window, EmptyStateSaysWhatToDo) {
  QTest::qWait(50);
  Shot("empty");
  EXPECT_FALSE(window_->views().isVisible());
}

TEST_F(Window, OpensAndShowsTheSample) {
  OpenSample();
  EXPECT_TRUE(WaitFor([&] {
    return window_->views().volume().surface_count() == 2 && window_->views().volume().drawn();
  })) << window_->views().volume().error();
  QTest::qWait(600);
  Shot("sample");
  EXPECT_EQ(window_->BannerText(), "");
}

}  // namespace
}  // namespace avocet::gui

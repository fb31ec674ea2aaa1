// SPDX-License-Identifier: Apache-2.0
// The window as a person uses it: real mouse and key events, under Xvfb.
#include <QComboBox>
#include <QDropEvent>
#include <QMessageBox>
#include <QMimeData>
#include <QMouseEvent>
#include <QToolButton>
#include <QWheelEvent>
#include <cmath>
#include <set>

#include "io/volume_io.h"
#include "tests/gui/phantom.h"
#include "tests/gui/window_fixture.h"

namespace avocet::gui {
namespace {

using test::AllAxisOrders;
using test::Phantom;
using test::ShippedData;
using test::Stored;

constexpr auto kAxial = Orientation::kAxial;

std::unique_ptr<ImageLayer> ImageOf(io::Volume volume, const std::string& name = "phantom") {
  auto layer = std::make_unique<ImageLayer>();
  layer->name = name;
  layer->statistics = Measure(volume);
  layer->window = Window::Between(0, 1020);
  layer->volume = std::make_shared<const io::Volume>(std::move(volume));
  return layer;
}

class WindowHands : public test::WindowTest {
 protected:
  void OpenSample() {
    Open({ShippedData("hippocampus/images/hippocampus_007.nii.gz"),
          ShippedData("hippocampus/labels/hippocampus_007.nii.gz")});
    ASSERT_EQ(Doc().images().size(), 1u);
    ASSERT_EQ(Doc().labels().size(), 1u);
  }
  static void Wheel(QWidget& widget, int notches, Qt::KeyboardModifiers modifiers = {}) {
    const QPointF at(widget.width() * 0.6, widget.height() * 0.4);
    QWheelEvent event(at, widget.mapToGlobal(at), QPoint(), QPoint(0, 120 * notches), Qt::NoButton,
                      modifiers, Qt::NoScrollPhase, false);
    QApplication::sendEvent(&widget, &event);
  }
  static void Drag(QWidget& widget, QPoint from, QPoint to, Qt::MouseButton button = Qt::LeftButton,
                   Qt::KeyboardModifiers modifiers = {}) {
    QTest::mousePress(&widget, button, modifiers, from);
    for (int step = 1; step <= 4; ++step) {
      QTest::mouseMove(&widget, from + (to - from) * step / 4);
    }
    QTest::mouseRelease(&widget, button, modifiers, to);
  }
};

TEST_F(WindowHands, EmptyStateSaysWhatToDo) {
  QTest::qWait(50);
  Shot("empty");
  EXPECT_FALSE(window_->views().isVisible());
  EXPECT_TRUE(window_->findChild<QWidget*>("research") != nullptr);
  // A sample can be opened without a file dialog.
  for (auto* button : window_->findChildren<QPushButton*>()) {
    if (button->text() != "hippocampus_105") continue;
    QTest::mouseClick(button, Qt::LeftButton);
  }
  ASSERT_TRUE(Idle());
  EXPECT_EQ(Doc().images().size(), 1u);
  EXPECT_EQ(Doc().labels().size(), 1u);
  EXPECT_TRUE(window_->views().isVisible());
}

TEST_F(WindowHands, ScrollsWithWheelAndKeys) {
  OpenSample();
  SliceView& view = View(kAxial);
  const int64_t start = Doc().Slice(kAxial);
  const double height = Doc().cursor()[2];
  Wheel(view, 1);
  EXPECT_NEAR(Doc().cursor()[2] - height, 1.0, 1e-9) << "forward is towards superior";
  QTest::keyClick(&view, Qt::Key_Down);
  EXPECT_EQ(Doc().Slice(kAxial), start);
  QTest::keyClick(&view, Qt::Key_PageUp);
  EXPECT_EQ(Doc().Slice(kAxial), start + 10);
  QTest::keyClick(&view, Qt::Key_Home);
  EXPECT_EQ(Doc().Slice(kAxial), Doc().grid()->size[2] - 1);
  QTest::keyClick(&view, Qt::Key_End);
  EXPECT_EQ(Doc().Slice(kAxial), 0);
  // One voxel to the right of the screen is one towards the patient's left.
  const double left = Doc().cursor()[0];
  QTest::keyClick(&view, Qt::Key_Right);
  EXPECT_NEAR(Doc().cursor()[0] - left, 1.0, 1e-9);
}

TEST_F(WindowHands, ClickMovesTheLinkedCrosshair) {
  OpenSample();
  SliceView& view = View(kAxial);
  const QPoint at(view.width() * 6 / 10, view.height() * 4 / 10);
  const Vec3 wanted = view.LpsFromPixel(at);
  QTest::mouseClick(&view, Qt::LeftButton, {}, at);
  const auto index = Doc().grid()->IndexFromPhysical(wanted);
  const auto cursor = Doc().grid()->IndexFromPhysical(Doc().cursor());
  for (int a = 0; a < 3; ++a) EXPECT_NEAR(cursor[a], std::floor(index[a] + 0.5), 1e-6);
  // The other views went along.
  EXPECT_EQ(View(Orientation::kSagittal).Frame().centre[0], Doc().cursor()[0]);
  const QPointF back = view.PixelFromLps(Doc().cursor());
  const double voxel = 1 / session_->view.Scale(1);
  EXPECT_LT(std::abs(back.x() - at.x()), voxel / 2 + 1);
  EXPECT_LT(std::abs(back.y() - at.y()), voxel / 2 + 1);
}

TEST_F(WindowHands, ZoomPanAndWindowByDragging) {
  OpenSample();
  SliceView& view = View(kAxial);
  const double fit = session_->view.Scale(1);
  const QPoint fixed(view.width() * 6 / 10, view.height() * 4 / 10);
  const Vec3 under = view.LpsFromPixel(fixed);
  Drag(view, fixed, fixed - QPoint(0, 60), Qt::RightButton);
  EXPECT_LT(session_->view.Scale(1), fit * 0.8);
  EXPECT_LT(Norm(Subtract(view.LpsFromPixel(fixed), under)), 1e-6) << "zoom about the pointer";
  const Vec3 before = view.LpsFromPixel(fixed);
  Drag(view, fixed, fixed + QPoint(40, 20), Qt::MiddleButton);
  EXPECT_LT(Norm(Subtract(view.LpsFromPixel(fixed + QPoint(40, 20)), before)), 1e-6);
  // One scale for all views.
  EXPECT_EQ(view.Frame().mm_per_pixel, View(Orientation::kCoronal).Frame().mm_per_pixel);
  QTest::keyClick(window_.get(), Qt::Key_F);
  EXPECT_EQ(session_->view.Scale(1), fit);

  const gui::Window window = Doc().ActiveImage()->window;
  Drag(view, fixed, fixed + QPoint(50, 0), Qt::LeftButton, Qt::AltModifier);
  EXPECT_GT(Doc().ActiveImage()->window.width, window.width * 1.1);
  EXPECT_DOUBLE_EQ(Doc().ActiveImage()->window.level, window.level);
  Drag(view, fixed, fixed + QPoint(0, 50), Qt::LeftButton, Qt::AltModifier);
  EXPECT_LT(Doc().ActiveImage()->window.level, window.level);
  QTest::keyClick(window_.get(), Qt::Key_R);
  EXPECT_DOUBLE_EQ(Doc().ActiveImage()->window.width, window.width);
}

TEST_F(WindowHands, KeysChangeTheViews) {
  OpenSample();
  View(kAxial).setFocus();
  QTest::keyClick(&View(kAxial), Qt::Key_2);
  EXPECT_TRUE(View(Orientation::kCoronal).isVisible());
  EXPECT_FALSE(View(kAxial).isVisible());
  QTest::keyClick(window_.get(), Qt::Key_0);
  EXPECT_TRUE(View(kAxial).isVisible());
  QTest::mouseDClick(&View(kAxial), Qt::LeftButton, {}, QPoint(100, 100));
  EXPECT_FALSE(View(Orientation::kCoronal).isVisible());
  QTest::mouseDClick(&View(kAxial), Qt::LeftButton, {}, QPoint(100, 100));
  EXPECT_TRUE(View(Orientation::kCoronal).isVisible());
  QTest::keyClick(window_.get(), Qt::Key_X);
  EXPECT_FALSE(session_->view.crosshair);
  View(kAxial).setFocus();
  QTest::keyClick(&View(kAxial), Qt::Key_Space);
  EXPECT_FALSE(Doc().overlays);
  QTest::keyClick(&View(kAxial), Qt::Key_Space);
  EXPECT_TRUE(Doc().overlays);
  QTest::keyClick(window_.get(), Qt::Key_O);
  EXPECT_TRUE(Doc().ActiveLabels()->outline);
  QTest::keyClick(window_.get(), Qt::Key_BracketLeft);
  EXPECT_NEAR(Doc().ActiveLabels()->opacity, 0.4, 1e-9);
  // Space presses a button that has the focus, it does not hide the labels.
  auto* run = window_->findChild<QPushButton*>("run_model");
  run->setEnabled(true);
  run->setFocus();
  QTest::keyClick(run, Qt::Key_Space);
  EXPECT_TRUE(Doc().overlays);
  session_->tasks.CancelAll();
  EXPECT_TRUE(Idle());
  // Tab: the next label for the brush.
  View(kAxial).setFocus();
  std::set<int> chosen;
  for (int press = 0; press < 2; ++press) {
    QTest::keyClick(&View(kAxial), Qt::Key_Tab);
    chosen.insert(session_->view.brush_label);
  }
  EXPECT_EQ(chosen, (std::set<int>{1, 2}));
}

// All 48 ways to store the phantom look the same to the pixel, letters included, and as in the
// picture kept with the test.
TEST_F(WindowHands, FlipTestInAll48Orders) {
  const io::Volume upright = Phantom::Make();
  const Vec3 left = upright.geometry.PhysicalFromIndex(Phantom::Middle(Phantom::kLeftBox));
  std::array<QImage, 3> first;
  int64_t worst = 0;
  for (const auto& order : AllAxisOrders()) {
    while (!Doc().images().empty()) Doc().Remove(Doc().images().front()->id);
    Doc().AddImage(ImageOf(Stored(upright, order)));
    Doc().SetCursor(left);
    session_->view.crosshair = false;
    window_->views().Fit();
    for (const Orientation orientation : kOrientations) {
      SliceView& view = View(orientation);
      QImage shot = view.grab().toImage().convertToFormat(QImage::Format_RGB32);
      // The left mark itself, found by its brightness on the right half of an axial slice.
      if (orientation == kAxial) {
        double x = 0;
        int64_t count = 0;
        for (int row = 40; row < shot.height() - 40; ++row) {
          for (int column = 40; column < shot.width() - 60; ++column) {
            if (qGreen(shot.pixel(column, row)) < 200) continue;
            x += column;
            ++count;
          }
        }
        ASSERT_GT(count, 100);
        EXPECT_NEAR(x / static_cast<double>(count), view.PixelFromLps(left).x(), 1.0);
        EXPECT_GT(x / static_cast<double>(count), view.width() / 2.0);
      }
      // The number of the slice counts along the file's own axis; the slider with it.
      QPainter painter(&shot);
      painter.fillRect(0, 20, shot.width() / 2, 20, Qt::black);
      painter.fillRect(0, shot.height() - 24, shot.width() / 3, 24, Qt::black);
      painter.fillRect(shot.width() - 16, 0, 16, shot.height(), Qt::black);
      painter.end();
      QImage& reference = first[static_cast<int>(orientation)];
      if (reference.isNull()) {
        reference = shot;
        continue;
      }
      int64_t different = 0;
      for (int row = 0; row < shot.height(); ++row) {
        for (int column = 0; column < shot.width(); ++column) {
          const QRgb a = shot.pixel(column, row), b = reference.pixel(column, row);
          different += std::abs(qGreen(a) - qGreen(b)) > 3;
        }
      }
      worst = std::max(worst, different);
    }
  }
  std::printf("largest number of pixels that differ between two orders: %lld\n",
              static_cast<long long>(worst));
  EXPECT_LE(worst, 20);
  for (const Orientation orientation : kOrientations) {
    const QImage& shot = first[static_cast<int>(orientation)];
    EXPECT_TRUE(LooksLike(shot, std::string("flip_") + NameOf(orientation)));
  }
  // The switch turns the sides, and the letters with them.
  QTest::mouseClick(window_->findChild<QPushButton*>("convention"), Qt::LeftButton);
  EXPECT_LT(View(kAxial).PixelFromLps(left).x(), View(kAxial).width() / 2.0);
  EXPECT_EQ(Doc().Plane(kAxial).Letters()[0], "L");
  EXPECT_EQ(window_->findChild<QPushButton*>("convention")->text(), "L | R  neurological");
}

TEST_F(WindowHands, MeasuresWithTheMouse) {
  Doc().AddImage(ImageOf(Phantom::Make()));
  SliceView& view = View(kAxial);
  QTest::keyClick(window_.get(), Qt::Key_M);
  const QPoint a(view.width() / 3, view.height() / 2), b(view.width() * 2 / 3, view.height() / 2);
  Drag(view, a, b);
  ASSERT_EQ(Doc().measurements().size(), 1u);
  EXPECT_NEAR(Doc().measurements()[0].value, (b.x() - a.x()) * session_->view.Scale(1), 1e-6);
  EXPECT_EQ(Doc().measurements()[0].unit, "mm");
  QTest::keyClick(window_.get(), Qt::Key_G);
  Drag(view, a, b);
  QTest::mouseMove(&view, b - QPoint(0, 60));
  QTest::mouseClick(&view, Qt::LeftButton, {}, b - QPoint(0, 60));
  ASSERT_EQ(Doc().measurements().size(), 2u);
  EXPECT_NEAR(Doc().measurements()[1].value, 90, 0.01);
  QTest::keyClick(window_.get(), Qt::Key_E);
  const QPointF middle = view.PixelFromLps(
      Phantom::Make().geometry.PhysicalFromIndex(Phantom::Middle(Phantom::kLeftBox)));
  Doc().SetCursor(Phantom::Make().geometry.PhysicalFromIndex(Phantom::Middle(Phantom::kLeftBox)));
  const double mm = 1 / session_->view.Scale(1);
  const QPoint half(static_cast<int>(2 * mm), static_cast<int>(2 * mm));
  Drag(view, middle.toPoint() - half, middle.toPoint() + half);
  ASSERT_EQ(Doc().measurements().size(), 3u);
  EXPECT_EQ(Doc().measurements()[2].value, 1000);
  QTest::qWait(30);
  Shot("measure");
  QTest::keyClick(window_.get(), Qt::Key_Z, Qt::ControlModifier);
  EXPECT_EQ(Doc().measurements().size(), 2u);
  QTest::keyClick(window_.get(), Qt::Key_Z, Qt::ControlModifier | Qt::ShiftModifier);
  EXPECT_EQ(Doc().measurements().size(), 3u);
}

TEST_F(WindowHands, PaintsErasesAndTakesBack) {
  OpenSample();
  SliceView& view = View(kAxial);
  const LabelLayer& layer = *Doc().ActiveLabels();
  const std::vector<uint16_t> before = *layer.labels;
  QTest::keyClick(window_.get(), Qt::Key_B);
  const QPointF at = view.PixelFromLps(Doc().cursor());
  const QPoint from = (at - QPointF(70, 60)).toPoint();
  Drag(view, from, from + QPoint(60, 0));
  int64_t painted = 0;
  const auto& size = layer.geometry().size;
  const int64_t slice = Doc().Slice(kAxial);
  for (size_t i = 0; i < before.size(); ++i) {
    if (before[i] == (*layer.labels)[i]) continue;
    ++painted;
    EXPECT_EQ(static_cast<int64_t>(i) / (size[0] * size[1]), slice) << "only on the shown slice";
  }
  EXPECT_GT(painted, 20);
  EXPECT_TRUE(layer.unsaved);
  EXPECT_TRUE(window_->windowTitle().startsWith("*"));
  QTest::keyClick(window_.get(), Qt::Key_Z, Qt::ControlModifier);
  EXPECT_EQ(*layer.labels, before);
  QTest::keyClick(window_.get(), Qt::Key_D);
  Drag(view, at.toPoint(), at.toPoint() + QPoint(20, 0));
  EXPECT_NE(*layer.labels, before);
}

// Ruler, angle, region, brush and eraser without a mouse: the crosshair goes by keys, Enter places.
TEST_F(WindowHands, MeasuresAndPaintsByKeys) {
  Doc().AddImage(ImageOf(Phantom::Make()));
  SliceView& view = View(kAxial);
  view.setFocus();
  const Vec3 start = Doc().cursor();
  const auto key = [&](Qt::Key k, Qt::KeyboardModifiers modifiers = {}, int times = 1) {
    for (int n = 0; n < times; ++n) QTest::keyClick(&view, k, modifiers);
  };
  // Down the screen is towards posterior in an axial slice; control goes ten voxels.
  key(Qt::Key_Down, Qt::ShiftModifier);
  EXPECT_NEAR(Doc().cursor()[1] - start[1], 1.0, 1e-9);
  key(Qt::Key_Up, Qt::ShiftModifier | Qt::ControlModifier);
  EXPECT_NEAR(Doc().cursor()[1] - start[1], -9.0, 1e-9);
  EXPECT_EQ(Doc().cursor()[2], start[2]) << "in the slice";
  Doc().SetCursor(start);

  QTest::keyClick(window_.get(), Qt::Key_M);
  view.setFocus();
  key(Qt::Key_Return);
  EXPECT_TRUE(Doc().measurements().empty());
  key(Qt::Key_Right, {}, 5);
  key(Qt::Key_Return);
  ASSERT_EQ(Doc().measurements().size(), 1u);
  EXPECT_NEAR(Doc().measurements()[0].value, 5 * 1.2, 1e-9);
  // The way of an angle: one leg, the vertex, the other leg.
  QTest::keyClick(window_.get(), Qt::Key_G);
  view.setFocus();
  key(Qt::Key_Return);
  key(Qt::Key_Left, {}, 5);
  key(Qt::Key_Return);
  key(Qt::Key_Up, Qt::ShiftModifier, 4);
  key(Qt::Key_Return);
  ASSERT_EQ(Doc().measurements().size(), 2u);
  EXPECT_NEAR(Doc().measurements()[1].value, 90, 1e-6);
  // A region inside the left mark.
  QTest::keyClick(window_.get(), Qt::Key_E);
  view.setFocus();
  Doc().SetCursor(Phantom::Make().geometry.PhysicalFromIndex(Phantom::Middle(Phantom::kLeftBox)));
  key(Qt::Key_Return);
  key(Qt::Key_Right, {}, 2);
  key(Qt::Key_Down, Qt::ShiftModifier, 2);
  QTest::qWait(30);
  Shot("measure_by_keys");
  key(Qt::Key_Return);
  ASSERT_EQ(Doc().measurements().size(), 3u);
  EXPECT_EQ(Doc().measurements()[2].value, 1000);
  // Escape gives up what was begun.
  key(Qt::Key_Return);
  key(Qt::Key_Right, {}, 3);
  key(Qt::Key_Escape);
  key(Qt::Key_Return);
  EXPECT_EQ(Doc().measurements().size(), 3u);
  key(Qt::Key_Escape);

  QTest::keyClick(window_.get(), Qt::Key_B);  // makes a label map
  view.setFocus();
  ASSERT_EQ(Doc().labels().size(), 1u);
  key(Qt::Key_Return);
  const LabelLayer& layer = *Doc().ActiveLabels();
  EXPECT_EQ(layer.ValueAt(Doc().cursor()), 1);
  const int64_t painted = layer.table.at(1).voxels;
  EXPECT_GT(painted, 5) << "4 mm of brush";
  QTest::keyClick(window_.get(), Qt::Key_D);
  view.setFocus();
  key(Qt::Key_Return);
  EXPECT_EQ(layer.ValueAt(Doc().cursor()), 0);
  QTest::keyClick(window_.get(), Qt::Key_Z, Qt::ControlModifier);
  EXPECT_EQ(layer.table.at(1).voxels, painted);
  // Zoom about the crosshair and bringing it to the middle.
  const double scale = session_->view.Scale(1);
  const QPointF before = view.PixelFromLps(Doc().cursor());
  QTest::keyClick(window_.get(), Qt::Key_Equal, Qt::ControlModifier);
  EXPECT_LT(session_->view.Scale(1), scale);
  const QPointF after = view.PixelFromLps(Doc().cursor());
  EXPECT_NEAR(after.x(), before.x(), 1e-6);
  QTest::keyClick(window_.get(), Qt::Key_F, Qt::ShiftModifier);
  EXPECT_NEAR(view.PixelFromLps(Doc().cursor()).x(), view.width() / 2.0, 1.0);
}

// Left one map, right the other, one crosshair, one place, one scale.
TEST_F(WindowHands, TwoLabelMapsSideBySide) {
  OpenSample();
  auto second = std::make_unique<LabelLayer>(*Doc().ActiveLabels());
  second->OwnLabels();
  second->name = "second";
  for (uint16_t& value : *second->labels) value = value == 1 ? 2 : 0;
  // As the evaluation proposes them: the later one, a result, left; the reference right.
  const int right = Doc().ActiveLabels()->id;
  const int left = Doc().AddLabels(std::move(second));
  QTest::keyClick(window_.get(), Qt::Key_Y);
  ASSERT_TRUE(window_->views().comparing());
  SliceView& one = View(kAxial);
  SliceView& two = window_->views().partner(kAxial);
  ASSERT_TRUE(one.isVisible());
  ASSERT_TRUE(two.isVisible());
  EXPECT_FALSE(View(Orientation::kCoronal).isVisible());
  EXPECT_NEAR(one.width(), two.width(), 2);
  // A voxel of label 1: the left map calls it 2, so each view tells its own.
  const LabelLayer& map = *Doc().Labels(right);
  size_t at = 0;
  while ((*map.labels)[at] != 1) ++at;
  const auto& size = map.geometry().size;
  const Vec3 there = map.geometry().PhysicalFromIndex(
      {static_cast<double>(at % size[0]), static_cast<double>(at / size[0] % size[1]),
       static_cast<double>(at / (size[0] * size[1]))});
  Doc().SetCursor(there);
  EXPECT_NE(two.Describe(there).find("(1)"), std::string::npos) << two.Describe(there);
  EXPECT_EQ(two.Describe(there).find("(2)"), std::string::npos);
  EXPECT_EQ(one.Describe(there).find("(1)"), std::string::npos) << one.Describe(there);
  EXPECT_NE(one.Describe(there).find("(2)"), std::string::npos);
  for (LabelLayer* layer : {Doc().Labels(left), Doc().Labels(right)}) layer->opacity = 1;
  Doc().Notify(kDisplayChanged);
  QTest::qWait(50);
  Shot("side_by_side");
  const auto pixel = [&](SliceView& view) {
    const QImage image = view.grab().toImage();
    return image.pixel((view.PixelFromLps(there) + QPointF(2, 2)).toPoint());
  };
  EXPECT_NE(pixel(one), pixel(two));
  // Panned and zoomed as one; the crosshair of one is that of the other.
  Drag(two, QPoint(80, 80), QPoint(110, 95), Qt::MiddleButton);
  EXPECT_EQ(one.Frame().centre, two.Frame().centre);
  Drag(one, QPoint(80, 80), QPoint(80, 60), Qt::RightButton);
  EXPECT_EQ(one.Frame().centre, two.Frame().centre);
  EXPECT_EQ(one.Frame().mm_per_pixel, two.Frame().mm_per_pixel);
  QTest::keyClick(window_.get(), Qt::Key_F);
  // Painting on the right changes the map on the right.
  const auto kept = *Doc().Labels(left)->labels;
  QTest::keyClick(window_.get(), Qt::Key_B);
  QTest::mouseClick(&two, Qt::LeftButton, {}, QPoint(two.width() / 2, two.height() / 2));
  EXPECT_EQ(*Doc().Labels(left)->labels, kept);
  EXPECT_TRUE(Doc().Labels(right)->unsaved);
  EXPECT_FALSE(Doc().Labels(left)->unsaved);
  QTest::keyClick(window_.get(), Qt::Key_C);
  // Another orientation, and back.
  QTest::keyClick(window_.get(), Qt::Key_3);
  EXPECT_TRUE(window_->views().partner(Orientation::kSagittal).isVisible());
  EXPECT_FALSE(two.isVisible());
  QTest::keyClick(window_.get(), Qt::Key_Y);
  EXPECT_FALSE(window_->views().comparing());
  EXPECT_TRUE(View(Orientation::kCoronal).isVisible());
  EXPECT_EQ(window_->findChild<QComboBox*>("layout")->currentText(), "Four views");
  // Closing one of the two ends it.
  QTest::keyClick(window_.get(), Qt::Key_Y);
  Doc().Discard(right);
  EXPECT_FALSE(window_->views().comparing());
}

TEST_F(WindowHands, ShowsLabelsInThreeDimensions) {
  OpenSample();
  VolumeView& three = window_->views().volume();
  ASSERT_TRUE(WaitFor([&] { return three.surface_count() == 2 && three.drawn(); }))
      << three.error();
  QTest::qWait(700);
  Shot("sample");
  const auto coloured = [&] {
    const QImage image = three.grab().toImage();
    int64_t count = 0;
    for (int y = 0; y < image.height(); ++y) {
      for (int x = 0; x < image.width(); ++x) {
        const QRgb p = image.pixel(x, y);
        count += std::abs(qRed(p) - qGreen(p)) > 40;
      }
    }
    return count;
  };
  EXPECT_GT(coloured(), 2000);
  Doc().ActiveLabels()->visible = false;
  Doc().Notify(kDisplayChanged);
  EXPECT_TRUE(WaitFor([&] { return coloured() < 200; }, 5));
}

// A label on the patient's left lies on the right of a picture from the front, and the cloud of a
// mirrored grid lies where that of an upright one does.
TEST_F(WindowHands, ThreeDimensionsKnowLeftFromRight) {
  VolumeView& three = window_->views().volume();
  std::array<double, 2> middle{};
  int which = 0;
  for (const int order : {0, 1}) {  // 1: the i axis runs the other way
    while (!Doc().images().empty()) Doc().Remove(Doc().images().front()->id);
    auto layer = ImageOf(Stored(Phantom::Make(), AllAxisOrders()[order]));
    layer->window = Window::Between(0, 1000);
    Doc().AddImage(std::move(layer));
    three.SetPreset(VolumePreset::kBright);
    double x = 0;
    int64_t count = 0, last = -1;
    // Coarse pictures come first; the fine one stays.
    EXPECT_TRUE(WaitFor([&] {
      QTest::qWait(400);
      last = count;
      x = 0;
      count = 0;
      const QImage image = three.grab().toImage();
      for (int row = 30; row < image.height() - 30; ++row) {
        for (int column = 50; column < image.width() - 50; ++column) {
          if (qGreen(image.pixel(column, row)) < 90) continue;
          x += column;
          ++count;
        }
      }
      return count > 20 && count == last;
    }));
    Shot("cloud_" + std::to_string(order));
    ASSERT_GT(count, 20) << three.error();
    middle[which++] = x / static_cast<double>(count);
  }
  EXPECT_GT(middle[0], three.width() / 2.0 + 10);
  EXPECT_NEAR(middle[0], middle[1], 4);
}

TEST_F(WindowHands, DroppedFilesAreOpened) {
  QMimeData data;
  data.setUrls({QUrl::fromLocalFile(
      QString::fromStdString(ShippedData("hippocampus/images/hippocampus_180.nii.gz").string()))});
  QDragEnterEvent enter(QPoint(600, 400), Qt::CopyAction, &data, Qt::LeftButton, Qt::NoModifier);
  QApplication::sendEvent(window_.get(), &enter);
  EXPECT_TRUE(enter.isAccepted());
  QDropEvent event(QPointF(600, 400), Qt::CopyAction, &data, Qt::LeftButton, Qt::NoModifier);
  QApplication::sendEvent(window_.get(), &event);
  ASSERT_TRUE(Idle());
  ASSERT_EQ(Doc().images().size(), 1u);
  EXPECT_EQ(Doc().images().front()->name, "hippocampus_180.nii.gz");
  EXPECT_EQ(QSettings().value("recent").toStringList().size(), 1);
}

// Limits of the histogram by the mouse, a preset by the keyboard.
TEST_F(WindowHands, ContrastPanelSetsTheWindow) {
  OpenSample();
  auto* histogram = window_->findChild<QWidget*>("histogram");
  const gui::Window before = Doc().ActiveImage()->window;
  const ValueStatistics& values = Doc().ActiveImage()->statistics;
  const double x = 4 + (before.High() - values.minimum) / (values.maximum - values.minimum) *
                           (histogram->width() - 8);
  const QPoint from(static_cast<int>(x), 40), to(static_cast<int>(x) + 30, 40);
  QTest::mousePress(histogram, Qt::LeftButton, {}, from);
  QMouseEvent move(QEvent::MouseMove, to, histogram->mapToGlobal(to), Qt::NoButton, Qt::LeftButton,
                   Qt::NoModifier);
  QApplication::sendEvent(histogram, &move);
  QTest::mouseRelease(histogram, Qt::LeftButton, {}, to);
  EXPECT_NEAR(Doc().ActiveImage()->window.Low(), before.Low(), 1e-6);
  EXPECT_GT(Doc().ActiveImage()->window.High(), before.High());
  auto* preset = window_->findChild<QComboBox*>("preset");
  preset->setFocus();
  QTest::keyClick(preset, Qt::Key_Home);
  EXPECT_NEAR(Doc().ActiveImage()->window.width, before.width, 1e-9) << "automatic";
  for (int i = 0; i < 7; ++i) QTest::keyClick(preset, Qt::Key_Down);
  EXPECT_TRUE(preset->currentText().startsWith("CT brain"));
  EXPECT_EQ(Doc().ActiveImage()->window.width, 80);
  EXPECT_EQ(Doc().ActiveImage()->window.level, 40);
}

TEST_F(WindowHands, AnUnreadableFileIsAPlainSentence) {
  const auto path = test::TemporaryFolder() / "broken.nii.gz";
  io::WriteVolume(Phantom::Make(), path);
  std::filesystem::resize_file(path, 300);
  Open({path});
  EXPECT_TRUE(window_->BannerText().contains("broken.nii.gz"))
      << window_->BannerText().toStdString();
  EXPECT_TRUE(Doc().images().empty());
}

TEST_F(WindowHands, ClosingAsksForUnsavedWork) {
  OpenSample();
  Doc().BeginStroke(Doc().ActiveLabels()->id);
  Doc().PaintVoxels({0}, 1);
  Doc().EndStroke();
  QString asked;
  QTimer::singleShot(100, window_.get(), [&] {
    auto* box = qobject_cast<QMessageBox*>(QApplication::activeModalWidget());
    ASSERT_NE(box, nullptr);
    asked = box->text();
    QTest::keyClick(box, Qt::Key_Escape);
  });
  EXPECT_FALSE(window_->close());
  EXPECT_TRUE(asked.contains("not saved"));
  EXPECT_TRUE(window_->isVisible());
}

}  // namespace
}  // namespace avocet::gui

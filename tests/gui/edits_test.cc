// SPDX-License-Identifier: Apache-2.0
// No change without a sign: what is painted is seen, the wheel changes nothing that it passes over,
// a table says what it is of, a mask says who made and who changed it, and the list highlights what
// is shown.
#include <QtTest/qtestspontaneevent.h>
#include <QAbstractSpinBox>
#include <QCheckBox>
#include <QComboBox>
#include <QDoubleSpinBox>
#include <QFileDialog>
#include <QLabel>
#include <QScrollArea>
#include <QScrollBar>
#include <QSlider>
#include <QTableWidget>
#include <QTreeWidget>
#include <QWheelEvent>
#include <algorithm>

#include "app/gui/dicom_export_dialog.h"
#include "app/gui/origin.h"
#include "app/gui/report.h"
#include "io/file_util.h"
#include "io/volume_io.h"
#include "tests/gui/phantom.h"
#include "tests/gui/window_fixture.h"

namespace avocet::gui {
namespace {

namespace fs = std::filesystem;
using test::Phantom;
using test::ShippedData;
using test::TemporaryFolder;

constexpr auto kAxial = Orientation::kAxial;
constexpr const char* kManifest =
    R"({"job": "segment", "model": {"file": "liver.safetensors", "name": "liver-net",
        "sha256": "0123456789abcdef"}, "input": {"file": "a.nii", "sha256": "00"}})";

class WindowEdits : public test::WindowTest {
 protected:
  // An image, a mask that a model made and a reference, all in one grid.
  void OpenThree() {
    const fs::path image = TemporaryFolder() / "phantom.nii.gz";
    io::WriteVolume(Phantom::Make(), image);
    window_->session().Open({image}, LoadAs::kImage);
    ASSERT_TRUE(Idle());
    ASSERT_EQ(Doc().images().size(), 1u);
    const auto add = [&](const std::string& name) {
      auto layer = LabelsFromVolume(Phantom::Labels(Phantom::Make()), name);
      layer->header = Doc().ActiveImage()->volume;
      return Doc().AddLabels(std::move(layer));
    };
    reference_ = add("reference");
    prediction_ = add("prediction");
    Doc().Labels(prediction_)->companions = {{".manifest.json", kManifest}};
    // They differ, so that there is something to compare.
    auto& labels = *Doc().Labels(prediction_);
    labels.OwnLabels();
    for (size_t n = 0; n < labels.labels->size() / 2; ++n) (*labels.labels)[n] = 0;
    CountLabels(*labels.labels, labels.VoxelMl(), labels.table);
    session_->view.brush_label = 1;
    Doc().SetCursor(Phantom::Make().geometry.PhysicalFromIndex(Phantom::Middle(Phantom::kLeftBox)));
    Doc().Notify(kLayersChanged | kDisplayChanged);
    QTest::qWait(20);
  }
  LabelLayer& Prediction() { return *Doc().Labels(prediction_); }
  std::vector<uint16_t> Voxels() { return *Prediction().labels; }
  QString Banner() { return window_->BannerText(); }
  QTreeWidget& Layers() { return *window_->findChild<QTreeWidget*>("layers"); }
  int Highlighted() { return Layers().currentItem()->data(0, Qt::UserRole).toInt(); }
  static void Drag(QWidget& widget, QPoint from, QPoint to) {
    QTest::mousePress(&widget, Qt::LeftButton, {}, from);
    for (int step = 1; step <= 4; ++step) {
      QTest::mouseMove(&widget, from + (to - from) * step / 4);
    }
    QTest::mouseRelease(&widget, Qt::LeftButton, {}, to);
  }
  // Brush and eraser, by mouse and by keys, in a view: each way to change a mask.
  void PaintEveryWay(SliceView& view) {
    const QPoint at = view.PixelFromLps(Doc().cursor()).toPoint();
    for (const Tool tool : {Tool::kBrush, Tool::kEraser}) {
      session_->view.tool = tool;
      Drag(view, at, at + QPoint(25, 5));
      view.setFocus();
      QTest::keyClick(&view, Qt::Key_Return);
    }
  }
  void ExpectNothingPainted(SliceView& view, const char* because) {
    const std::vector<uint16_t> before = Voxels();
    const std::string undo = Doc().UndoText();
    const double ml = Prediction().table.at(1).volume_ml;
    PaintEveryWay(view);
    EXPECT_EQ(Voxels(), before) << because;
    EXPECT_EQ(Prediction().table.at(1).volume_ml, ml) << because;
    EXPECT_EQ(Doc().UndoText(), undo) << because;
    EXPECT_TRUE(Banner().contains("Nothing was painted")) << because;
    EXPECT_TRUE(Banner().contains(because)) << Banner().toStdString();
  }
  // What can be seen is painted, and the complaint goes.
  void ExpectPainted(SliceView& view) {
    const std::vector<uint16_t> before = Voxels();
    session_->view.tool = Tool::kBrush;
    const QPoint at = view.PixelFromLps(Doc().cursor()).toPoint();
    Drag(view, at - QPoint(60, 40), at - QPoint(20, 40));
    EXPECT_NE(Voxels(), before);
    EXPECT_EQ(Banner(), "");
    Doc().Undo();
    EXPECT_EQ(Voxels(), before);
  }
  void Evaluate() {
    auto* table = window_->findChild<QTableWidget*>("scores");
    auto* source = window_->findChild<QLabel*>("scores_source");
    window_->findChild<QComboBox*>("prediction")
        ->setCurrentIndex(window_->findChild<QComboBox*>("prediction")->findData(prediction_));
    window_->findChild<QComboBox*>("reference")
        ->setCurrentIndex(window_->findChild<QComboBox*>("reference")->findData(reference_));
    QTest::mouseClick(window_->findChild<QPushButton*>("evaluate"), Qt::LeftButton);
    ASSERT_TRUE(Idle());
    ASSERT_TRUE(WaitFor([&] { return table->isVisible() && source->isVisible(); }))
        << Banner().toStdString();
  }
  QString Source() { return window_->findChild<QLabel*>("scores_source")->text(); }
  bool Stale() { return window_->findChild<QLabel*>("scores_source")->property("stale").toBool(); }

  int prediction_ = 0, reference_ = 0;
};

TEST_F(WindowEdits, NothingIsPaintedUnseen) {
  OpenThree();
  SliceView& view = View(kAxial);
  ExpectPainted(view);

  Prediction().visible = false;
  Doc().Notify(kDisplayChanged);
  ExpectNothingPainted(view, "'prediction' is hidden");
  QTest::qWait(50);
  Shot("paint_refused");
  Prediction().visible = true;
  Doc().Notify(kDisplayChanged);
  ExpectPainted(view);

  view.setFocus();
  QTest::keyClick(&view, Qt::Key_Space);
  ASSERT_FALSE(Doc().overlays);
  ExpectNothingPainted(view, "the labels are switched off");
  view.setFocus();
  QTest::keyClick(&view, Qt::Key_Space);
  ExpectPainted(view);

  for (int press = 0; press < 6; ++press) QTest::keyClick(window_.get(), Qt::Key_BracketLeft);
  ExpectNothingPainted(view, "too faint");
  // An outline is drawn whatever the opacity of the fill.
  Prediction().outline = true;
  ExpectPainted(view);
  Prediction().outline = false;
  Prediction().opacity = 0.5;
  Doc().Notify(kDisplayChanged);
  ExpectPainted(view);
}

// A label that is hidden in its map: the brush does not paint it, and neither brush nor eraser
// takes its voxels away.
TEST_F(WindowEdits, HiddenLabelsStayAsTheyAre) {
  OpenThree();
  SliceView& view = View(kAxial);
  Prediction().table[1].visible = false;
  Doc().Notify(kDisplayChanged | kLayersChanged);
  const std::vector<uint16_t> before = Voxels();
  const QPoint at = view.PixelFromLps(Doc().cursor()).toPoint();
  session_->view.tool = Tool::kBrush;
  session_->view.brush_label = 1;
  Drag(view, at - QPoint(60, 40), at - QPoint(20, 40));
  EXPECT_EQ(Voxels(), before);
  EXPECT_TRUE(Banner().contains("the label 'Label 1' is hidden")) << Banner().toStdString();
  // Over the hidden mark with another label, and with the eraser.
  for (const Tool tool : {Tool::kBrush, Tool::kEraser}) {
    session_->view.tool = tool;
    session_->view.brush_label = 2;
    Drag(view, at - QPoint(60, 0), at + QPoint(30, 0));
    for (size_t n = 0; n < before.size(); ++n) {
      if (before[n] == 1) {
        ASSERT_EQ((*Prediction().labels)[n], 1) << n;
      }
    }
    EXPECT_TRUE(Banner().contains("hidden labels were left as they are")) << Banner().toStdString();
  }
  EXPECT_EQ(Prediction().table.at(1).voxels, std::count(before.begin(), before.end(), uint16_t{1}));
}

// Labels are switched off in the middle of a stroke; a stroke is broken off by Escape.
TEST_F(WindowEdits, AStrokeIsSeenToItsEnd) {
  OpenThree();
  SliceView& view = View(kAxial);
  session_->view.tool = Tool::kBrush;
  const std::vector<uint16_t> before = Voxels();
  const QPoint at = view.PixelFromLps(Doc().cursor()).toPoint() - QPoint(60, 60);
  QTest::mousePress(&view, Qt::LeftButton, {}, at);
  const std::vector<uint16_t> begun = Voxels();
  EXPECT_NE(begun, before);
  QTest::keyClick(&view, Qt::Key_Space);
  QTest::mouseMove(&view, at + QPoint(40, 0));
  EXPECT_EQ(Voxels(), begun);
  QTest::mouseRelease(&view, Qt::LeftButton, {}, at + QPoint(40, 0));
  EXPECT_TRUE(Banner().contains("switched off")) << Banner().toStdString();
  Doc().Undo();
  EXPECT_EQ(Voxels(), before);
  EXPECT_TRUE(Doc().overlays) << "what is taken back is seen";
  QTest::mousePress(&view, Qt::LeftButton, {}, at);
  QTest::keyClick(&view, Qt::Key_Escape);
  QTest::mouseRelease(&view, Qt::LeftButton, {}, at);
  EXPECT_NE(Voxels(), before);
  Doc().Undo();
  EXPECT_EQ(Voxels(), before) << "a stroke that was broken off is a step, too";
  // The crosshair, where keys paint, lies outside of the enlarged picture.
  for (int n = 0; n < 12; ++n) window_->views().Zoom(1.5);
  view.CentreOn(Add(Doc().cursor(), Vec3{-20, 0, 0}));
  view.setFocus();
  QTest::keyClick(&view, Qt::Key_Return);
  EXPECT_EQ(Voxels(), before);
  EXPECT_TRUE(Banner().contains("crosshair is outside")) << Banner().toStdString();
}

// The error map hides the two that it compares; neither it nor they are painted on.
TEST_F(WindowEdits, TheErrorMapHidesWhatIsNotPaintedOn) {
  OpenThree();
  Evaluate();
  auto* table = window_->findChild<QTableWidget*>("scores");
  QTest::mouseClick(table->viewport(), Qt::LeftButton, {},
                    table->visualItemRect(table->item(0, 0)).center());
  ASSERT_EQ(Doc().labels().size(), 3u);
  const int errors = Doc().labels().back()->id;
  EXPECT_EQ(Highlighted(), errors) << "what is shown is highlighted";
  EXPECT_FALSE(Prediction().visible);
  SliceView& view = View(kAxial);
  const std::vector<uint16_t> map = *Doc().Labels(errors)->labels;
  ExpectNothingPainted(view, "computed from two label maps");
  EXPECT_EQ(*Doc().Labels(errors)->labels, map);
  EXPECT_EQ(Doc().AddLabel(errors), 0);
  // Nor when the prediction is chosen behind it.
  Doc().SetActiveLabels(prediction_);
  ExpectNothingPainted(view, "'prediction' is hidden");
  // Save means the prediction, not the map.
  Doc().SetActiveLabels(errors);
  QTimer::singleShot(300, window_.get(), [] {
    auto* dialog = qobject_cast<QFileDialog*>(QApplication::activeModalWidget());
    ASSERT_NE(dialog, nullptr);
    dialog->findChild<QLineEdit*>("fileNameEdit")
        ->setText(QString::fromStdString((TemporaryFolder() / "saved.nii").string()));
    QTest::keyClick(dialog->findChild<QLineEdit*>("fileNameEdit"), Qt::Key_Return);
  });
  QTest::keyClick(window_.get(), Qt::Key_S, Qt::ControlModifier);
  ASSERT_TRUE(Idle());
  EXPECT_EQ(io::ReadVolume(TemporaryFolder() / "saved.nii").ToLabels("saved"), Voxels());
  // An edit makes the map an older one; taken back, it holds again.
  Prediction().visible = true;
  Doc().SetActiveLabels(prediction_);
  Doc().BeginStroke(prediction_);
  Doc().PaintVoxels({0, 1}, 1);
  Doc().EndStroke();
  EXPECT_NE(Doc().Labels(errors)->name.find("before the last edit"), std::string::npos);
  EXPECT_TRUE(Stale()) << Source().toStdString();
  Doc().Undo();
  EXPECT_EQ(Doc().Labels(errors)->name.find("before the last edit"), std::string::npos);
  EXPECT_FALSE(Stale()) << Source().toStdString();
  // Closed, it gives way to what it hid.
  Prediction().visible = false;
  session_->Close(errors);
  EXPECT_TRUE(Prediction().visible);
  EXPECT_TRUE(Doc().Labels(reference_)->visible);
  EXPECT_TRUE(Doc().Labels(Highlighted())->visible);
}

TEST_F(WindowEdits, SideBySideWhatIsSeenIsPainted) {
  OpenThree();
  auto third = std::make_unique<LabelLayer>(Prediction());
  third->name = "third";
  const int other = Doc().AddLabels(std::move(third));
  window_->views().Compare(prediction_, reference_);
  SliceView& left = View(kAxial);
  Prediction().visible = false;  // side by side it is seen all the same
  Doc().Notify(kDisplayChanged);
  session_->view.tool = Tool::kBrush;
  const std::vector<uint16_t> before = Voxels();
  const QPoint at = left.PixelFromLps(Doc().cursor()).toPoint();
  Drag(left, at - QPoint(60, 40), at - QPoint(20, 40));
  EXPECT_NE(Voxels(), before);
  EXPECT_EQ(Highlighted(), prediction_);
  Doc().overlays = false;
  Doc().Notify(kDisplayChanged);
  ExpectNothingPainted(left, "switched off");
  Doc().overlays = true;
  Doc().Notify(kDisplayChanged);
  // Undone on a map that is not among the two: the views show it again.
  Doc().BeginStroke(other);
  ASSERT_EQ(Doc().PaintVoxels({0}, 1), Unseen::kSeen);
  Doc().EndStroke();
  QTest::keyClick(window_.get(), Qt::Key_Z, Qt::ControlModifier);
  EXPECT_FALSE(window_->views().comparing());
  EXPECT_EQ(Highlighted(), other);
}

TEST_F(WindowEdits, StepsBackAndForthAreSeen) {
  OpenThree();
  const std::vector<uint16_t> before = Voxels();
  const auto& size = Prediction().geometry().size;
  const size_t voxel = (3 * size[1] + 5) * size[0] + 7;
  Doc().BeginStroke(prediction_);
  Doc().PaintVoxels({voxel}, 2);
  Doc().EndStroke();
  const auto hide = [&] {
    Prediction().visible = false;
    Prediction().opacity = 0;
    Prediction().table[2].visible = false;
    Doc().overlays = false;
    Doc().SetActiveLabels(reference_);
    Doc().CentreCursor();
    Doc().Notify(kDisplayChanged | kLayersChanged);
  };
  for (const bool back : {true, false, true}) {
    hide();
    QTest::keyClick(window_.get(), Qt::Key_Z,
                    back ? Qt::ControlModifier : Qt::ControlModifier | Qt::ShiftModifier);
    EXPECT_EQ((*Prediction().labels)[voxel], back ? before[voxel] : 2);
    EXPECT_TRUE(Prediction().visible);
    EXPECT_GT(Prediction().opacity, 0.2);
    EXPECT_TRUE(Prediction().table.at(2).visible);
    EXPECT_TRUE(Doc().overlays);
    EXPECT_EQ(Highlighted(), prediction_);
    EXPECT_EQ(Doc().Slice(kAxial), 3) << "the views go where it happened";
    // The switch in the menu says the same as the views.
    for (const QAction* action : window_->findChildren<QAction*>()) {
      if (action->text() == "Labels and measurements") {
        EXPECT_TRUE(action->isChecked());
      }
    }
  }
}

// As real events come: with the focus that Qt gives to what the wheel turns over.
void TurnWheel(QWidget& widget, int notches) {
  const QPointF at(widget.width() / 2.0, widget.height() / 2.0);
  QWheelEvent event(at, widget.mapToGlobal(at), QPoint(), QPoint(0, 120 * notches), Qt::NoButton,
                    Qt::NoModifier, Qt::NoScrollPhase, false);
  QSpontaneKeyEvent::setSpontaneous(&event);
  QApplication::instance()->notify(&widget, &event);
}

double ValueOf(const QWidget* widget) {
  if (const auto* box = qobject_cast<const QComboBox*>(widget)) return box->currentIndex();
  if (const auto* field = qobject_cast<const QDoubleSpinBox*>(widget)) return field->value();
  if (const auto* field = qobject_cast<const QSpinBox*>(widget)) return field->value();
  return qobject_cast<const QAbstractSlider*>(widget)->value();
}

std::vector<QWidget*> ControlsIn(const QWidget& window) {
  std::vector<QWidget*> controls;
  for (auto* widget : window.findChildren<QWidget*>()) {
    const bool control = qobject_cast<QComboBox*>(widget) != nullptr ||
                         qobject_cast<QAbstractSpinBox*>(widget) != nullptr ||
                         (qobject_cast<QAbstractSlider*>(widget) != nullptr &&
                          qobject_cast<QScrollBar*>(widget) == nullptr);
    if (control && widget->isVisible()) controls.push_back(widget);
  }
  return controls;
}

TEST_F(WindowEdits, TheWheelChangesNoControlThatItPassesOver) {
  OpenThree();
  // A second image, so that there are controls of images too; all sections open.
  Doc().AddImage(ImageFromVolume(Phantom::Make(), "second"));
  for (auto* section : window_->findChildren<QToolButton*>("section")) section->setChecked(true);
  QTest::qWait(50);
  auto* area = window_->findChild<QScrollArea*>();
  int tried = 0, scrolled = 0;
  for (const int selected : {Doc().ActiveImage()->id, prediction_}) {
    Doc().SetActiveImage(selected);
    Doc().SetActiveLabels(selected);
    QTest::qWait(20);
    for (QWidget* control : ControlsIn(*window_)) {
      if (dynamic_cast<SliceView*>(control->parentWidget()) != nullptr) continue;  // below
      View(kAxial).setFocus();
      if (area->isAncestorOf(control)) area->ensureWidgetVisible(control);
      for (const int notches : {-1, 1}) {
        const double before = ValueOf(control);
        const int place = area->verticalScrollBar()->value();
        TurnWheel(*control, notches);
        EXPECT_EQ(ValueOf(control), before) << control->objectName().toStdString();
        EXPECT_FALSE(control->hasFocus()) << "the wheel gives no focus";
        if (area->isAncestorOf(control)) scrolled += area->verticalScrollBar()->value() != place;
      }
      ++tried;
    }
  }
  EXPECT_GT(tried, 14);
  EXPECT_GT(scrolled, 10) << "the column scrolls instead";
  // Over the slider of a view the wheel goes to the next slice, as beside it.
  const int64_t slice = Doc().Slice(kAxial);
  TurnWheel(*View(kAxial).findChild<QSlider*>(), 1);
  EXPECT_EQ(Doc().Slice(kAxial), slice + 1);
  // Who chose the control with the keyboard or a click may use the wheel on it...
  auto* protocol = window_->findChild<QComboBox*>("protocol");
  area->ensureWidgetVisible(protocol);
  const int chosen = protocol->currentIndex();
  protocol->setFocus();
  QTest::qWait(10);
  const int step = chosen == 0 ? -1 : 1;
  TurnWheel(*protocol, step);
  EXPECT_NE(protocol->currentIndex(), chosen);
  // ...but not when it comes under a pointer that rests and scrolls.
  const int now = protocol->currentIndex();
  const QPointF at =
      protocol->mapToGlobal(QPointF(protocol->width() / 2.0, protocol->height() / 2.0));
  QWheelEvent passing(area->mapFromGlobal(at), at, QPoint(), QPoint(0, -120), Qt::NoButton,
                      Qt::NoModifier, Qt::NoScrollPhase, false);
  QApplication::sendEvent(area->viewport(), &passing);
  QWheelEvent next(protocol->mapFromGlobal(at), at, QPoint(), QPoint(0, 120 * -step), Qt::NoButton,
                   Qt::NoModifier, Qt::NoScrollPhase, false);
  QApplication::sendEvent(protocol, &next);
  EXPECT_EQ(protocol->currentIndex(), now);
  // A click where the pointer rests means the control.
  auto* field = window_->findChild<QDoubleSpinBox*>();
  area->ensureWidgetVisible(field);
  QTest::qWait(10);
  const double width = field->value();
  TurnWheel(*field, 1);
  EXPECT_EQ(field->value(), width);
  QTest::mouseClick(field, Qt::LeftButton);
  field->setFocus();
  TurnWheel(*field, 1);
  EXPECT_NE(field->value(), width);
  // Dialogs too.
  DicomExportDialog dialog(nullptr, window_.get());
  dialog.show();
  ASSERT_TRUE(QTest::qWaitForWindowExposed(&dialog));
  for (QWidget* control : ControlsIn(dialog)) {
    dialog.setFocus();
    const double before = ValueOf(control);
    TurnWheel(*control, -1);
    EXPECT_EQ(ValueOf(control), before);
  }
}

TEST_F(WindowEdits, TheTableNamesItsProtocol) {
  OpenThree();
  Evaluate();
  EXPECT_TRUE(Source().contains("Protocol default")) << Source().toStdString();
  EXPECT_TRUE(Source().contains("prediction against reference"));
  EXPECT_FALSE(Stale()) << Source().toStdString();
  EXPECT_EQ(session_->evaluation()->protocol(), "default");
  // A row is chosen: the protocol is still named.
  auto* table = window_->findChild<QTableWidget*>("scores");
  QTest::mouseClick(table->viewport(), Qt::LeftButton, {},
                    table->visualItemRect(table->item(0, 0)).center());
  EXPECT_TRUE(Source().contains("Protocol default"));
  // Another choice above: the table is not of it.
  auto* protocol = window_->findChild<QComboBox*>("protocol");
  protocol->setCurrentText("simpleitk");
  ASSERT_EQ(protocol->currentText(), "simpleitk");
  EXPECT_TRUE(Source().contains("Protocol default"));
  EXPECT_TRUE(Source().contains("simpleitk"));
  EXPECT_TRUE(Stale());
  QTest::qWait(50);
  Shot("scores_stale");
  protocol->setCurrentText("default");
  EXPECT_FALSE(Stale());
  for (const char* box : {"prediction", "reference"}) {
    auto* layers = window_->findChild<QComboBox*>(box);
    const int before = layers->currentIndex();
    layers->setCurrentIndex(1 - before);
    EXPECT_TRUE(Stale()) << box;
    layers->setCurrentIndex(before);
    EXPECT_FALSE(Stale()) << box;
  }
  protocol->setCurrentText("simpleitk");
  Evaluate();
  EXPECT_TRUE(Source().contains("Protocol simpleitk")) << Source().toStdString();
  EXPECT_FALSE(Stale());
  // The masks may change as well.
  Doc().SetActiveLabels(reference_);
  Doc().Labels(reference_)->visible = true;
  Doc().BeginStroke(reference_);
  ASSERT_EQ(Doc().PaintVoxels({0}, 1), Unseen::kSeen);
  Doc().EndStroke();
  EXPECT_TRUE(Stale());
  const QString report = ReportTexts(*session_).join("\n");
  EXPECT_TRUE(report.contains("Scores, protocol simpleitk")) << report.toStdString();
  EXPECT_TRUE(report.contains("after these were computed"));
}

TEST_F(WindowEdits, AMaskSaysWhoMadeItAndWhoChangedIt) {
  OpenThree();
  auto* origin = window_->findChild<QLabel*>("layer_origin");
  const auto report = [this] { return ReportTexts(*session_).join("\n"); };
  const auto row = [this] { return Layers().currentItem()->text(0); };
  EXPECT_EQ(origin->text(), "Made by liver-net");
  EXPECT_TRUE(report().contains("Made by liver-net (")) << report().toStdString();
  EXPECT_FALSE(row().contains("edited"));
  const auto paint = [this](size_t voxel) {
    Doc().BeginStroke(prediction_);
    Doc().PaintVoxels({voxel, voxel + 1}, 2);
    Doc().EndStroke();
  };
  paint(10);
  paint(500);
  EXPECT_EQ(origin->text(), "Made by liver-net, edited by hand");
  EXPECT_TRUE(report().contains("Made by liver-net, edited by hand.")) << report().toStdString();
  EXPECT_TRUE(row().contains("(edited, not saved)")) << row().toStdString();
  EXPECT_STREQ(AlgorithmType(OriginOf(Prediction())), "SEMIAUTOMATIC");
  QTest::qWait(50);
  Shot("edited");
  // One step back of two: still edited. Both: not.
  Doc().Undo();
  EXPECT_EQ(origin->text(), "Made by liver-net, edited by hand");
  Doc().Undo();
  EXPECT_EQ(origin->text(), "Made by liver-net");
  EXPECT_FALSE(report().contains("edited"));
  EXPECT_STREQ(AlgorithmType(OriginOf(Prediction())), "AUTOMATIC");
  const fs::path plain = TemporaryFolder() / "plain.nii.gz";
  session_->Save(prediction_, plain);
  ASSERT_TRUE(Idle());
  EXPECT_EQ(io::ReadTextFile(TemporaryFolder() / "plain.manifest.json").find("edited"),
            std::string::npos);
  Doc().Redo();
  EXPECT_EQ(origin->text(), "Made by liver-net, edited by hand");
  const fs::path edited = TemporaryFolder() / "edited.nii.gz";
  session_->Save(prediction_, edited);
  ASSERT_TRUE(Idle());
  // A file opened again says the same; one whose manifest is about another state says nothing.
  Open({plain});
  EXPECT_EQ(origin->text(), "Made by liver-net");
  Open({edited});
  EXPECT_EQ(origin->text(), "Made by liver-net, edited by hand");
  fs::copy_file(plain, edited, fs::copy_options::overwrite_existing);
  Open({edited});
  EXPECT_EQ(Describe(OriginOf(*Doc().ActiveLabels())), "");
  EXPECT_TRUE(origin->isHidden());
  // Drawn from nothing.
  QTest::keyClick(window_.get(), Qt::Key_N, Qt::ControlModifier);
  EXPECT_EQ(origin->text(), "Drawn by hand");
  EXPECT_STREQ(AlgorithmType(OriginOf(*Doc().ActiveLabels())), "MANUAL");
}

// The list highlights what has come into view, or what comes forward when a layer goes.
TEST_F(WindowEdits, TheListHighlightsWhatIsShown) {
  OpenThree();
  const int image = Doc().ActiveImage()->id;
  EXPECT_EQ(Highlighted(), prediction_) << "opened last";
  // A result: as Translate and Segment add it.
  auto made = ImageFromVolume(Phantom::Make(), "synthetic.nii");
  made->synthetic = made->unsaved = true;
  const int synthetic = Doc().AddImage(std::move(made));
  EXPECT_EQ(Highlighted(), prediction_) << "an image that is not shown yet";
  Doc().SetActiveImage(synthetic);
  EXPECT_EQ(Highlighted(), synthetic);
  EXPECT_EQ(Doc().ActiveImage()->id, synthetic);
  // Its controls are those of the layer that is highlighted.
  EXPECT_TRUE(window_->findChild<QComboBox*>("fusion")->isVisible());
  session_->Close(synthetic);
  EXPECT_EQ(Highlighted(), image);
  Doc().Undo();
  EXPECT_EQ(Highlighted(), synthetic);
  EXPECT_EQ(Doc().ActiveImage()->id, synthetic);
  // A hidden mask does not come forward when there is one that is shown.
  auto third = std::make_unique<LabelLayer>(Prediction());
  third->name = "third";
  const int last = Doc().AddLabels(std::move(third));
  EXPECT_EQ(Highlighted(), last);
  Prediction().visible = false;
  session_->Close(last);
  EXPECT_EQ(Highlighted(), reference_);
  EXPECT_EQ(Doc().ActiveLabels()->id, reference_);
  session_->Close(reference_);
  session_->Close(prediction_);
  EXPECT_EQ(Highlighted(), synthetic) << "no mask is left";
  // By a click.
  QTest::mouseClick(Layers().viewport(), Qt::LeftButton, {},
                    Layers().visualItemRect(Layers().topLevelItem(0)).center());
  EXPECT_EQ(Doc().ActiveImage()->id, image);
  EXPECT_EQ(Doc().selected(), image);
}

}  // namespace
}  // namespace avocet::gui

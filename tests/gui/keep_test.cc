// SPDX-License-Identifier: Apache-2.0
// What outlives a window or a layer: measurements, closed layers, DICOM objects; and numbers that
// are read and written alike in every language.
#include <QCheckBox>
#include <QComboBox>
#include <QDoubleSpinBox>
#include <QFileDialog>
#include <QLineEdit>
#include <QListWidget>
#include <QMenu>
#include <QMessageBox>
#include <QTreeWidget>
#include <clocale>
#include <cmath>
#include <fstream>

#include "app/gui/plain_numbers.h"
#include "io/file_util.h"
#include "io/volume_io.h"
#include "tests/gui/phantom.h"
#include "tests/gui/window_fixture.h"
#include "tests/io/dicom_builder.h"

namespace avocet::gui {
namespace {

namespace fs = std::filesystem;
using test::ShippedData;
using test::TemporaryFolder;

class WindowKeeps : public test::WindowTest {
 protected:
  void AnotherSession() {
    TearDown();
    session_ = std::make_unique<Session>(TemporaryFolder() / "unsaved");
    window_ = std::make_unique<MainWindow>(*session_);
    window_->resize(1280, 800);
    window_->show();
    ASSERT_TRUE(QTest::qWaitForWindowExposed(window_.get()));
    QApplication::setActiveWindow(window_.get());
  }
  void Drag(SliceView& view, QPoint from, QPoint to) {
    QTest::mousePress(&view, Qt::LeftButton, {}, from);
    QTest::mouseMove(&view, (from + to) / 2);
    QTest::mouseMove(&view, to);
    QTest::mouseRelease(&view, Qt::LeftButton, {}, to);
  }
  void MeasureARuler() {
    SliceView& view = View(Orientation::kAxial);
    QTest::keyClick(window_.get(), Qt::Key_M);
    Drag(view, QPoint(view.width() / 3, view.height() / 2),
         QPoint(view.width() * 2 / 3, view.height() / 2));
  }
  QListWidget& List() { return *window_->findChild<QListWidget*>("measurements"); }
  QPushButton* ButtonWithText(const QString& text, const QWidget* within) {
    for (auto* button : within->findChildren<QPushButton*>()) {
      if (button->text() == text) return button;
    }
    return nullptr;
  }
  // Types a name into the file dialog that will open.
  void AnswerFileDialog(const fs::path& path, int after_ms = 300) {
    QTimer::singleShot(after_ms, window_.get(), [path] {
      auto* dialog = qobject_cast<QFileDialog*>(QApplication::activeModalWidget());
      ASSERT_NE(dialog, nullptr);
      auto* name = dialog->findChild<QLineEdit*>("fileNameEdit");
      ASSERT_NE(name, nullptr);
      name->setText(QString::fromStdString(path.string()));
      QTest::keyClick(name, Qt::Key_Return);
    });
  }
};

TEST_F(WindowKeeps, MeasurementsComeBackWithTheImage) {
  const fs::path first = TemporaryFolder() / "first.nii.gz";
  io::WriteVolume(test::Head(), first);
  Open({first});
  MeasureARuler();
  ASSERT_EQ(Doc().measurements().size(), 1u);
  const Measurement drawn = Doc().measurements()[0];
  EXPECT_GT(drawn.value, 10);
  // Closed at once: what was drawn a moment ago is kept too. The image then lies elsewhere, under
  // another name and in another format.
  AnotherSession();
  const fs::path second = TemporaryFolder() / "other" / "second.nrrd";
  fs::create_directories(second.parent_path());
  io::WriteVolume(test::Head(), second);
  Open({second});
  ASSERT_EQ(Doc().measurements().size(), 1u);
  EXPECT_EQ(Doc().measurements()[0].points, drawn.points);
  EXPECT_EQ(Doc().measurements()[0].image, "second.nrrd");
  EXPECT_FALSE(Doc().CanUndo()) << "opening is no step to undo";
  EXPECT_EQ(List().count(), 1);
  EXPECT_TRUE(List().isVisible());
  // It can be seen where it was drawn, and exported.
  QTest::keyClick(&List(), Qt::Key_Home);
  Doc().SetCursor(drawn.points[0]);
  QTest::qWait(50);
  Shot("measurements_kept");
  const fs::path csv = TemporaryFolder() / "measurements.csv";
  AnswerFileDialog(csv);
  QTest::mouseClick(ButtonWithText("Export\u2026", List().parentWidget()), Qt::LeftButton);
  const std::string table = io::ReadTextFile(csv);
  char length[64];
  std::snprintf(length, sizeof length, "ruler,\"second.nrrd\",Axial,%.6g,", drawn.value);
  EXPECT_NE(table.find(length), std::string::npos) << table;
  // Closing the image takes it out of the window, not out of the study.
  session_->Close(Doc().images().front()->id);
  EXPECT_TRUE(Doc().measurements().empty());
  Open({second});
  ASSERT_EQ(Doc().measurements().size(), 1u);
  // Deleted is deleted.
  QTest::mouseClick(ButtonWithText("Delete", List().parentWidget()), Qt::LeftButton);
  EXPECT_TRUE(Doc().measurements().empty());
  AnotherSession();
  Open({first});
  EXPECT_TRUE(Doc().measurements().empty());
}

TEST_F(WindowKeeps, AClosedLayerComesBack) {
  Open({ShippedData("hippocampus/images/hippocampus_007.nii.gz"),
        ShippedData("hippocampus/labels/hippocampus_007.nii.gz")});
  const int id = Doc().ActiveLabels()->id;
  Doc().BeginStroke(id);
  Doc().PaintVoxels({5, 6, 7}, 2);
  Doc().EndStroke();
  const auto painted = *Doc().ActiveLabels()->labels;
  QTimer::singleShot(200, window_.get(), [] {
    auto* box = qobject_cast<QMessageBox*>(QApplication::activeModalWidget());
    ASSERT_NE(box, nullptr);
    EXPECT_TRUE(box->text().contains("not saved"));
    QTest::mouseClick(box->button(QMessageBox::Yes), Qt::LeftButton);
  });
  QTest::mouseClick(ButtonWithText("Close layer", window_.get()), Qt::LeftButton);
  QApplication::setActiveWindow(window_.get());
  ASSERT_TRUE(Doc().labels().empty());
  QTest::keyClick(window_.get(), Qt::Key_Z, Qt::ControlModifier);
  ASSERT_EQ(Doc().labels().size(), 1u);
  EXPECT_EQ(Doc().ActiveLabels()->id, id);
  EXPECT_EQ(*Doc().ActiveLabels()->labels, painted);
  EXPECT_TRUE(Doc().HasUnsaved());
  // The stroke before it can be taken back too.
  QTest::keyClick(window_.get(), Qt::Key_Z, Qt::ControlModifier);
  EXPECT_NE(*Doc().ActiveLabels()->labels, painted);
  // An image with its measurements; redone, undone.
  MeasureARuler();
  const int image = Doc().ActiveImage()->id;
  session_->Close(image);
  EXPECT_TRUE(Doc().images().empty());
  EXPECT_TRUE(Doc().measurements().empty());
  Doc().Undo();
  EXPECT_EQ(Doc().ActiveImage()->id, image);
  EXPECT_EQ(Doc().measurements().size(), 1u);
  Doc().Redo();
  EXPECT_TRUE(Doc().images().empty());
  Doc().Undo();
  EXPECT_EQ(Doc().images().size(), 1u);
  ASSERT_TRUE(Idle());
}

// QApplication takes over the locale of the desktop.
TEST_F(WindowKeeps, NumbersHaveAPointInGermanToo) {
  const fs::path locales = TemporaryFolder() / "locales";
  fs::create_directories(locales);
  const std::string make =
      "localedef -i de_DE -f UTF-8 '" + (locales / "de_DE.UTF-8").string() + "' 2>/dev/null";
  const bool generated = std::system(make.c_str()) == 0;
  QLocale::setDefault(QLocale(QLocale::German, QLocale::Germany));
  if (generated) {
    setenv("LOCPATH", locales.c_str(), 1);
    ASSERT_NE(std::setlocale(LC_ALL, "de_DE.UTF-8"), nullptr);
    char text[16];
    std::snprintf(text, sizeof text, "%.1f", 1.5);
    EXPECT_STREQ(text, "1,5") << "the locale is at work";
  } else {
    std::printf("no German locale can be made here; Qt's is tested alone\n");
  }
  UsePlainNumbers();
  char text[16];
  std::snprintf(text, sizeof text, "%.1f", 1.5);
  EXPECT_STREQ(text, "1.5");
  EXPECT_EQ(std::strtod("2.25", nullptr), 2.25);
  EXPECT_EQ(QLocale().decimalPoint(), ".");
  // A header with fractions, an export, and a number typed into the window.
  AnotherSession();  // its fields are made under the locale in force
  const fs::path file = TemporaryFolder() / "head.nrrd";
  io::Volume head = test::Head();
  head.geometry.spacing = {1.25, 1.5, 3.75};
  head.scaling.slope = 0.001;  // windows with fractions
  io::WriteVolume(head, file);
  Open({file});
  ASSERT_EQ(Doc().images().size(), 1u) << window_->BannerText().toStdString();
  EXPECT_NEAR(Doc().ActiveImage()->volume->geometry.spacing[0], 1.25, 1e-9);
  MeasureARuler();
  const std::string csv = MeasurementsCsv(Doc().measurements());
  char length[32];
  std::snprintf(length, sizeof length, ",%.6g,", Doc().measurements()[0].value);
  EXPECT_NE(csv.find(length), std::string::npos) << csv;
  EXPECT_NE(std::string(length).find('.'), std::string::npos);
  auto* width = window_->findChildren<QDoubleSpinBox*>().at(0);
  width->setFocus();
  width->selectAll();
  QTest::keyClicks(width, "0.625");
  QTest::keyClick(width, Qt::Key_Return);
  EXPECT_DOUBLE_EQ(Doc().ActiveImage()->window.width, 0.625);
  std::setlocale(LC_ALL, "C");
}

// A photo says nothing of millimetres or of left and right: neither does the window.
TEST_F(WindowKeeps, APictureIsMeasuredInPixels) {
  const fs::path path = TemporaryFolder() / "photo.png";
  QImage photo(120, 90, QImage::Format_Grayscale8);
  for (int y = 0; y < 90; ++y) {
    for (int x = 0; x < 120; ++x) photo.setPixel(x, y, qRgb(x * 2, x * 2, x * 2));
  }
  ASSERT_TRUE(photo.save(QString::fromStdString(path.string())));
  Open({path});
  ASSERT_EQ(Doc().images().size(), 1u) << window_->BannerText().toStdString();
  EXPECT_TRUE(Doc().ActiveImage()->AssumesSize());
  EXPECT_TRUE(Doc().ActiveImage()->AssumesOrientation());
  EXPECT_EQ(View(Orientation::kAxial).Describe(Doc().cursor()).find("mm"), std::string::npos);
  MeasureARuler();
  ASSERT_EQ(Doc().measurements().size(), 1u);
  const Measurement& ruler = Doc().measurements()[0];
  EXPECT_EQ(ruler.unit, "px");
  EXPECT_EQ(ruler.Summary().find("mm"), std::string::npos) << ruler.Summary();
  const std::string csv = MeasurementsCsv(Doc().measurements());
  EXPECT_NE(csv.find("ruler,\"photo.png\",Axial,,"), std::string::npos) << "no length in mm";
  QTest::qWait(50);
  Shot("photo");
  // A file that says both.
  session_->Close(Doc().images().front()->id);
  const fs::path head = TemporaryFolder() / "head.nii";
  io::WriteVolume(test::Head(), head);
  Open({head});
  EXPECT_FALSE(Doc().ActiveImage()->AssumesSize());
  EXPECT_FALSE(Doc().ActiveImage()->AssumesOrientation());
}

class WindowExports : public WindowKeeps {
 protected:
  fs::path Series() {
    const fs::path folder = TemporaryFolder() / "ct";
    fs::create_directories(folder);
    for (int k = 0; k < 6; ++k) {
      test::DicomBuilder slice(24, 20, {-10, 5, 3.0 * k});
      slice.Text(0x00200013, "IS", std::to_string(k + 1));
      std::vector<int16_t> values(24 * 20);
      for (int i = 0; i < 480; ++i) values[i] = static_cast<int16_t>((i * 37 + k * 101) % 900);
      slice.Pixels(values);
      slice.Write(folder / ("s" + std::to_string(k) + ".dcm"));
    }
    return folder;
  }
  // Through menu, dialog and file dialog.
  void Export(const fs::path& path, int kind, bool keep) {
    QTimer::singleShot(200, window_.get(), [this, path, kind, keep] {
      QWidget* dialog = QApplication::activeModalWidget();
      ASSERT_NE(dialog, nullptr);
      ASSERT_EQ(dialog->objectName(), "dicom_export");
      auto* box = dialog->findChild<QCheckBox*>("keep_patient");
      EXPECT_FALSE(box->isChecked()) << "never by default";
      if (keep) QTest::keyClick(box, Qt::Key_Space);
      dialog->findChild<QComboBox*>("dicom_kind")->setCurrentIndex(kind);
      if (kind == 0 && !keep) {
        dialog->grab().toImage().save(QString::fromStdString(ShotPath("dicom_export").string()));
      }
      AnswerFileDialog(path);
      QTest::mouseClick(ButtonWithText("Export\u2026", dialog), Qt::LeftButton);
    });
    QApplication::setActiveWindow(window_.get());
    QTest::keyClick(window_.get(), Qt::Key_E, Qt::ControlModifier | Qt::ShiftModifier);
    ASSERT_TRUE(Idle());
  }
};

TEST_F(WindowExports, SegAndStructuresWithAndWithoutThePatient) {
  const fs::path series = Series();
  Open({series});
  ASSERT_EQ(Doc().images().size(), 1u) << window_->BannerText().toStdString();
  QTest::keyClick(window_.get(), Qt::Key_N, Qt::ControlModifier);
  LabelLayer& layer = *Doc().ActiveLabels();
  layer.table[2].name = "Spleen";
  const io::Geometry& g = layer.geometry();
  std::vector<size_t> one, two;
  for (int64_t k = 1; k < 4; ++k) {
    for (int64_t j = 4; j < 9; ++j) {
      for (int64_t i = 3; i < 15; ++i) {
        (i < 8 ? one : two).push_back((k * g.size[1] + j) * g.size[0] + i);
      }
    }
  }
  Doc().BeginStroke(layer.id);
  Doc().PaintVoxels(one, 1);
  Doc().PaintVoxels(two, 2);
  Doc().EndStroke();
  const std::vector<uint16_t> painted = *layer.labels;
  for (const bool keep : {false, true}) {
    for (const int kind : {0, 1}) {
      const fs::path path =
          TemporaryFolder() / ((kind ? "rt" : "seg") + std::to_string(keep) + ".dcm");
      Export(path, kind, keep);
      ASSERT_TRUE(fs::exists(path)) << window_->BannerText().toStdString();
      const std::string bytes = io::ReadTextFile(path);
      EXPECT_EQ(bytes.find("Secret") != std::string::npos, keep) << path;
      EXPECT_EQ(bytes.find("SECRETID") != std::string::npos, keep) << path;
      EXPECT_NE(bytes.find("MANUAL"), std::string::npos) << "it was painted by hand";
      SilentProgress progress;
      if (kind == 1) {
        EXPECT_THROW(LoadFile(path, LoadAs::kGuess, progress), IoError);
      }
      OpenImage on;
      on.grid = g;
      const LoadedFile again = LoadFile(path, LoadAs::kGuess, progress, "", &on);
      ASSERT_TRUE(again.labels);
      if (kind == 1) {  // ROIs are numbered from 1, in order of value
        EXPECT_EQ(again.labels->table.size(), 2u);
      }
      EXPECT_EQ(again.labels->table.at(2).name, "Spleen");
      // Where it was painted, voxel for voxel in the patient.
      int64_t different = 0;
      for (int64_t k = 0; k < g.size[2]; ++k) {
        for (int64_t j = 0; j < g.size[1]; ++j) {
          for (int64_t i = 0; i < g.size[0]; ++i) {
            const auto x = g.PhysicalFromIndex(
                {static_cast<double>(i), static_cast<double>(j), static_cast<double>(k)});
            different += again.labels->ValueAt(x) !=
                         painted[static_cast<size_t>((k * g.size[1] + j) * g.size[0] + i)];
          }
        }
      }
      EXPECT_EQ(different, 0);
    }
  }
  // An image of the series is never written over, even when the file dialog was told to.
  const fs::path image = series / "s0.dcm";
  const std::string before = io::ReadTextFile(image);
  Session::DicomExport wanted;
  wanted.images = series;
  session_->ExportDicom(layer.id, image, wanted);
  ASSERT_TRUE(Idle());
  EXPECT_EQ(io::ReadTextFile(image), before);
  EXPECT_TRUE(window_->BannerText().contains("never written over"))
      << window_->BannerText().toStdString();
}

// Who made the mask, and that it was edited, goes with the object.
TEST_F(WindowExports, TheObjectSaysHowTheMaskCameAbout) {
  const fs::path series = Series();
  Open({series});
  ASSERT_EQ(Doc().images().size(), 1u);
  auto made =
      LabelsFromVolume(io::ZerosLike(*Doc().ActiveImage()->volume, io::VoxelType::kUInt8), "mask");
  made->header = Doc().ActiveImage()->volume;
  for (size_t n = 30; n < 60; ++n) (*made->labels)[n] = 1;
  CountLabels(*made->labels, made->VoxelMl(), made->table);
  made->companions = {{".manifest.json", R"({"model": {"name": "net of the spleen"}})"}};
  const int id = Doc().AddLabels(std::move(made));
  const auto exported = [&](const std::string& name) {
    Session::DicomExport wanted;
    wanted.images = series;
    const fs::path path = TemporaryFolder() / name;
    session_->ExportDicom(id, path, wanted);
    EXPECT_TRUE(Idle());
    EXPECT_EQ(window_->BannerText(), "");
    return io::ReadTextFile(path);
  };
  const std::string plain = exported("plain.dcm");
  EXPECT_NE(plain.find("AUTOMATIC"), std::string::npos);
  EXPECT_EQ(plain.find("SEMIAUTOMATIC"), std::string::npos);
  EXPECT_NE(plain.find("Avocet net of the spleen"), std::string::npos);
  Doc().BeginStroke(id);
  ASSERT_EQ(Doc().PaintVoxels({100}, 1), Unseen::kSeen);
  Doc().EndStroke();
  const std::string edited = exported("edited.dcm");
  EXPECT_NE(edited.find("SEMIAUTOMATIC"), std::string::npos);
  EXPECT_NE(edited.find("Avocet net of the spleen, edited by hand"), std::string::npos);
  Doc().Undo();
  const std::string undone = exported("undone.dcm");
  EXPECT_EQ(undone.find("SEMIAUTOMATIC"), std::string::npos);
  EXPECT_EQ(undone.find("edited by hand"), std::string::npos);
  // A name that is too long for the object (64 characters) loses its end, not the edit.
  Doc().Redo();
  Doc().Labels(id)->companions = {
      {".manifest.json", R"({"model": {"name": ")" + std::string(90, 'n') + R"("}})"}};
  EXPECT_NE(exported("long.dcm").find("nnn, edited by hand"), std::string::npos);
}

}  // namespace
}  // namespace avocet::gui

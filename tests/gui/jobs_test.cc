// SPDX-License-Identifier: Apache-2.0
// The day of a clinician in the real window: open, segment, compare, jump to the worst slice, save,
// reopen; and what happens when things are slow, cancelled or killed.
#include <QCheckBox>
#include <QComboBox>
#include <QInputDialog>
#include <QListWidget>
#include <QMessageBox>
#include <QTableWidget>
#include <QThread>
#include <cmath>
#include <csignal>
#include <fstream>

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "app/gui/journal.h"
#include "io/file_util.h"
#include "io/volume_io.h"
#include "tests/gui/phantom.h"
#include "tests/gui/window_fixture.h"
#include "tests/io/dicom_builder.h"

namespace avocet::gui {
namespace {

using test::Phantom;
using test::ShippedData;

class WindowJobs : public test::WindowTest {
 protected:
  void OpenSample() {
    Open({ShippedData("hippocampus/images/hippocampus_105.nii.gz"),
          ShippedData("hippocampus/labels/hippocampus_105.nii.gz")});
    ASSERT_EQ(Doc().images().size(), 1u);
    ASSERT_EQ(Doc().labels().size(), 1u);
    ASSERT_TRUE(WaitFor([this] { return !session_->catalogue().empty(); }));
  }
};

TEST_F(WindowJobs, SegmentCompareJumpSaveReopen) {
  OpenSample();
  const int reference = Doc().labels().front()->id;
  auto* run = window_->findChild<QPushButton*>("run_model");
  ASSERT_TRUE(WaitFor([&] { return run->isEnabled(); })) << "the image is looked at first";
  // Of the models that ship, the one that suits a crop of a head was chosen.
  EXPECT_TRUE(
      window_->findChild<QListWidget*>("models")->currentItem()->text().contains("segments"));
  QTest::mouseClick(run, Qt::LeftButton);
  EXPECT_EQ(Doc().labels().size(), 1u) << "the click does not wait for the job";
  bool progress_seen = false;
  ASSERT_TRUE(WaitFor(
      [&] {
        progress_seen = progress_seen || window_->findChild<QPushButton*>("cancel")->isVisible();
        return Doc().labels().size() == 2;
      },
      60))
      << window_->BannerText().toStdString();
  EXPECT_TRUE(progress_seen);
  const LabelLayer* result = Doc().ActiveLabels();
  ASSERT_NE(result->id, reference);
  EXPECT_EQ(window_->layers().SelectedLayer(), result->id) << "what is shown is highlighted";
  EXPECT_TRUE(result->unsaved);
  EXPECT_TRUE(window_->windowTitle().startsWith("*"));
  EXPECT_EQ(result->table.at(1).name, "Anterior");
  // The mask can be seen: the views went to it, and its colour is on the axial slice.
  Doc().Labels(reference)->visible = false;
  Doc().Notify(kDisplayChanged);
  Doc().Labels(result->id)->opacity = 1;
  Doc().Notify(kDisplayChanged);
  const QImage axial = View(Orientation::kAxial).grab().toImage();
  int64_t coloured = 0;
  const auto& colour = result->table.at(1).colour;
  const auto& other = result->table.at(2).colour;
  for (int y = 0; y < axial.height(); ++y) {
    for (int x = 0; x < axial.width(); ++x) {
      const QRgb p = axial.pixel(x, y);
      const auto is = [&](const std::array<uint8_t, 3>& c) {
        return std::abs(qRed(p) - c[0]) < 3 && std::abs(qGreen(p) - c[1]) < 3 &&
               std::abs(qBlue(p) - c[2]) < 3;
      };
      coloured += is(colour) || is(other);
    }
  }
  EXPECT_GT(coloured, 500);
  Doc().Labels(result->id)->opacity = 0.5;
  Doc().Labels(reference)->visible = true;
  Doc().Labels(reference)->outline = true;
  Doc().Notify(kDisplayChanged);
  const VolumeView& three = window_->views().volume();
  EXPECT_TRUE(WaitFor([&] { return three.surface_count() == 4; }));
  QTest::qWait(400);
  Shot("segmented");

  // Compare: result against reference is already chosen.
  auto* evaluate = window_->findChild<QPushButton*>("evaluate");
  EXPECT_EQ(window_->findChild<QComboBox*>("prediction")->currentData().toInt(), result->id);
  EXPECT_EQ(window_->findChild<QComboBox*>("reference")->currentData().toInt(), reference);
  QTest::mouseClick(evaluate, Qt::LeftButton);
  auto* table = window_->findChild<QTableWidget*>("scores");
  ASSERT_TRUE(WaitFor([&] { return table->isVisible(); })) << window_->BannerText().toStdString();
  ASSERT_EQ(table->rowCount(), 3);
  int dice = -1;
  for (int c = 1; c < table->columnCount(); ++c) {
    if (table->horizontalHeaderItem(c)->text().startsWith("dice")) dice = c;
  }
  ASSERT_GT(dice, 0);
  // The number in the table against the definition.
  int64_t p_count = 0, r_count = 0, both = 0;
  for (size_t i = 0; i < result->labels->size(); ++i) {
    const bool p = (*result->labels)[i] == 1;
    const bool r = (*Doc().Labels(reference)->labels)[i] == 1;
    p_count += p;
    r_count += r;
    both += p && r;
  }
  const double expected = 2.0 * both / (p_count + r_count);
  std::printf("Dice of the anterior hippocampus: %.4f\n", expected);
  EXPECT_GT(expected, 0.75);
  EXPECT_NEAR(table->item(0, dice)->text().toDouble(), expected, 1e-3);
  // Worst slice: found here by hand.
  const auto& size = result->geometry().size;
  std::vector<int64_t> wrong(size[2]);
  for (size_t i = 0; i < result->labels->size(); ++i) {
    const bool p = (*result->labels)[i] == 1;
    const bool r = (*Doc().Labels(reference)->labels)[i] == 1;
    wrong[i / (size[0] * size[1])] += p != r;
  }
  const int result_id = result->id;
  const auto rect = table->visualItemRect(table->item(0, 0));
  QTest::mouseClick(table->viewport(), Qt::LeftButton, {}, rect.center());
  const int64_t shown = Doc().Slice(Orientation::kAxial);
  EXPECT_EQ(wrong[shown], *std::max_element(wrong.begin(), wrong.end()));
  ASSERT_EQ(Doc().labels().size(), 3u);
  EXPECT_EQ(Doc().labels().back()->name.rfind("Errors", 0), 0u);
  EXPECT_TRUE(WaitFor([&] { return three.surface_count() == 7; }));
  QTest::qWait(400);
  Shot("errors");

  // Save, reopen.
  const auto path = test::TemporaryFolder() / "mask.nii.gz";
  bool saved = false;
  session_->Save(result_id, path, [&](bool done) { saved = done; });
  ASSERT_TRUE(Idle());
  ASSERT_TRUE(saved);
  EXPECT_FALSE(Doc().HasUnsaved());
  // The manifest is about the file that was saved.
  const std::string manifest = io::ReadTextFile(test::TemporaryFolder() / "mask.manifest.json");
  EXPECT_NE(manifest.find(io::Sha256OfFile(path)), std::string::npos);
  EXPECT_NE(manifest.find("mask.nii.gz"), std::string::npos);
  const std::vector<uint16_t> kept = *Doc().Labels(result_id)->labels;
  Open({path});
  const LabelLayer& again = *Doc().labels().back();
  EXPECT_EQ(*again.labels, kept);
  EXPECT_EQ(again.table.at(2).name, "Posterior");
  EXPECT_EQ(io::MaxCornerDistance(again.geometry(), Doc().ActiveImage()->volume->geometry), 0);
  // A report of all of it.
  window_->SaveReport(test::TemporaryFolder() / "report.pdf");
  window_->SaveReport(ShotPath("report"));
  window_->SaveScreenshot(test::TemporaryFolder() / "views.png");
  EXPECT_GT(std::filesystem::file_size(test::TemporaryFolder() / "report.pdf"), 20000u);
  EXPECT_FALSE(
      QImage(QString::fromStdString((test::TemporaryFolder() / "views.png").string())).isNull());
  EXPECT_EQ(window_->BannerText(), "");
}

// A folder of two series asks which one; the choice is opened.
TEST_F(WindowJobs, SeveralSeriesAreAChoice) {
  const auto folder = test::TemporaryFolder() / "study";
  for (int series = 0; series < 2; ++series) {
    std::filesystem::create_directories(folder / std::to_string(series));
    for (int k = 0; k < 4 + series; ++k) {
      test::DicomBuilder slice(16, 16, {0, 0, 2.0 * k});
      slice.Text(0x0020000E, "UI", "1.2.3." + std::to_string(series + 1));
      slice.Text(0x00200013, "IS", std::to_string(k + 1));
      std::vector<int16_t> values(256);
      for (int i = 0; i < 256; ++i) values[i] = static_cast<int16_t>(i * 3 + k);
      slice.Pixels(values);
      slice.Write(folder / std::to_string(series) / ("s" + std::to_string(k)));
    }
  }
  QString text;
  QTimer::singleShot(700, window_.get(), [&] {
    auto* dialog = qobject_cast<QInputDialog*>(QApplication::activeModalWidget());
    ASSERT_NE(dialog, nullptr);
    text = dialog->comboBoxItems().join("\n");
    dialog->setTextValue(dialog->comboBoxItems().at(1));
    dialog->accept();
  });
  Open({folder});
  EXPECT_EQ(text.count("\n"), 1) << text.toStdString();
  ASSERT_EQ(Doc().images().size(), 1u) << window_->BannerText().toStdString();
  EXPECT_EQ(Doc().images().front()->volume->geometry.size[2], 5);
}

// The program itself, started as a person starts it.
TEST_F(WindowJobs, TheProgramOpensItsWindow) {
  const std::string binary = test::AvocetBinary().string();
  const std::string image = ShippedData("hippocampus/images/hippocampus_007.nii.gz").string();
  const auto errors = test::TemporaryFolder() / "errors.txt";
  const pid_t child = fork();
  if (child == 0) {
    const int fd = open(errors.c_str(), O_CREAT | O_WRONLY, 0600);
    dup2(fd, 2);
    execl(binary.c_str(), binary.c_str(), "gui", image.c_str(), nullptr);
    _exit(127);
  }
  bool qt = false;
  ASSERT_TRUE(WaitFor([&] {
    std::ifstream maps("/proc/" + std::to_string(child) + "/maps");
    const std::string text((std::istreambuf_iterator<char>(maps)), {});
    qt = text.find("libQt6Widgets") != std::string::npos;
    return qt && text.find("swrast_dri") != std::string::npos;  // the 3D view found its OpenGL
  }));
  QTest::qWait(300);
  int status = 0;
  EXPECT_EQ(waitpid(child, &status, WNOHANG), 0) << "it runs until it is closed";
  kill(child, SIGTERM);
  EXPECT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
  std::ifstream file(errors);
  const std::string said((std::istreambuf_iterator<char>(file)), {});
  EXPECT_EQ(said.find("avocet:"), std::string::npos) << said;
}

TEST_F(WindowJobs, CancelAnswersAtOnce) {
  // Large enough that the job is still at work.
  io::Volume volume = io::ReadVolume(ShippedData("hippocampus/images/hippocampus_105.nii.gz"));
  io::Geometry g = volume.geometry;
  g.size = {96, 96, 96};
  io::Volume large = io::Volume::Zeros(g, io::VoxelType::kFloat32);
  for (int64_t i = 0; i < g.VoxelCount(); ++i) {
    large.As<float>()[i] = static_cast<float>((i * 7919) % 1013);
  }
  const auto path = test::TemporaryFolder() / "large.nii";
  io::WriteVolume(large, path);
  Open({path});
  ASSERT_TRUE(WaitFor([this] { return !session_->catalogue().empty(); }));
  ASSERT_TRUE(Idle());
  // Larger than the crops that the model was made for: the user insists.
  auto* models = window_->findChild<QListWidget*>("models");
  for (int row = 0; row < models->count(); ++row) {
    if (models->item(row)->text().contains("segments")) models->setCurrentRow(row);
  }
  window_->findChild<QCheckBox*>("force")->setChecked(true);
  ASSERT_TRUE(window_->findChild<QPushButton*>("run_model")->isEnabled());
  QTest::mouseClick(window_->findChild<QPushButton*>("run_model"), Qt::LeftButton);
  ASSERT_TRUE(WaitFor([this] {
    for (const TaskState& task : session_->tasks.Running()) {
      if (task.fraction > 0) return true;
    }
    return false;
  }));
  QTest::mouseClick(window_->findChild<QPushButton*>("cancel"), Qt::LeftButton);
  // The window does not wait for the thread, which ends at its next slice.
  EXPECT_FALSE(window_->findChild<QPushButton*>("cancel")->isVisible());
  ASSERT_TRUE(WaitFor([this] { return session_->tasks.Running().empty(); }, 60));
  EXPECT_TRUE(Doc().labels().empty());
  EXPECT_EQ(window_->BannerText(), "") << "a wish of the user is no error";
}

// How long the window stands still at most: window_bench (`./dev bench`).
TEST_F(WindowJobs, AScannersVolumeIsReadElsewhere) {
  io::Geometry g;
  g.size = {512, 512, 148};
  g.spacing = {0.7, 0.7, 2.5};
  io::Volume volume = io::Volume::Zeros(g, io::VoxelType::kInt16);
  for (int64_t i = 0; i < g.VoxelCount(); ++i) {
    volume.As<int16_t>()[i] = static_cast<int16_t>((i * 2654435761u >> 16) % 2000 - 1000);
  }
  const auto path = test::TemporaryFolder() / "ct.nii";
  io::WriteVolume(volume, path);
  volume = io::Volume();
  window_->OpenPaths({path});
  EXPECT_TRUE(Doc().images().empty()) << "opening does not wait for the file";
  EXPECT_FALSE(session_->tasks.Running().empty());
  // The window comes round to its events meanwhile.
  int rounds = 0;
  QTimer ticks;
  QObject::connect(&ticks, &QTimer::timeout, [&] { rounds += Doc().images().empty(); });
  ticks.start(0);
  ASSERT_TRUE(WaitFor([this] { return Doc().images().size() == 1; }, 60));
  EXPECT_GT(rounds, 2);
  for (int i = 0; i < 20; ++i) {
    Doc().StepSlice(Orientation::kAxial, 1);
    QTest::qWait(1);
  }
  ASSERT_TRUE(Idle());
  EXPECT_NE(Doc().Slice(Orientation::kAxial), 74) << "scrolled while it was looked at";
}

// Painting, undoing and saving on a scanner's volume, while its surface is computed.
TEST_F(WindowJobs, ALargeMaskIsCorrectedWhileItIsWritten) {
  io::Geometry g;
  g.size = {512, 512, 148};
  g.spacing = {0.7, 0.7, 2.5};
  io::Volume volume = io::Volume::Zeros(g, io::VoxelType::kUInt8);
  for (int64_t i = 0; i < g.VoxelCount(); ++i) {
    const double x = i % 512 - 256, y = i / 512 % 512 - 256, z = 3.5 * (i / 512 / 512 - 74);
    volume.As<uint8_t>()[i] = x * x + y * y + z * z < 120 * 120;
  }
  const auto path = test::TemporaryFolder() / "ball.nii";
  io::WriteVolume(volume, path);
  volume = io::Volume();
  Open({path});
  ASSERT_EQ(Doc().labels().size(), 1u);
  const int64_t before = Doc().ActiveLabels()->table.at(1).voxels;
  SliceView& view = View(Orientation::kAxial);
  session_->view.tool = Tool::kBrush;
  session_->view.brush_mm = 20;
  const auto stroke = [&](QPoint from, QPoint to) {
    QTest::mousePress(&view, Qt::LeftButton, {}, from);
    for (int step = 1; step <= 10; ++step) {
      QTest::mouseMove(&view, from + (to - from) * step / 10);
      QTest::qWait(1);
    }
    QTest::mouseRelease(&view, Qt::LeftButton, {}, to);
    QTest::qWait(1);
  };
  stroke({60, 60}, {300, 60});
  const int64_t painted = Doc().ActiveLabels()->table.at(1).voxels;
  EXPECT_GT(painted, before + 1000);
  QTest::keyClick(window_.get(), Qt::Key_Z, Qt::ControlModifier);
  EXPECT_EQ(Doc().ActiveLabels()->table.at(1).voxels, before);
  QTest::keyClick(window_.get(), Qt::Key_Z, Qt::ControlModifier | Qt::ShiftModifier);
  const auto saved = test::TemporaryFolder() / "corrected.nii";
  session_->Save(Doc().ActiveLabels()->id, saved);
  EXPECT_FALSE(session_->tasks.Running().empty()) << "saving does not hold the window up";
  stroke({60, 300}, {200, 300});
  ASSERT_TRUE(Idle());
  // The file holds the mask as it was when it was saved; the stroke after it is still unsaved.
  EXPECT_TRUE(Doc().HasUnsaved());
  const auto kept = io::ReadVolume(saved).ToLabels("saved");
  EXPECT_EQ(std::count(kept.begin(), kept.end(), uint16_t{1}), painted);
}

TEST_F(WindowJobs, UnsavedWorkIsOfferedAfterAKill) {
  const auto root = test::TemporaryFolder() / "unsaved";
  const auto marks = LabelsFromVolume(Phantom::Labels(Phantom::Make()), "marks");
  marks->id = 3;
  int ready[2];
  ASSERT_EQ(pipe(ready), 0);
  const pid_t child = fork();
  if (child == 0) {
    Journal journal(root);
    journal.Keep(*marks, "");
    [[maybe_unused]] const ssize_t written = write(ready[1], "x", 1);
    pause();
    _exit(0);
  }
  char byte;
  ASSERT_EQ(read(ready[0], &byte, 1), 1);
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  QString text;
  QTimer::singleShot(100, window_.get(), [&] {
    auto* box = qobject_cast<QMessageBox*>(QApplication::activeModalWidget());
    ASSERT_NE(box, nullptr);
    text = box->text();
    QTest::keyClick(box, Qt::Key_Return);  // recover
  });
  window_->OfferRecovery();
  EXPECT_TRUE(text.contains("marks"));
  ASSERT_TRUE(WaitFor([this] { return Doc().labels().size() == 1; }));
  EXPECT_EQ(*Doc().labels().front()->labels, *marks->labels);
  EXPECT_TRUE(Doc().labels().front()->unsaved);
  ASSERT_TRUE(Idle());
  EXPECT_TRUE(session_->journal().Abandoned().empty()) << "taken over";
}

}  // namespace
}  // namespace avocet::gui

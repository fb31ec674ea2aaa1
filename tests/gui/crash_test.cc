// SPDX-License-Identifier: Apache-2.0
// A window that is killed in the middle of work, in a process of its own, and what the next window
// brings back of it.
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>
#include <QMessageBox>
#include <QTableWidget>
#include <QTreeWidget>
#include <csignal>

#include "app/gui/origin.h"
#include "io/file_util.h"
#include "io/volume_io.h"
#include "tests/gui/phantom.h"
#include "tests/gui/window_fixture.h"

extern char** environ;

namespace avocet::gui {
namespace {

namespace fs = std::filesystem;
using test::Phantom;
using test::TemporaryFolder;

constexpr const char* kRoot = "AVOCET_TEST_CRASH_ROOT";

class WindowCrash : public test::WindowTest {
 protected:
  void UseRoot(const fs::path& root) {
    TearDown();
    session_ = std::make_unique<Session>(root / "unsaved");
    window_ = std::make_unique<MainWindow>(*session_);
    window_->resize(1280, 800);
    window_->show();
    ASSERT_TRUE(QTest::qWaitForWindowExposed(window_.get()));
    QApplication::setActiveWindow(window_.get());
  }
  // All that is unsaved has reached the disk.
  void WaitForJournal() {
    QTest::qWait(2300);
    ASSERT_TRUE(Idle());
  }
  LabelLayer* Named(const std::string& name) {
    for (const auto& layer : Doc().labels()) {
      if (layer->name == name) return layer.get();
    }
    return nullptr;
  }
  // Runs one of the tests below in a process that kills itself.
  static void RunVictim(const fs::path& root, const std::string& name) {
    setenv(kRoot, root.c_str(), 1);
    const char* output = std::getenv("GTEST_OUTPUT");
    const std::string kept = output == nullptr ? "" : output;
    unsetenv("GTEST_OUTPUT");
    const std::string filter = "--gtest_filter=WindowCrash.DISABLED_" + name;
    std::string self = fs::read_symlink("/proc/self/exe").string();
    std::string also = "--gtest_also_run_disabled_tests";
    char* arguments[] = {self.data(), const_cast<char*>(filter.c_str()), also.data(), nullptr};
    pid_t child = 0;
    ASSERT_EQ(posix_spawn(&child, self.c_str(), nullptr, nullptr, arguments, environ), 0);
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    if (!kept.empty()) setenv("GTEST_OUTPUT", kept.c_str(), 1);
    unsetenv(kRoot);
    ASSERT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) << "status " << status;
  }
  void Recover(QString* text) {
    QTimer::singleShot(200, window_.get(), [text] {
      auto* box = qobject_cast<QMessageBox*>(QApplication::activeModalWidget());
      ASSERT_NE(box, nullptr);
      *text = box->text();
      QTest::keyClick(box, Qt::Key_Return);
    });
    window_->OfferRecovery();
    ASSERT_TRUE(Idle());
  }
};

// What a person did before the window died.
TEST_F(WindowCrash, DISABLED_EditsAreUnderWay) {
  const char* folder = std::getenv(kRoot);
  ASSERT_NE(folder, nullptr) << "started by TheNextWindowBringsItBack only";
  const fs::path root = folder;
  UseRoot(root);
  session_->Open({root / "phantom.nii.gz"}, LoadAs::kImage);
  ASSERT_TRUE(Idle());
  // What a model made, then edited: painted on, renamed, recoloured, a label more without voxels.
  auto layer = LabelsFromVolume(Phantom::Labels(Phantom::Make()), "phantom model");
  layer->header = Doc().ActiveImage()->volume;
  layer->companions = {{".manifest.json", R"({"job": "segment", "model": {"name": "net"}})"}};
  layer->unsaved = true;
  const int id = Doc().AddLabels(std::move(layer));
  Doc().BeginStroke(id);
  ASSERT_EQ(Doc().PaintVoxels({1, 2, 3}, 2), Unseen::kSeen);
  Doc().EndStroke();
  WaitForJournal();
  // The voxels are kept by now; what follows changes none.
  Doc().RenameLabel(id, 1, "Spleen");
  Doc().RecolourLabel(id, 2, {10, 20, 30});
  const int lesion = Doc().AddLabel(id);
  Doc().RenameLabel(id, lesion, "Lesion");
  Doc().Labels(id)->table[3].visible = false;
  Doc().Labels(id)->opacity = 0.25;
  Doc().Labels(id)->outline = true;
  Doc().Notify(kDisplayChanged | kLayersChanged);
  // An empty map with a label of its own, another image's result.
  QTest::keyClick(window_.get(), Qt::Key_N, Qt::ControlModifier);
  const int drawn = Doc().ActiveLabels()->id;
  Doc().RenameLabel(drawn, Doc().AddLabel(drawn), "Fourth");
  Doc().SetActiveLabels(id);
  auto* table = window_->findChild<QTableWidget*>("labels");
  table->setCurrentCell(table->rowCount() - 1, 1);
  ASSERT_EQ(session_->view.brush_label, lesion);
  WaitForJournal();
  // A measurement of a moment ago, which is not in the store yet.
  Measurement ruler;
  ruler.layer = Doc().ActiveImage()->id;
  ruler.points = {{0, 0, 0}, {3, 4, 0}};
  ruler.value = 5;
  ruler.unit = "mm";
  Doc().AddMeasurement(ruler);
  raise(SIGKILL);
}

TEST_F(WindowCrash, TheNextWindowBringsItBack) {
  const fs::path root = TemporaryFolder() / "state";
  fs::create_directories(root);
  io::WriteVolume(Phantom::Make(), root / "phantom.nii.gz");
  RunVictim(root, "EditsAreUnderWay");
  ASSERT_FALSE(HasFatalFailure());
  UseRoot(root);
  QString text;
  Recover(&text);
  EXPECT_TRUE(text.contains("phantom model")) << text.toStdString();
  EXPECT_TRUE(text.contains("New labels"));
  ASSERT_EQ(Doc().images().size(), 1u) << window_->BannerText().toStdString();
  ASSERT_EQ(Doc().labels().size(), 2u);
  const LabelLayer* layer = Named("phantom model");
  ASSERT_NE(layer, nullptr);
  std::vector<uint16_t> voxels = Phantom::Labels(Phantom::Make()).ToLabels("phantom");
  for (const size_t painted : {1, 2, 3}) voxels[painted] = 2;
  EXPECT_EQ(*layer->labels, voxels);
  ASSERT_EQ(layer->table.size(), 4u);
  EXPECT_EQ(layer->table.at(1).name, "Spleen");
  EXPECT_EQ(layer->table.at(2).colour, (std::array<uint8_t, 3>{10, 20, 30}));
  EXPECT_EQ(layer->table.at(2).voxels, std::count(voxels.begin(), voxels.end(), uint16_t{2}));
  EXPECT_FALSE(layer->table.at(3).visible);
  EXPECT_EQ(layer->table.at(4).name, "Lesion");
  EXPECT_EQ(layer->table.at(4).voxels, 0);
  EXPECT_EQ(layer->opacity, 0.25);
  EXPECT_TRUE(layer->outline);
  EXPECT_TRUE(layer->unsaved);
  EXPECT_EQ(Describe(OriginOf(*layer)), "made by net, edited by hand");
  const LabelLayer* drawn = Named("New labels");
  ASSERT_NE(drawn, nullptr);
  ASSERT_EQ(drawn->table.size(), 4u) << "three of a new map, and one more";
  EXPECT_EQ(drawn->table.at(4).name, "Fourth");
  EXPECT_EQ(Describe(OriginOf(*drawn)), "drawn by hand");
  // The layer and the label that were worked on.
  EXPECT_EQ(Doc().ActiveLabels(), layer);
  EXPECT_EQ(window_->layers().SelectedLayer(), layer->id);
  EXPECT_EQ(session_->view.brush_label, 4);
  auto* table = window_->findChild<QTableWidget*>("labels");
  EXPECT_EQ(table->item(table->currentRow(), 1)->text(), "Lesion");
  ASSERT_EQ(Doc().measurements().size(), 1u);
  EXPECT_EQ(Doc().measurements()[0].value, 5);
  EXPECT_EQ(Doc().measurements()[0].layer, Doc().ActiveImage()->id);
  EXPECT_TRUE(session_->journal().Abandoned().empty()) << "taken over";
  EXPECT_TRUE(session_->journal().AbandonedMeasurements().empty());
  QTest::qWait(500);
  Shot("recovered");
  // Once more, without a change in between: nothing is lost on the way, and nothing is doubled.
  ASSERT_TRUE(Idle());
  const fs::path left = root / "unsaved" / "window-1-0";
  fs::copy(session_->journal().folder(), left, fs::copy_options::recursive);
  fs::remove(left / "lock");
  UseRoot(root);
  Recover(&text);
  layer = Named("phantom model");
  ASSERT_NE(layer, nullptr);
  EXPECT_EQ(layer->table.size(), 4u);
  EXPECT_EQ(layer->table.at(4).name, "Lesion");
  EXPECT_TRUE(layer->edited);
  EXPECT_EQ(Doc().measurements().size(), 1u);
}

// Measurements alone, of an image that lies in a file.
TEST_F(WindowCrash, DISABLED_OnlyAMeasurement) {
  const char* folder = std::getenv(kRoot);
  ASSERT_NE(folder, nullptr) << "started by AMeasurementAloneComesBack only";
  UseRoot(folder);
  session_->Open({fs::path(folder) / "phantom.nii.gz"}, LoadAs::kImage);
  ASSERT_TRUE(Idle());
  Measurement ruler;
  ruler.layer = Doc().ActiveImage()->id;
  ruler.points = {{0, 0, 0}, {3, 4, 0}};
  ruler.value = 5;
  ruler.unit = "mm";
  Doc().AddMeasurement(ruler);
  raise(SIGKILL);
}

TEST_F(WindowCrash, AMeasurementAloneComesBack) {
  const fs::path root = TemporaryFolder() / "state";
  fs::create_directories(root);
  io::WriteVolume(Phantom::Make(), root / "phantom.nii.gz");
  RunVictim(root, "OnlyAMeasurement");
  ASSERT_FALSE(HasFatalFailure());
  UseRoot(root);
  QString text;
  Recover(&text);
  EXPECT_TRUE(text.contains("measurements on phantom.nii.gz")) << text.toStdString();
  ASSERT_EQ(Doc().images().size(), 1u);
  ASSERT_EQ(Doc().measurements().size(), 1u);
  // It is in the store now: it comes back without Recover.
  QTest::qWait(500);
  ASSERT_TRUE(Idle());
  UseRoot(root);
  session_->Open({root / "phantom.nii.gz"}, LoadAs::kImage);
  ASSERT_TRUE(Idle());
  EXPECT_EQ(Doc().measurements().size(), 1u);
}

}  // namespace
}  // namespace avocet::gui

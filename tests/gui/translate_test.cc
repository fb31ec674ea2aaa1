// SPDX-License-Identifier: Apache-2.0
// Translation in the real window: which model suits, running, cancelling, insisting, saving exactly
// what the command writes.
#include <QCheckBox>
#include <QComboBox>
#include <QLabel>
#include <QListWidget>
#include <QTableWidget>
#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>

#include "app/gui/journal.h"
#include "io/file_util.h"
#include "io/nifti.h"
#include "io/volume_io.h"
#include "tests/gui/phantom.h"
#include "tests/gui/window_fixture.h"

namespace avocet::gui {
namespace {

namespace fs = std::filesystem;
using test::ShippedData;
using test::TemporaryFolder;

class WindowTranslates : public test::WindowTest {
 protected:
  // The head as a file.
  fs::path HeadFile(const std::string& name = "head.nii.gz") {
    const fs::path path = TemporaryFolder() / name;
    io::WriteVolume(test::Head(), path);
    return path;
  }
  void OpenAndLook(const fs::path& path) {
    Open({path});
    ASSERT_EQ(Doc().images().size(), 1u) << window_->BannerText().toStdString();
    ASSERT_TRUE(WaitFor([this] { return !session_->catalogue().empty(); }));
    ASSERT_TRUE(Idle());  // looked closer
  }
  QListWidget& Models() { return *window_->findChild<QListWidget*>("models"); }
  QPushButton& Run() { return *window_->findChild<QPushButton*>("run_model"); }
  QCheckBox& Force() { return *window_->findChild<QCheckBox*>("force"); }
  QString About() {
    QString text;
    for (const auto* label : Models().parentWidget()->findChildren<QLabel*>())
      text += label->text();
    return text;
  }
  void Choose(const QString& part) {
    for (int row = 0; row < Models().count(); ++row) {
      if (!Models().item(row)->text().contains(part)) continue;
      const QRect rect = Models().visualItemRect(Models().item(row));
      Models().scrollToItem(Models().item(row));
      QTest::mouseClick(Models().viewport(), Qt::LeftButton, {}, rect.center());
      return;
    }
    FAIL() << "no model " << part.toStdString();
  }
};

TEST_F(WindowTranslates, SavesWhatTheCommandWrites) {
  const fs::path input = HeadFile();
  OpenAndLook(input);
  Choose("translates");
  EXPECT_TRUE(Models().currentItem()->text().contains("fits this image"))
      << Models().currentItem()->text().toStdString() << About().toStdString();
  EXPECT_TRUE(About().contains("synthetic"));
  EXPECT_TRUE(About().contains("Needs about"));
  EXPECT_EQ(Run().text(), "Translate");
  Shot("translate_ready");
  bool progress_seen = false, time_left_seen = false;
  QTest::mouseClick(&Run(), Qt::LeftButton);
  ASSERT_TRUE(WaitFor(
      [&] {
        progress_seen = progress_seen || window_->findChild<QPushButton*>("cancel")->isVisible();
        for (const TaskState& task : session_->tasks.Running()) {
          time_left_seen = time_left_seen || task.seconds_left > 0;
        }
        return Doc().images().size() == 2;
      },
      120))
      << window_->BannerText().toStdString();
  EXPECT_TRUE(progress_seen);
  EXPECT_TRUE(time_left_seen);
  EXPECT_TRUE(window_->BannerText().contains("the output is synthetic"));
  const ImageLayer& result = *Doc().ActiveImage();
  EXPECT_TRUE(result.synthetic);
  EXPECT_TRUE(result.unsaved);
  EXPECT_EQ(result.name, "head_synthetic.nii.gz");
  EXPECT_TRUE(Doc().HasUnsaved());
  EXPECT_EQ(window_->layers().SelectedLayer(), result.id) << "what is shown is highlighted";
  EXPECT_TRUE(window_->windowTitle().startsWith("* head_synthetic"));
  QTest::qWait(300);
  Shot("translated");

  const fs::path saved = TemporaryFolder() / "window" / "head_synthetic.nii.gz";
  fs::create_directories(saved.parent_path());
  session_->Save(result.id, saved);
  ASSERT_TRUE(Idle());
  EXPECT_FALSE(Doc().HasUnsaved());
  const fs::path folder = TemporaryFolder() / "command";
  fs::create_directories(folder);
  const auto command = test::RunAvocet(
      {"translate", input.string(), "-m", "fs-rwkv-simulated", "-o", folder.string() + "/"});
  ASSERT_EQ(command.exit_code, 0) << command.err;
  const fs::path wanted = folder / "head_synthetic.nii.gz";

  // The same bytes: voxels, affines, codes, description.
  const io::Volume ours = io::ReadVolume(saved), theirs = io::ReadVolume(wanted);
  EXPECT_EQ(io::Sha256OfFile(saved), io::Sha256OfFile(wanted));
  EXPECT_EQ(ours.data, theirs.data);
  EXPECT_EQ(io::MaxCornerDistance(ours.geometry, Doc().images().front()->volume->geometry), 0);
  // The same manifest, but for when it was made and how long it took.
  const auto manifest_of = [](const fs::path& path) {
    fs::path beside = path;
    beside.replace_filename("head_synthetic.manifest.json");
    auto json = nlohmann::ordered_json::parse(io::ReadTextFile(beside));
    EXPECT_EQ(json["output"]["sha256"], io::Sha256OfFile(path));
    for (const char* key : {"finished", "seconds", "device"}) json.erase(key);
    return json;
  };
  EXPECT_EQ(manifest_of(saved).dump(1), manifest_of(wanted).dump(1));
  // Opened again it is known for what it is, by its header alone too.
  const fs::path renamed = TemporaryFolder() / "plain.nii.gz";
  fs::copy(saved, renamed);
  Open({renamed});
  EXPECT_TRUE(Doc().images().back()->synthetic);
  Open({saved});
  EXPECT_TRUE(Doc().images().back()->synthetic);
}

// An image without a file of its own (a DICOM series, a result) goes to the job as a copy: the
// manifest names the image and not the copy.
TEST_F(WindowTranslates, TheManifestNamesTheImage) {
  auto layer = ImageFromVolume(test::Head(), "series of Tuesday");
  Doc().AddImage(std::move(layer));
  ASSERT_TRUE(WaitFor([this] { return !session_->catalogue().empty(); }));
  ASSERT_TRUE(Idle());
  Choose("translates");
  QTest::mouseClick(&Run(), Qt::LeftButton);
  ASSERT_TRUE(WaitFor([this] { return Doc().images().size() == 2; }, 120))
      << window_->BannerText().toStdString();
  EXPECT_EQ(Doc().ActiveImage()->name, "series of Tuesday_synthetic.nii.gz");
  const auto& companions = Doc().ActiveImage()->companions;
  ASSERT_EQ(companions.size(), 1u);
  const auto json = nlohmann::json::parse(companions[0].second);
  EXPECT_EQ(json["input"]["file"], "series of Tuesday");
  EXPECT_TRUE(json["input"].contains("note"));
  EXPECT_EQ(companions[0].second.find("image.nii"), std::string::npos);
}

TEST_F(WindowTranslates, CancelAnswersAtOnce) {
  OpenAndLook(HeadFile());
  Choose("translates");
  QTest::mouseClick(&Run(), Qt::LeftButton);
  ASSERT_TRUE(WaitFor([this] {
    for (const TaskState& task : session_->tasks.Running()) {
      if (task.fraction > 0) return true;
    }
    return false;
  }));
  double done = 0;
  for (const TaskState& task : session_->tasks.Running()) done = std::max(done, task.fraction);
  EXPECT_LT(done, 1) << "it is in the middle";
  QTest::mouseClick(window_->findChild<QPushButton*>("cancel"), Qt::LeftButton);
  EXPECT_FALSE(window_->findChild<QPushButton*>("cancel")->isVisible());
  ASSERT_TRUE(WaitFor([this] { return session_->tasks.Running().empty(); }, 60));
  EXPECT_EQ(Doc().images().size(), 1u);
  EXPECT_EQ(window_->BannerText(), "");
}

// A crop of a head is no head in air: said before anything runs, and only the user can insist.
TEST_F(WindowTranslates, RefusesInPlainWordsUnlessForced) {
  OpenAndLook(ShippedData("hippocampus/images/hippocampus_105.nii.gz"));
  EXPECT_TRUE(Models().currentItem()->text().contains("segments")) << "the one that fits is chosen";
  Choose("translates");
  EXPECT_TRUE(Models().currentItem()->text().contains("not meant for this image"));
  EXPECT_TRUE(About().contains("dark")) << About().toStdString();
  EXPECT_FALSE(About().contains("--")) << "the window has no options with dashes";
  EXPECT_FALSE(Run().isEnabled());
  QTest::qWait(100);
  Shot("translate_refused");
  ASSERT_TRUE(Force().isVisible());
  QTest::mouseClick(&Force(), Qt::LeftButton, {}, QPoint(8, Force().height() / 2));
  ASSERT_TRUE(Run().isEnabled());
  QTest::mouseClick(&Run(), Qt::LeftButton);
  ASSERT_TRUE(WaitFor([this] { return Doc().images().size() == 2; }, 120))
      << window_->BannerText().toStdString();
  EXPECT_TRUE(window_->BannerText().contains("translated as the user wished, although"))
      << window_->BannerText().toStdString();
  // Which the manifest keeps.
  bool recorded = false;
  for (const auto& [ending, content] : Doc().ActiveImage()->companions) {
    recorded = recorded || content.find("refusal_overridden") != std::string::npos;
  }
  EXPECT_TRUE(recorded);
}

// The figures of `avocet evaluate --task translation`, and the views at the worst slice.
TEST_F(WindowTranslates, ScoresImagesAgainstAReference) {
  const fs::path reference = HeadFile("reference.nii.gz");
  // The prediction is off by 40 everywhere in slice 7, and by 5 elsewhere.
  io::Volume other = test::Head();
  const int64_t slice_voxels = other.geometry.size[0] * other.geometry.size[1];
  for (int64_t i = 0; i < other.geometry.VoxelCount(); ++i) {
    other.As<int16_t>()[i] =
        static_cast<int16_t>(other.As<int16_t>()[i] + (i / slice_voxels == 7 ? 40 : 5));
  }
  const fs::path prediction = TemporaryFolder() / "prediction.nii.gz";
  io::WriteVolume(other, prediction);
  Open({reference, prediction});
  ASSERT_EQ(Doc().images().size(), 2u);
  auto* kind = window_->findChild<QComboBox*>("evaluate_kind");
  EXPECT_EQ(kind->currentText(), "Images") << "there are no label maps";
  EXPECT_EQ(window_->findChild<QComboBox*>("prediction")->currentText(), "prediction.nii.gz");
  EXPECT_EQ(window_->findChild<QComboBox*>("reference")->currentText(), "reference.nii.gz");
  window_->findChild<QComboBox*>("region")->setCurrentText("the head");
  QTest::keyClick(window_.get(), Qt::Key_R, Qt::ControlModifier | Qt::ShiftModifier);
  auto* table = window_->findChild<QTableWidget*>("scores");
  ASSERT_TRUE(WaitFor([&] { return table->isVisible(); })) << window_->BannerText().toStdString();
  ASSERT_EQ(table->columnCount(), 3);
  const auto csv_path = TemporaryFolder() / "scores.csv";
  const auto command =
      test::RunAvocet({"evaluate", "--task", "translation", prediction.string(), reference.string(),
                       "--mask", "head", "--csv", csv_path.string()});
  ASSERT_EQ(command.exit_code, 0) << command.err;
  // region -> column -> value of the command's table.
  std::map<std::string, std::map<QString, QString>> wanted;
  QStringList header;
  for (const QString& line : QString::fromStdString(io::ReadTextFile(csv_path)).split('\n')) {
    if (line.isEmpty() || line.startsWith("#")) continue;
    const QStringList cells = line.split(',');
    if (header.isEmpty()) header = cells;
    for (int c = 0; c < cells.size(); ++c) {
      for (const char* region : {"image", "mask"}) {
        if (cells.contains(region)) wanted[region][header[c]] = cells[c];
      }
    }
  }
  double rmse = -1;
  int compared = 0;
  for (int row = 0; row < table->rowCount(); ++row) {
    const QString name = table->item(row, 0)->text();
    const QString shown = table->item(row, 1)->text();
    if (name == "rmse") rmse = shown.toDouble();
    for (const char* region : {"image", "mask"}) {
      const QString cell = table->item(row, *region == 'i' ? 1 : 2)->text();
      const QString value = wanted[region]["default." + name];
      if (value.isEmpty() || cell == "undefined") continue;
      EXPECT_NEAR(cell.toDouble(), value.toDouble(), 1e-3 * std::abs(value.toDouble()))
          << region << " " << name.toStdString();
      ++compared;
    }
  }
  EXPECT_GT(compared, 24);
  // By hand: a constant difference in each slice.
  const double n = static_cast<double>(other.geometry.size[2]);
  EXPECT_NEAR(rmse, std::sqrt((40.0 * 40 + (n - 1) * 25) / n), 0.01);
  for (int row = 0; row < table->rowCount(); ++row) {
    if (table->item(row, 0)->text() != "psnr_db") continue;
    const QRect rect = table->visualItemRect(table->item(row, 0));
    QTest::mouseClick(table->viewport(), Qt::LeftButton, {}, rect.center());
  }
  EXPECT_EQ(Doc().Slice(Orientation::kAxial), 7);
  EXPECT_EQ(Doc().fusion, Fusion::kDifference);
  EXPECT_EQ(Doc().Image(Doc().fused_image)->name, "prediction.nii.gz");
  Doc().fusion_share = 0.9;
  Doc().Notify(kDisplayChanged);
  QTest::qWait(100);
  Shot("image_scores");

  // The other ways to see two images together, each its own picture.
  std::vector<QImage> pictures;
  auto* fusion = window_->findChild<QComboBox*>("fusion");
  for (int way = 0; way < fusion->count(); ++way) {
    fusion->setCurrentIndex(way);
    QTest::qWait(20);
    pictures.push_back(View(Orientation::kAxial).grab().toImage());
    for (int before = 0; before < way; ++before) EXPECT_NE(pictures[way], pictures[before]) << way;
  }
}

// What a network made is kept like a mask: in the journal at once, offered after a kill.
TEST_F(WindowTranslates, AnUnsavedResultIsKept) {
  auto layer = ImageFromVolume(test::Head(), "head_synthetic.nii.gz");
  layer->synthetic = layer->unsaved = true;
  layer->id = 2;
  layer->companions = {{".manifest.json", "{\"job\": \"translate\"}"}};
  const fs::path left = TemporaryFolder() / "unsaved" / "window-1-0";
  {
    const Journal journal(TemporaryFolder() / "other");
    journal.Keep(*layer, "");
    fs::copy(journal.folder(), left, fs::copy_options::recursive);  // as a killed window leaves it
  }
  const auto entries = session_->journal().Abandoned();
  ASSERT_EQ(entries.size(), 1u);
  EXPECT_TRUE(entries[0].is_image);
  session_->Recover(entries);
  ASSERT_TRUE(WaitFor([this] { return Doc().images().size() == 1; }));
  const ImageLayer& again = *Doc().images().front();
  EXPECT_TRUE(again.unsaved);
  EXPECT_TRUE(again.synthetic);
  EXPECT_EQ(again.name, "head_synthetic.nii.gz");
  EXPECT_EQ(again.volume->data, layer->volume->data);
  ASSERT_EQ(again.companions.size(), 1u);
  ASSERT_TRUE(Idle());
  EXPECT_TRUE(session_->journal().Abandoned().empty()) << "taken over";
}

// Any image can be saved in any format that is written; its voxels lie where they lay.
TEST_F(WindowTranslates, SavesImagesInEveryFormat) {
  OpenAndLook(HeadFile());
  const ImageLayer& image = *Doc().ActiveImage();
  for (const char* ending : {".nii.gz", ".nii", ".hdr", ".nrrd", ".nhdr", ".mha", ".mhd"}) {
    const fs::path path = TemporaryFolder() / (std::string("copy") + ending);
    bool saved = false;
    session_->Save(image.id, path, [&](bool done) { saved = done; });
    ASSERT_TRUE(Idle());
    ASSERT_TRUE(saved) << ending << window_->BannerText().toStdString();
    const io::Volume copy = io::ReadVolume(path);
    EXPECT_EQ(copy.type, image.volume->type) << ending;
    EXPECT_EQ(copy.data, image.volume->data) << ending;
    const double moved = io::MaxCornerDistance(copy.geometry, image.volume->geometry);
    EXPECT_LT(moved, std::string(ending)[1] == 'n' && ending[2] == 'i' ? 1e-12 : 1e-4) << ending;
  }
  EXPECT_EQ(image.name, "head.nii.gz") << "a copy does not rename the layer";
  EXPECT_FALSE(image.unsaved);
  // Its own file is never written over.
  session_->Save(image.id, image.path);
  ASSERT_TRUE(Idle());
  EXPECT_TRUE(window_->BannerText().contains("never written over"));
}

}  // namespace
}  // namespace avocet::gui

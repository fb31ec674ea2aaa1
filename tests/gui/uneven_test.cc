// SPDX-License-Identifier: Apache-2.0
// Series with a tilted gantry, missing or uneven slices in the window: what is wrong is said, and
// they are opened resampled when the person wants it, by whatever way they come in.
#include <QDragEnterEvent>
#include <QDropEvent>
#include <QInputDialog>
#include <QMessageBox>
#include <QMimeData>
#include <QPushButton>
#include <QTreeWidget>
#include <QUrl>

#include "io/dicom_seg.h"
#include "io/dicom_source_series.h"
#include "tests/gui/window_fixture.h"
#include "tests/io/dicom_builder.h"

namespace avocet::gui {
namespace {

namespace fs = std::filesystem;
using test::TemporaryFolder;

class WindowUneven : public test::WindowTest {
 protected:
  struct Slices {
    std::vector<double> depths;
    double shift = 0;  // along the rows from slice to slice, mm
    std::string series = "1.2.3.9";
  };
  static fs::path Write(const std::string& name, const Slices& slices) {
    const fs::path folder = TemporaryFolder() / name;
    fs::create_directories(folder);
    for (size_t k = 0; k < slices.depths.size(); ++k) {
      test::DicomBuilder slice(32, 24,
                               {10 + slices.shift * static_cast<double>(k), 20, slices.depths[k]});
      slice.Text(0x0020000e, "UI", slices.series);
      slice.Text(0x00200052, "UI", "1.2.3.8");
      slice.Text(0x00200013, "IS", std::to_string(k + 1));
      std::vector<int16_t> values(32 * 24);
      for (size_t i = 0; i < values.size(); ++i) {
        values[i] = static_cast<int16_t>((i * 37) % 900 + 10 * k);
      }
      slice.Pixels(values);
      slice.Write(folder / (slices.series + "-" + std::to_string(k)));
    }
    return folder;
  }
  // Waits for the question and clicks the button that reads so.
  void Answer(const QString& button, const std::string& shot = "") {
    text_.clear();
    WhenAsked<QMessageBox>([this, button, shot](QMessageBox* box) {
      EXPECT_EQ(box->objectName(), "uneven");
      text_ = box->text() + "\n" + box->informativeText();
      if (!shot.empty()) {
        box->grab().toImage().save(QString::fromStdString(ShotPath(shot).string()));
      }
      for (QAbstractButton* one : box->buttons()) {
        if (one->text().remove('&') == button) return QTest::mouseClick(one, Qt::LeftButton);
      }
      ADD_FAILURE() << "no button " << button.toStdString();
      box->reject();
    });
  }
  // Calls `then` with the modal dialog of that kind as soon as there is one.
  template <typename Dialog>
  void WhenAsked(std::function<void(Dialog*)> then, int tries = 100) {
    QTimer::singleShot(100, window_.get(), [this, then = std::move(then), tries] {
      if (auto* dialog = qobject_cast<Dialog*>(QApplication::activeModalWidget())) {
        then(dialog);
      } else if (tries > 0) {
        WhenAsked<Dialog>(then, tries - 1);
      }
    });
  }
  void Drop(const fs::path& path) {
    QMimeData data;
    data.setUrls({QUrl::fromLocalFile(QString::fromStdString(path.string()))});
    QDragEnterEvent enter(QPoint(400, 300), Qt::CopyAction, &data, Qt::LeftButton, Qt::NoModifier);
    QApplication::sendEvent(window_.get(), &enter);
    QDropEvent drop(QPointF(400, 300), Qt::CopyAction, &data, Qt::LeftButton, Qt::NoModifier);
    QApplication::sendEvent(window_.get(), &drop);
    ASSERT_TRUE(Idle());
    QTest::qWait(30);
  }
  QString text_;  // of the question
};

TEST_F(WindowUneven, OpensResampledAndSaysSo) {
  const struct {
    const char* name;
    Slices slices;
    const char* fault;
  } cases[] = {{"tilted", {{0, 2, 4, 6}, 1.0}, "the gantry was tilted"},
               {"uneven", {{0, 2, 4, 7, 9}}, "unevenly spaced"},
               {"missing", {{0, 2, 6, 8}}, "1 slice seems to be missing"}};
  for (const auto& one : cases) {
    SCOPED_TRACE(one.name);
    const fs::path folder = Write(one.name, one.slices);
    Answer("Open resampled", std::string("uneven_question_") + one.name);
    Open({folder});
    EXPECT_TRUE(text_.contains(one.fault)) << text_.toStdString();
    EXPECT_TRUE(text_.contains("linear interpolation"));
    EXPECT_TRUE(text_.contains("true slices"));
    EXPECT_FALSE(text_.contains("--")) << text_.toStdString();
    ASSERT_EQ(Doc().images().size(), 1u) << window_->BannerText().toStdString();
    const ImageLayer* image = Doc().ActiveImage();
    EXPECT_TRUE(image->volume->resampled);
    EXPECT_GE(image->volume->geometry.size[2], static_cast<int64_t>(one.slices.depths.size()));
    bool listed = false;
    for (QTreeWidget* list : window_->findChildren<QTreeWidget*>()) {
      for (int row = 0; row < list->topLevelItemCount(); ++row) {
        listed = listed || list->topLevelItem(row)->text(0).contains("(resampled)");
      }
    }
    EXPECT_TRUE(listed);
    Shot(std::string("uneven_") + one.name);
    session_->Close(image->id);
  }
}

TEST_F(WindowUneven, IsNotOpenedWhenThePersonDoesNotWantIt) {
  const fs::path folder = Write("tilted", {{0, 2, 4, 6}, 1.0});
  Answer("Cancel");
  Open({folder});
  EXPECT_FALSE(text_.isEmpty());
  EXPECT_TRUE(Doc().images().empty());
  EXPECT_FALSE(window_->BannerText().contains("--")) << window_->BannerText().toStdString();
}

TEST_F(WindowUneven, AsksForWhatIsDroppedAndChosenToo) {
  Answer("Open resampled");
  Drop(Write("tilted", {{0, 2, 4, 6}, 1.0}));
  ASSERT_EQ(Doc().images().size(), 1u) << window_->BannerText().toStdString();
  EXPECT_TRUE(Doc().ActiveImage()->volume->resampled);
  session_->Close(Doc().ActiveImage()->id);

  // One even series and an uneven one in a folder.
  const fs::path both = Write("both", {{0, 2, 4}, 0, "1.2.3.1"});
  Write("both", {{0, 2, 4, 7}, 0, "1.2.3.2"});
  QStringList items;
  WhenAsked<QInputDialog>([&](QInputDialog* dialog) {
    items = dialog->comboBoxItems();
    Answer("Open resampled");
    dialog->setTextValue(items.last());
    dialog->accept();
  });
  Open({both});
  ASSERT_EQ(items.size(), 2) << items.join("\n").toStdString();
  EXPECT_TRUE(items.last().contains("uneven")) << items.last().toStdString();
  ASSERT_EQ(Doc().images().size(), 1u) << window_->BannerText().toStdString();
  EXPECT_TRUE(Doc().ActiveImage()->volume->resampled);
  EXPECT_EQ(Doc().ActiveImage()->volume->series_instance_uid, "1.2.3.2");
}

// What is painted on the even grid goes to the slices that were taken.
TEST_F(WindowUneven, ASegmentationLiesOnTheTrueSlices) {
  const fs::path folder = Write("uneven", {{0, 2, 4, 7, 9}});
  Answer("Open resampled");
  Open({folder});
  ASSERT_EQ(Doc().images().size(), 1u);
  auto layer = std::make_unique<LabelLayer>();
  layer->name = "mask";
  layer->header = Doc().ActiveImage()->volume;
  layer->labels = std::make_shared<std::vector<uint16_t>>(layer->geometry().VoxelCount(), 1);
  layer->table[1].name = "everything";
  const int id = Doc().AddLabels(std::move(layer));
  const fs::path seg = TemporaryFolder() / "seg.dcm";
  bool done = false;
  session_->ExportDicom(id, seg, {folder, "", false, false}, [&](bool ok) { done = ok; });
  ASSERT_TRUE(Idle());
  ASSERT_TRUE(done) << window_->BannerText().toStdString();
  // Without the series its frames are where the slices are: at uneven distances.
  EXPECT_THROW(io::ReadDicomSeg(seg), IoError);
  SilentProgress progress;
  const io::SourceSeries source = io::ReadSourceSeries(folder, "", progress);
  const io::SegReadResult read = io::ReadDicomSeg(seg, &source);
  const auto& fields = read.fields;
  const auto frames = std::find_if(fields.begin(), fields.end(),
                                   [](const auto& one) { return one.first == "NumberOfFrames"; });
  ASSERT_NE(frames, fields.end());
  EXPECT_EQ(frames->second, "5") << "one frame for each slice of the series";
}

}  // namespace
}  // namespace avocet::gui

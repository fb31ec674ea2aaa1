// SPDX-License-Identifier: Apache-2.0
// Masks of another frame of reference, opened onto an image in the window.
#include <QAbstractButton>
#include <QMessageBox>
#include <QTreeWidget>

#include "io/dicom_seg.h"
#include "io/dicom_source_series.h"
#include "io/rtstruct.h"
#include "tests/gui/window_fixture.h"
#include "tests/io/dicom_builder.h"

namespace avocet::gui {
namespace {

namespace fs = std::filesystem;
using test::TemporaryFolder;

class OtherSpace : public test::WindowTest {
 protected:
  static fs::path Series(const std::string& name, const std::string& uid,
                         const std::string& frame) {
    const fs::path folder = TemporaryFolder() / name;
    fs::create_directories(folder);
    for (int k = 0; k < 6; ++k) {
      test::DicomBuilder slice(24, 20, {-10, 5, 3.0 * k});
      slice.Text(0x00200013, "IS", std::to_string(k + 1));
      slice.Text(0x0020000e, "UI", uid);
      slice.Text(0x00200052, "UI", frame);
      std::vector<int16_t> values(24 * 20);
      for (int i = 0; i < 480; ++i) values[i] = static_cast<int16_t>((i * 37 + k * 101) % 900);
      slice.Pixels(values);
      slice.Write(folder / ("s" + std::to_string(k) + ".dcm"));
    }
    return folder;
  }
  void SetUp() override {
    WindowTest::SetUp();
    own_ = Series("own", "1.2.3.71", "1.2.3.81");
    other_ = Series("other", "1.2.3.72", "1.2.3.82");
    SilentProgress progress;
    const io::SourceSeries source = io::ReadSourceSeries(own_, "", progress);
    io::Volume mask = io::Volume::Zeros(source.geometry, io::VoxelType::kUInt8);
    for (int k = 1; k < 4; ++k)
      for (int j = 5; j < 12; ++j)
        for (int i = 6; i < 18; ++i) mask.As<uint8_t>()[(k * 20 + j) * 24 + i] = 1;
    seg_ = TemporaryFolder() / "seg.dcm";
    contours_ = TemporaryFolder() / "rs.dcm";
    io::WriteDicomSeg(mask, source, seg_, {});
    io::WriteRtStruct(mask, source, contours_, {});
  }
  // Clicks the button of the question with that text, once it is asked.
  void Answer(const QString& button, const char* shot = nullptr) {
    asked_ = 0;
    QTimer::singleShot(50, window_.get(), [this, button, shot] { AnswerNow(button, shot, 400); });
  }
  void AnswerNow(const QString& button, const char* shot, int tries) {
    auto* box = qobject_cast<QMessageBox*>(QApplication::activeModalWidget());
    if (box == nullptr || box->objectName() != "other_space") {
      if (tries > 0)
        QTimer::singleShot(50, window_.get(), [=] { AnswerNow(button, shot, tries - 1); });
      return;
    }
    ++asked_;
    text_ = box->informativeText();
    if (shot != nullptr)
      box->grab().toImage().save(QString::fromStdString(ShotPath(shot).string()));
    for (QAbstractButton* one : box->buttons()) {
      if (one->text().remove('&') == button) return QTest::mouseClick(one, Qt::LeftButton);
    }
    ADD_FAILURE() << "no button " << button.toStdString();
    box->reject();
  }
  // The rows of the layer list.
  QString Rows() {
    QString rows;
    for (auto* list : window_->findChildren<QTreeWidget*>())
      for (int row = 0; row < list->topLevelItemCount(); ++row)
        rows += list->topLevelItem(row)->text(0) + "\n";
    return rows;
  }

  fs::path own_, other_, seg_, contours_;
  int asked_ = 0;
  QString text_;
};

TEST_F(OtherSpace, IsAskedForAndMarked) {
  Open({other_});
  ASSERT_EQ(Doc().images().size(), 1u) << window_->BannerText().toStdString();
  for (const fs::path& mask : {seg_, contours_}) {
    SCOPED_TRACE(mask.filename());
    const size_t before = Doc().labels().size();
    Answer("Cancel");
    Open({mask});
    ASSERT_TRUE(WaitFor([this] { return asked_ == 1; }));
    ASSERT_TRUE(Idle());
    EXPECT_EQ(Doc().labels().size(), before);
    for (const char* uid : {"1.2.3.71", "1.2.3.72", "1.2.3.81", "1.2.3.82"})
      EXPECT_TRUE(text_.contains(uid)) << text_.toStdString();
    EXPECT_FALSE(text_.contains("--")) << "names a flag of the command line";
    Answer("Open anyway", "other_space_question");
    Open({mask});
    ASSERT_TRUE(WaitFor([this] { return asked_ == 1; }));
    ASSERT_TRUE(Idle());
    ASSERT_EQ(Doc().labels().size(), before + 1);
    EXPECT_TRUE(Doc().labels().back()->other_space);
  }
  EXPECT_EQ(Rows().count("(other frame of reference)"), 2) << Rows().toStdString();
  Shot("other_space");
}

TEST_F(OtherSpace, ItsOwnImageTakesAMaskWithoutAQuestion) {
  Open({own_});
  Open({seg_, contours_});
  ASSERT_EQ(Doc().labels().size(), 2u) << window_->BannerText().toStdString();
  for (const auto& labels : Doc().labels()) EXPECT_FALSE(labels->other_space);
  EXPECT_FALSE(Rows().contains("other frame of reference"));
}

TEST_F(OtherSpace, AnImageOpenedAfterTheMaskMarksIt) {
  Open({seg_});
  ASSERT_EQ(Doc().labels().size(), 1u);
  EXPECT_FALSE(Doc().labels()[0]->other_space);
  Open({other_});
  EXPECT_TRUE(Doc().labels()[0]->other_space);
  EXPECT_TRUE(Rows().contains("other frame of reference")) << Rows().toStdString();
}

}  // namespace
}  // namespace avocet::gui

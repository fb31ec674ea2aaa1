// SPDX-License-Identifier: Apache-2.0
// What the window says of a model that does not suit the image, and of a result not to be trusted.
#include <QCheckBox>
#include <QLabel>
#include <QListWidget>
#include <QTreeWidget>
#include <nlohmann/json.hpp>

#include "app/gui/job_files.h"
#include "app/gui/report.h"
#include "io/volume_io.h"
#include "tests/gui/phantom.h"
#include "tests/gui/window_fixture.h"

namespace avocet::gui {
namespace {

namespace fs = std::filesystem;
using test::ShippedData;

class WindowModelFit : public test::WindowTest {
 protected:
  QListWidget& Models() { return *window_->findChild<QListWidget*>("models"); }
  QPushButton& Run() { return *window_->findChild<QPushButton*>("run_model"); }
  QCheckBox& Force() { return *window_->findChild<QCheckBox*>("force"); }
  QString About() {
    QString text;
    for (const auto* label : Models().parentWidget()->findChildren<QLabel*>())
      text += label->text();
    return text;
  }
  void ChooseSegmentation() {
    ASSERT_TRUE(WaitFor([this] { return !session_->catalogue().empty(); }));
    ASSERT_TRUE(Idle());
    for (int row = 0; row < Models().count(); ++row) {
      if (!Models().item(row)->text().contains("segments")) continue;
      Models().setCurrentRow(row);
      return;
    }
    FAIL() << "no model segments";
  }
  QString LayerText(int column_role) {
    QString text;
    for (const auto* tree : window_->findChildren<QTreeWidget*>()) {
      for (int row = 0; row < tree->topLevelItemCount(); ++row) {
        text += tree->topLevelItem(row)->data(0, column_role).toString() + "\n";
      }
    }
    return text;
  }
  // Pixels in the colour of warnings.
  int64_t WarningPixels(const fs::path& report) {
    const QImage image(QString::fromStdString(report.string()));
    int64_t count = 0;
    for (int y = 0; y < image.height(); ++y) {
      for (int x = 0; x < image.width(); ++x) {
        const QColor c = image.pixelColor(x, y);
        count += std::abs(c.red() - 170) < 6 && std::abs(c.green() - 40) < 6 &&
                 std::abs(c.blue() - 30) < 6;
      }
    }
    return count;
  }
};

TEST_F(WindowModelFit, ACropOfTheRightKindFits) {
  Open({ShippedData("hippocampus/images/hippocampus_105.nii.gz")});
  ChooseSegmentation();
  EXPECT_TRUE(Models().currentItem()->text().contains("fits this image")) << About().toStdString();
  QTest::mouseClick(&Run(), Qt::LeftButton);
  ASSERT_TRUE(WaitFor([this] { return Doc().labels().size() == 1; }, 120))
      << window_->BannerText().toStdString();
  EXPECT_FALSE(DoubtsOf(Doc().labels().front()->companions).Any());
  EXPECT_FALSE(LayerText(Qt::DisplayRole).contains(QString::fromUtf8("\u26a0")));
  const fs::path report = test::TemporaryFolder() / "report.png";
  WriteReport(*session_, QImage(200, 100, QImage::Format_RGB32), report);
  EXPECT_EQ(WarningPixels(report), 0);
}

TEST_F(WindowModelFit, AHeadIsNotMeantForAModelOfCrops) {
  const fs::path path = test::TemporaryFolder() / "head.nii.gz";
  io::WriteVolume(test::Head(), path);
  Open({path});
  ChooseSegmentation();
  EXPECT_TRUE(Models().currentItem()->text().contains("not meant for this image"))
      << Models().currentItem()->text().toStdString();
  EXPECT_TRUE(About().contains("field of view")) << About().toStdString();
  EXPECT_FALSE(About().contains("--")) << "the window has no options with dashes";
  EXPECT_FALSE(Run().isEnabled());
  ASSERT_TRUE(Force().isVisible());
  Shot("model_does_not_fit");
  QTest::mouseClick(&Force(), Qt::LeftButton, {}, QPoint(8, Force().height() / 2));
  ASSERT_TRUE(Run().isEnabled());
  QTest::mouseClick(&Run(), Qt::LeftButton);
  ASSERT_TRUE(WaitFor([this] { return Doc().labels().size() == 1; }, 300))
      << window_->BannerText().toStdString();
  EXPECT_TRUE(window_->BannerText().contains("although")) << window_->BannerText().toStdString();
  const core::ManifestDoubts doubts = DoubtsOf(Doc().labels().front()->companions);
  EXPECT_NE(doubts.overridden.find("field of view"), std::string::npos) << doubts.overridden;
  EXPECT_FALSE(doubts.implausible.empty());
  EXPECT_TRUE(LayerText(Qt::DisplayRole).contains(QString::fromUtf8("\u26a0")));
  EXPECT_TRUE(LayerText(Qt::ToolTipRole).contains("Implausible"))
      << LayerText(Qt::ToolTipRole).toStdString();
  EXPECT_TRUE(LayerText(Qt::ToolTipRole).contains("Made although"));
  QTest::qWait(300);
  Shot("implausible_result");
  const fs::path report = ShotPath("report_implausible");
  WriteReport(*session_, window_->grab().toImage(), report);
  EXPECT_GT(WarningPixels(report), 100);
}

}  // namespace
}  // namespace avocet::gui

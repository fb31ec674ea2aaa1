// SPDX-License-Identifier: Apache-2.0
// Real images of each kind in the window: what must hold of every one of them, and with
// AVOCET_GALLERY set pictures for eyes (build/release/screenshots/gallery_*), which take their
// time. QT_SCALE_FACTOR=2 shows the window on a fine screen.
#include <QComboBox>
#include <QScrollArea>
#include <algorithm>
#include <cmath>

#include "io/file_util.h"
#include "io/volume_io.h"
#include "tests/gui/window_fixture.h"

namespace avocet::gui {
namespace {

namespace fs = std::filesystem;
using test::SharedData;

class Gallery : public test::WindowTest {
 protected:
  void SetUp() override {
    if (SharedData("data/brain").empty()) GTEST_SKIP() << "../shared/data is not there";
    test::WindowTest::SetUp();
  }
  static fs::path Data(const std::string& name) { return SharedData("data/" + name); }
  static bool ForEyes() { return std::getenv("AVOCET_GALLERY") != nullptr; }
  void Picture(const std::string& name, int wait_ms = 300) {
    if (!ForEyes()) return;
    QTest::qWait(wait_ms);
    const bool fine = window_->devicePixelRatioF() > 1.5;
    Shot("gallery_" + name + (fine ? "_200" : ""));
  }
  // Every view shows something, and the letters of opposite sides are opposite.
  void ExpectSound() {
    const auto opposite = [](std::string letters) {
      for (char& c : letters) {
        static const std::string kFrom = "RLAPSI", kTo = "LRPAIS";
        c = kTo[kFrom.find(c)];
      }
      return letters;
    };
    for (const Orientation orientation : kOrientations) {
      SliceView& view = View(orientation);
      if (!view.isVisible()) continue;
      const QImage image = view.grab().toImage();
      EXPECT_NEAR(image.width(), view.width() * view.devicePixelRatioF(), 1) << "device pixels";
      int64_t bright = 0;
      for (int y = 60; y < image.height() - 60; ++y) {
        for (int x = 60; x < image.width() - 60; ++x) bright += qGreen(image.pixel(x, y)) > 40;
      }
      EXPECT_GT(bright, 500) << NameOf(orientation);
      const auto letters = Doc().Plane(orientation).Letters();
      EXPECT_EQ(opposite(letters[0]), letters[1]);
      EXPECT_EQ(opposite(letters[2]), letters[3]);
    }
    // 70 % of the window belong to the views.
    const auto area = [](const QWidget& w) { return static_cast<double>(w.width()) * w.height(); };
    EXPECT_GT(area(window_->views()), 0.7 * area(*window_));
  }
};

TEST_F(Gallery, CtSeriesWithManyLabels) {
  Open({Data("totalsegmentator/example_ct_dicom"),
        Data("totalsegmentator/example_seg_dicom.nii.gz")});
  ASSERT_EQ(Doc().images().size(), 1u) << window_->BannerText().toStdString();
  ASSERT_EQ(Doc().labels().size(), 1u);
  EXPECT_EQ(Doc().ActiveImage()->Unit(), "HU");
  const VolumeView& three = window_->views().volume();
  const size_t labels = Doc().ActiveLabels()->table.size();
  EXPECT_TRUE(WaitFor([&] { return three.surface_count() + 2 >= labels; }, 60));
  ExpectSound();
  Picture("ct", 1500);
  // 42 labels do not fit on one page: the picture is longer, the PDF has more pages.
  window_->SaveReport(ShotPath("gallery_ct_report"));
  const fs::path pdf = test::TemporaryFolder() / "report.pdf";
  window_->SaveReport(pdf);
  const std::string bytes = io::ReadTextFile(pdf);
  size_t pages = 0;
  for (size_t at = bytes.find("/Type /Page\n"); at != std::string::npos;
       at = bytes.find("/Type /Page\n", at + 1)) {
    ++pages;
  }
  EXPECT_GE(pages, 2u);
  QTest::keyClick(window_.get(), Qt::Key_4);
  Picture("ct_3d", 1500);
}

TEST_F(Gallery, CtVolume) {
  Open({Data("totalsegmentator/example_ct.nii.gz")});
  ASSERT_EQ(Doc().images().size(), 1u) << window_->BannerText().toStdString();
  window_->findChild<QComboBox*>("cloud")->setCurrentIndex(1);
  ExpectSound();
  Picture("ct_volume", 2500);
}

TEST_F(Gallery, MrHead) {
  Open({Data("brain/ixi/IXI012-HH-1211_T1.nii.gz")});
  ASSERT_EQ(Doc().images().size(), 1u) << window_->BannerText().toStdString();
  ASSERT_TRUE(WaitFor([this] { return !session_->catalogue().empty(); }));
  ASSERT_TRUE(Idle());
  ExpectSound();
  Picture("mr");
  if (!ForEyes()) return;
  // Translated, and the result behind a curtain over the original.
  for (const CatalogueModel& model : session_->catalogue()) {
    if (!model.Translates()) continue;
    session_->Translate(Doc().ActiveImage()->id, model, {});
    break;
  }
  ASSERT_TRUE(WaitFor([this] { return Doc().images().size() == 2; }, 120))
      << window_->BannerText().toStdString();
  Doc().SetActiveImage(Doc().images().front()->id);
  Doc().fused_image = Doc().images().back()->id;
  Doc().fusion = Fusion::kCurtain;
  Doc().Notify(kDisplayChanged | kLayersChanged);
  Picture("curtain");
}

TEST_F(Gallery, ObliqueHead) {
  Open({Data("brain/3t_t1w/studyforrest_t1w_3T_halfres.nii.gz")});
  ASSERT_EQ(Doc().images().size(), 1u) << window_->BannerText().toStdString();
  ExpectSound();
  Picture("oblique_own");
  QTest::keyClick(window_.get(), Qt::Key_P);
  EXPECT_TRUE(Doc().patient_planes());
  // Along the patient's axes no side has two letters.
  for (const Orientation orientation : kOrientations) {
    for (const auto& letter : Doc().Plane(orientation).Letters()) EXPECT_EQ(letter.size(), 1u);
  }
  ExpectSound();
  Picture("oblique_patient");
}

TEST_F(Gallery, ShearedThickAndColour) {
  Open({Data("awkward/sheared/shear.nii.gz")});
  ASSERT_EQ(Doc().images().size(), 1u) << window_->BannerText().toStdString();
  ExpectSound();
  Picture("sheared");
  session_->Close(Doc().images().front()->id);
  Open({Data("brain/torchio/t2.nii.gz")});
  ASSERT_EQ(Doc().images().size(), 1u);
  ExpectSound();
  Picture("thick");
  session_->Close(Doc().images().front()->id);
  for (const auto& entry : fs::directory_iterator(Data("isic2017/images"))) {
    Open({entry.path()});
    break;
  }
  ASSERT_EQ(Doc().images().size(), 1u) << window_->BannerText().toStdString();
  Picture("colour");
}

}  // namespace
}  // namespace avocet::gui

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <QApplication>
#include <QElapsedTimer>
#include <QImage>
#include <QPainter>
#include <QSettings>
#include <QTest>
#include <QTimer>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "app/gui/main_window.h"
#include "app/gui/plain_numbers.h"
#include "app/gui/theme.h"
#include "tests/support/test_support.h"

namespace avocet::test {

// The real window under Xvfb with software OpenGL, settings and state in a folder of the test.
class WindowTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    setenv("LIBGL_ALWAYS_SOFTWARE", "1", 1);
    const auto folder = TemporaryFolder();
    std::filesystem::create_directories(folder / "runtime");
    std::filesystem::permissions(folder / "runtime", std::filesystem::perms::owner_all);
    setenv("XDG_RUNTIME_DIR", (folder / "runtime").c_str(), 1);
    setenv("XDG_CONFIG_HOME", (folder / "config").c_str(), 1);
    setenv("XDG_STATE_HOME", (folder / "state").c_str(), 1);
    if (QApplication::instance() == nullptr) {
      static char name[] = "window_test";
      static char* arguments[] = {name, nullptr};
      static int count = 1;
      // Never deleted: Qt's own statics would be gone before it.
      static auto& application = *new QApplication(count, arguments);
      QCoreApplication::setOrganizationName("avocet");
      QCoreApplication::setApplicationName("avocet");
      QSettings::setDefaultFormat(QSettings::IniFormat);
      gui::UsePlainNumbers();
      gui::ApplyTheme(application);
    }
  }

  void SetUp() override {
    QSettings().clear();
    session_ = std::make_unique<gui::Session>(TemporaryFolder() / "unsaved");
    window_ = std::make_unique<gui::MainWindow>(*session_);
    window_->resize(1280, 800);
    window_->show();
    ASSERT_TRUE(QTest::qWaitForWindowExposed(window_.get()));
    QApplication::setActiveWindow(window_.get());  // there is no window manager to do it
  }
  void TearDown() override {
    window_.reset();
    session_.reset();
  }

  // Lets the window live until `done`, at most `seconds`.
  static bool WaitFor(const std::function<bool()>& done, double seconds = 120) {
    QElapsedTimer clock;
    clock.start();
    while (!done()) {
      if (static_cast<double>(clock.elapsed()) > seconds * 1000) return false;
      QTest::qWait(10);
    }
    return true;
  }
  bool Idle() {
    return WaitFor([this] { return session_->tasks.Running().empty(); });
  }
  void Open(const std::vector<std::filesystem::path>& paths) {
    window_->OpenPaths(paths);
    ASSERT_TRUE(Idle());
    QTest::qWait(30);
  }
  static std::filesystem::path ShotPath(const std::string& name) {
    const auto folder = AvocetBinary().parent_path().parent_path() / "screenshots";
    std::filesystem::create_directories(folder);
    return folder / (name + ".png");
  }
  // What the person sees; kept as build/release/screenshots/NAME.png to be looked at.
  QImage Shot(const std::string& name) {
    const QImage image = window_->grab().toImage().convertToFormat(QImage::Format_RGB32);
    image.save(QString::fromStdString(ShotPath(name).string()));
    return image;
  }
  // Compares with tests/data/gui/NAME.png: at most one pixel in a thousand may differ by more than
  // 24 steps (fonts are drawn a little differently by each version of FreeType). With
  // AVOCET_UPDATE_BASELINES set the file is written instead.
  static testing::AssertionResult LooksLike(const QImage& image, const std::string& name) {
    const auto path = TestData("gui/" + name + ".png");
    const QString file = QString::fromStdString(path.string());
    if (std::getenv("AVOCET_UPDATE_BASELINES") != nullptr) {
      std::filesystem::create_directories(path.parent_path());
      image.save(file);
      return testing::AssertionSuccess() << "written";
    }
    const QImage baseline = QImage(file).convertToFormat(QImage::Format_RGB32);
    if (baseline.size() != image.size()) {
      return testing::AssertionFailure() << name << " has another size than its baseline";
    }
    int64_t different = 0;
    for (int y = 0; y < image.height(); ++y) {
      for (int x = 0; x < image.width(); ++x) {
        const QRgb a = image.pixel(x, y), b = baseline.pixel(x, y);
        different += std::abs(qRed(a) - qRed(b)) > 24 || std::abs(qGreen(a) - qGreen(b)) > 24 ||
                     std::abs(qBlue(a) - qBlue(b)) > 24;
      }
    }
    if (different * 1000 <= int64_t{image.width()} * image.height()) {
      return testing::AssertionSuccess();
    }
    return testing::AssertionFailure()
           << name << " differs from its baseline in " << different << " pixels";
  }
  gui::SliceView& View(gui::Orientation orientation) { return window_->views().slice(orientation); }
  gui::Document& Doc() { return session_->document; }

  std::unique_ptr<gui::Session> session_;
  std::unique_ptr<gui::MainWindow> window_;
};

}  // namespace avocet::test

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <QApplication>
#include <QElapsedTimer>
#include <QSettings>
#include <QTest>
#include <QTimer>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "app/gui/main_window.h"
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
      static QApplication application(count, arguments);
      QCoreApplication::setOrganizationName("avocet");
      QCoreApplication::setApplicationName("avocet");
      QSettings::setDefaultFormat(QSettings::IniFormat);
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
  }
  void TearDown() override {
    window_.reset();
    session_.reset();
  }

  // Lets the window live until `done`, at most `seconds`.
  static bool WaitFor(const std::function<bool()>& done, double seconds = 20) {
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
  // What the person sees; kept as build/release/screenshots/NAME.png to be looked at.
  QImage Shot(const std::string& name) {
    const QImage image = window_->grab().toImage().convertToFormat(QImage::Format_RGB32);
    const auto folder = AvocetBinary().parent_path().parent_path() / "screenshots";
    std::filesystem::create_directories(folder);
    image.save(QString::fromStdString((folder / (name + ".png")).string()));
    return image;
  }
  gui::SliceView& View(gui::Orientation orientation) { return window_->views().slice(orientation); }
  gui::Document& Doc() { return session_->document; }

  std::unique_ptr<gui::Session> session_;
  std::unique_ptr<gui::MainWindow> window_;
};

}  // namespace avocet::test

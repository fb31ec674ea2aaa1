// SPDX-License-Identifier: Apache-2.0
// `avocet gui` without a window: what the other subcommands pay for it, and what it says when it
// cannot run. The window itself: tests/gui.
#include <gtest/gtest.h>

#include <cstdlib>

#include "tests/support/test_support.h"

namespace avocet {
namespace {

using test::RunAvocet;

TEST(GuiCommand, OtherSubcommandsLoadNeitherQtNorVtk) {
  setenv("LD_TRACE_LOADED_OBJECTS", "1", 1);  // the loader lists instead of running
  const auto libraries = RunAvocet({"--help"});
  unsetenv("LD_TRACE_LOADED_OBJECTS");
  EXPECT_NE(libraries.out.find("libc.so"), std::string::npos) << libraries.out;
  EXPECT_EQ(libraries.out.find("libQt"), std::string::npos);
  EXPECT_EQ(libraries.out.find("libvtk"), std::string::npos);
}

TEST(GuiCommand, ABuildWithoutItSaysWhy) {
  setenv("AVOCET_GUI_LIBRARY", "/nowhere/libavocet_gui.so", 1);
  const auto result = RunAvocet({"gui"});
  unsetenv("AVOCET_GUI_LIBRARY");
  EXPECT_EQ(result.exit_code, 5);
  EXPECT_NE(result.err.find("this build has no window"), std::string::npos) << result.err;
  EXPECT_EQ(RunAvocet({"gui", "--help"}).exit_code, 0);
}

TEST(GuiCommand, AMachineWithoutDisplayIsASentence) {
  for (const char* name : {"DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"}) unsetenv(name);
  const auto missing = RunAvocet({"gui"});
  EXPECT_EQ(missing.exit_code, 5);
  EXPECT_EQ(missing.err.rfind("avocet: error: ", 0), 0u) << missing.err;
#ifndef AVOCET_TEST_HAS_WINDOW
  // Such a build says so in the last line of `./dev test`, too.
  EXPECT_NE(missing.err.find("this build has no window"), std::string::npos) << missing.err;
  return;
#endif
  EXPECT_NE(missing.err.find("no display"), std::string::npos) << missing.err;
  setenv("DISPLAY", ":4711", 1);
  const auto wrong = RunAvocet({"gui"});
  EXPECT_EQ(wrong.exit_code, 5) << "no core dump";
  EXPECT_NE(wrong.err.find("the window cannot be opened"), std::string::npos) << wrong.err;
}

}  // namespace
}  // namespace avocet

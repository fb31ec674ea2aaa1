// SPDX-License-Identifier: Apache-2.0
// `./dev` with programs of the test in the place of cmake, ctest and dpkg-query: what it asks of
// them, and what it says of a test run. And CMake itself: packages that come and go are noticed.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "tests/support/test_support.h"

namespace avocet {
namespace {

namespace fs = std::filesystem;

std::string Slurp(const fs::path& path) {
  std::ifstream in(path);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

void Write(const fs::path& path, const std::string& text, bool program = false) {
  fs::create_directories(path.parent_path());
  std::ofstream(path) << text;
  if (program) fs::permissions(path, fs::perms::owner_all);
}

struct Ran {
  int status = -1;
  std::vector<std::string> lines;  // of both streams

  std::string All() const {
    std::string all;
    for (const std::string& line : lines) all += line + "\n";
    return all;
  }
  std::string Last(size_t back = 0) const {
    return lines.size() > back ? lines[lines.size() - 1 - back] : "";
  }
};

Ran Shell(const fs::path& folder, const std::string& command) {
  const fs::path log = folder / "shell.log";
  const std::string line =
      "cd '" + folder.string() + "' && { " + command + "; } >'" + log.string() + "' 2>&1";
  Ran ran;
  const int status = std::system(("bash -c \"" + line + "\"").c_str());
  ran.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128;
  std::istringstream text(Slurp(log));
  for (std::string one; std::getline(text, one);) ran.lines.push_back(one);
  return ran;
}

fs::path Source(const std::string& relative) {
  return test::ShippedData("").parent_path().parent_path() / relative;
}

class DevScript : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = test::TemporaryFolder() / "tree";
    fs::create_directories(folder_ / "tests/support");
    fs::copy(Source("dev"), folder_ / "dev");
    fs::copy(Source("tests/support/summary.py"), folder_ / "tests/support/summary.py");
    Write(folder_ / "bin/dpkg-query", "#!/bin/sh\nprintf 'install ok installed'\n", true);
    // Each call is a line of cmake.log. What it says is in said.txt; with refuse.txt it fails.
    Write(folder_ / "bin/cmake",
          "#!/bin/sh\necho \"$@\" >>cmake.log\nmkdir -p build/release\n"
          "if [ -f refuse.txt ]; then cat refuse.txt; exit 1; fi\n"
          "case $1 in --preset) cp coverage.txt build/release/; cat said.txt ;; esac\n",
          true);
    // Puts down the results that the test wrote.
    Write(folder_ / "bin/ctest",
          "#!/bin/sh\necho \"$@\" >>ctest.log\ncp -r results/. build/release/results/\n"
          "exit \"$(cat status.txt)\"\n",
          true);
    Write(folder_ / "said.txt", "-- Avocet 1\n--   window ON\n-- \n");
    Covers("window\t\tgui/window\nmodels\t\tapp/demo\nGPU\t\tgpu/check\n");
    Status(0);
    Results({{"gui/window", "run", ""}, {"app/demo", "run", ""}, {"gpu/check", "run", ""}});
    fs::create_directories(folder_ / "shared");
  }
  void Covers(const std::string& text) { Write(folder_ / "coverage.txt", text); }
  void Status(int status) { Write(folder_ / "status.txt", std::to_string(status)); }
  struct Result {
    std::string name, status, inside;
  };
  void Results(const std::vector<Result>& results) {
    std::string text = "<testsuite>";
    for (const Result& one : results) {
      text += "<testcase name=\"" + one.name + "\" status=\"" + one.status + "\">" + one.inside +
              "</testcase>";
    }
    Write(folder_ / "results/ctest.xml", text + "</testsuite>");
  }
  void Cases(const std::string& program, const std::string& cases) {
    Write(folder_ / "results/gtest" / (program + ".xml"),
          "<testsuites><testsuite>" + cases + "</testsuite></testsuites>");
  }
  static std::string Case(const std::string& name, const std::string& inside = "") {
    return "<testcase classname=\"Suite\" name=\"" + name +
           "\" status=\"run\" result=\"completed\">" + inside + "</testcase>";
  }
  Ran Dev(const std::string& arguments, const std::string& torch = "/some/torch") {
    return Shell(folder_, "PATH='" + (folder_ / "bin").string() +
                              "':/usr/bin:/bin AVOCET_TORCH_DIR=" + torch +
                              " AVOCET_SHARED_DIR=shared ./dev " + arguments);
  }
  std::vector<std::string> Configured() {
    std::vector<std::string> calls;
    std::istringstream text(Slurp(folder_ / "cmake.log"));
    for (std::string line; std::getline(text, line);) {
      if (line.rfind("--preset", 0) == 0) calls.push_back(line);
    }
    return calls;
  }

  fs::path folder_;
};

TEST_F(DevScript, EachBuildConfigures) {
  Write(folder_ / "build/release/build.ninja", "");  // an older run was here
  const Ran first = Dev("build");
  ASSERT_EQ(first.status, 0) << first.All();
  EXPECT_NE(first.All().find("window ON"), std::string::npos) << first.All();
  // Said once; a change is said again.
  EXPECT_EQ(Dev("build").All().find("window ON"), std::string::npos);
  Write(folder_ / "said.txt", "-- Avocet 1\n--   window OFF\n-- \n");
  EXPECT_NE(Dev("build release -DAVOCET_BENCH=ON", "/other/torch").All().find("window OFF"),
            std::string::npos);
  const auto calls = Configured();
  ASSERT_EQ(calls.size(), 3u);
  EXPECT_EQ(calls[0], "--preset release -DAVOCET_TORCH_DIR=/some/torch -DAVOCET_GUI=AUTO");
  EXPECT_EQ(calls[2],
            "--preset release -DAVOCET_TORCH_DIR=/other/torch -DAVOCET_GUI=AUTO -DAVOCET_BENCH=ON");
}

TEST_F(DevScript, TestsInsistOnTheWindow) {
  const Ran ran = Dev("test");
  ASSERT_EQ(ran.status, 0) << ran.All();
  ASSERT_EQ(Configured().size(), 1u);
  EXPECT_NE(Configured()[0].find("-DAVOCET_GUI=ON"), std::string::npos) << Configured()[0];
  EXPECT_EQ(ran.Last(1), "3 passed, 0 failed, 0 skipped") << ran.All();
  EXPECT_EQ(ran.Last(), "covered: window, models, GPU, suites over shared");
  // Without it there is no run, and so nothing that passed.
  Write(folder_ / "refuse.txt", "Qt 6 is missing");
  fs::remove(folder_ / "ctest.log");
  const Ran refused = Dev("test");
  EXPECT_NE(refused.status, 0);
  EXPECT_FALSE(fs::exists(folder_ / "ctest.log"));
  EXPECT_EQ(refused.All().find("passed"), std::string::npos) << refused.All();
  EXPECT_NE(refused.All().find("Qt 6 is missing"), std::string::npos);
}

TEST_F(DevScript, TheLastLineSaysWhatWasLeftOut) {
  Covers("window\tQt 6 not found\t\nmodels\t\tapp/demo\nGPU\tno CUDA compiler\t\n");
  Results({{"app/demo", "run", ""}});
  fs::remove(folder_ / "shared");
  Ran ran = Dev("test");
  EXPECT_EQ(ran.status, 0) << ran.All();
  EXPECT_EQ(ran.Last(1), "1 passed, 0 failed, 0 skipped");
  EXPECT_EQ(ran.Last(),
            "NOT COVERED: window (Qt 6 not found), GPU (no CUDA compiler), suites over shared (not "
            "there)");
  // Tests of a part are missing from the run, or were skipped as a whole; a single case was
  // skipped.
  fs::create_directories(folder_ / "shared");
  Covers("window\t\tgui/window;gui/jobs\nmodels\t\tapp/demo\nGPU\t\tgpu/check\n");
  Results({{"app/demo", "run", ""},
           {"gui/window", "run", ""},
           {"gpu/check", "notrun", "<skipped message=\"SKIP_RETURN_CODE=77\"/>"}});
  Cases("app_demo_test", Case("One") +
                             Case("Two", "<skipped message=\"a.cc:7&#x0A;no dciodvfy\"/>") +
                             "<testcase classname=\"S\" name=\"DISABLED_X\" status=\"notrun\" "
                             "result=\"suppressed\"/>");
  ran = Dev("test");
  EXPECT_EQ(ran.status, 0) << ran.All();
  EXPECT_EQ(ran.Last(1), "2 passed, 0 failed, 2 skipped") << ran.All();
  EXPECT_EQ(ran.Last(),
            "NOT COVERED: window (skipped or not run: gui/jobs), GPU (skipped or not run: "
            "gpu/check), 2 tests that were skipped, listed above");
  EXPECT_NE(ran.All().find("skipped: app/demo Suite.Two: no dciodvfy"), std::string::npos);
  // A part of the tests only.
  Results({{"app/demo", "run", ""}});
  Cases("app_demo_test", Case("One"));
  ran = Dev("test app/demo");
  EXPECT_EQ(ran.Last(), "NOT COVERED: all but the tests that match 'app/demo'") << ran.All();
  EXPECT_NE(Slurp(folder_ / "ctest.log").find("-R app/demo"), std::string::npos);
}

TEST_F(DevScript, FailuresAreCountedAndTheStatusIsTheirs) {
  // One case fails; one program ends without a report; one fails after its last case.
  Status(8);
  Results({{"gui/window", "fail", "<failure/>"},
           {"app/demo", "fail", "<failure/>"},
           {"gpu/check", "fail", "<failure/>"}});
  Cases("gui_window_test", Case("One") + Case("Two", "<failure message=\"x\"/>") + Case("Three"));
  Cases("gpu_check_test", Case("One"));
  Ran ran = Dev("test");
  EXPECT_EQ(ran.status, 1);
  EXPECT_EQ(ran.Last(1), "3 passed, 3 failed, 0 skipped") << ran.All();
  // No test matched, or ctest could not start: not a run of zero failures.
  Results({});
  fs::remove_all(folder_ / "results/gtest");
  ran = Dev("test nothing");
  EXPECT_NE(ran.status, 0);
  EXPECT_EQ(ran.Last(1), "0 passed, 1 failed, 0 skipped") << ran.All();
}

// Qt that is installed after the first configuration, and removed again: CMake does not rely on
// what it remembers. A package and a library of the test stand for it.
TEST(Refind, PackagesThatComeAndGoAreNoticed) {
  const fs::path folder = test::TemporaryFolder() / "project";
  const fs::path prefix = folder / "prefix";
  fs::create_directories(prefix);
  Write(folder / "CMakeLists.txt",
        "cmake_minimum_required(VERSION 3.25)\nproject(scratch LANGUAGES NONE)\n"
        "include(\"" +
            Source(".cmake/Refind.cmake").string() +
            "\")\n"
            "set(CMAKE_FIND_LIBRARY_PREFIXES lib)\nset(CMAKE_FIND_LIBRARY_SUFFIXES .so)\n"
            "find_package(Pane QUIET)\nfind_library(PANE_LIBRARY pane)\n"
            "find_program(PANE_TOOL pane-tool)\nset(KEPT 7 CACHE STRING \"\")\n"
            "message(STATUS \"Pane:${Pane_FOUND} library:${PANE_LIBRARY} tool:${PANE_TOOL} "
            "kept:${KEPT}\")\n");
  const auto configure = [&](const std::string& more = "") {
    const Ran ran = Shell(folder, "cmake -S . -B build -DCMAKE_PREFIX_PATH='" + prefix.string() +
                                      "' -DCMAKE_FIND_USE_CMAKE_SYSTEM_PATH=OFF " + more);
    EXPECT_EQ(ran.status, 0) << ran.All();
    for (const std::string& line : ran.lines) {
      if (line.rfind("-- Pane:", 0) == 0) return line;
    }
    return ran.All();
  };
  const std::string without =
      "-- Pane:0 library:PANE_LIBRARY-NOTFOUND tool:PANE_TOOL-NOTFOUND kept:";
  EXPECT_EQ(configure("-DKEPT=8"), without + "8");
  Write(prefix / "lib/cmake/Pane/PaneConfig.cmake", "");
  Write(prefix / "lib/libpane.so", "");
  Write(prefix / "bin/pane-tool", "#!/bin/sh\n", true);
  EXPECT_EQ(configure(), "-- Pane:1 library:" + (prefix / "lib/libpane.so").string() +
                             " tool:" + (prefix / "bin/pane-tool").string() + " kept:8")
      << "what was not found is looked for again, options stay";
  fs::remove_all(prefix);
  EXPECT_EQ(configure(), without + "8") << "what is gone is not used";
}

// The build that runs this test: its window is tested in it, or coverage.txt says why not.
TEST(Coverage, ThisBuildSaysWhatItLeavesOut) {
  const fs::path build = test::AvocetBinary().parent_path().parent_path();
  const std::string text = Slurp(build / "coverage.txt");
  ASSERT_NE(text.find("window\t"), std::string::npos) << build;
  const size_t at = text.find("window\t") + 7;
  const std::string reason = text.substr(at, text.find('\t', at) - at);
  const bool tested = text.find("gui/window", at) != std::string::npos;
  EXPECT_EQ(reason.empty(), tested) << text;
}

}  // namespace
}  // namespace avocet

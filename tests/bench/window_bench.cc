// SPDX-License-Identifier: Apache-2.0
// The window at 1280 x 800 with a CT of 512 x 512 x 148 voxels and a label map over it, drawn by
// the processor: pictures a second while scrolling, time to the first slice, memory. Needs a
// display: xvfb-run -a build/release/bench/window_bench [FRAMES]
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <QApplication>
#include <QElapsedTimer>
#include <QSettings>
#include <QTest>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>

#include "app/gui/main_window.h"
#include "app/gui/theme.h"
#include "io/volume_io.h"

namespace {

using namespace avocet;
namespace fs = std::filesystem;

double MegabytesInUse(const char* field) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.rfind(field, 0) == 0) return std::atof(line.c_str() + std::string(field).size()) / 1e3;
  }
  return 0;
}

io::Volume Ct() {
  io::Geometry g;
  g.size = {512, 512, 148};
  g.spacing = {0.78, 0.78, 2.5};
  io::Volume volume = io::Volume::Zeros(g, io::VoxelType::kInt16);
  for (int64_t i = 0; i < g.VoxelCount(); ++i) {
    const double x = (i % 512 - 256) / 230.0, y = (i / 512 % 512 - 256) / 180.0;
    const auto noise = static_cast<int>((static_cast<uint64_t>(i) * 2654435761u >> 16) % 80);
    volume.As<int16_t>()[i] = static_cast<int16_t>(x * x + y * y < 1 ? noise : noise - 1040);
  }
  return volume;
}

// Processor time of this thread: what a frame costs when nothing else runs.
double ThreadSeconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

void Scroll(gui::MainWindow& window, gui::Orientation orientation, int frames, const char* name) {
  gui::Document& document = window.session().document;
  document.CentreCursor();
  QElapsedTimer clock;
  clock.start();
  const double start = ThreadSeconds();
  for (int i = 0; i < frames; ++i) {
    document.StepSlice(orientation, i / 40 % 2 == 0 ? 1 : -1);
    QCoreApplication::processEvents();  // paints all views that changed
  }
  const double wall = static_cast<double>(clock.nsecsElapsed()) / 1e9;
  std::printf("%-28s %6.1f pictures/s   (%.1f ms of this thread each)\n", name, frames / wall,
              (ThreadSeconds() - start) / frames * 1e3);
}

}  // namespace

int main(int argc, char** argv) {
  const int frames = argc > 1 ? std::atoi(argv[1]) : 120;
  setenv("LIBGL_ALWAYS_SOFTWARE", "1", 0);
  const fs::path folder = fs::temp_directory_path() / ("window_bench_" + std::to_string(getpid()));
  fs::create_directories(folder);
  setenv("XDG_CONFIG_HOME", folder.c_str(), 1);
  QApplication application(argc, argv);
  QSettings::setDefaultFormat(QSettings::IniFormat);
  gui::ApplyTheme(application);
  const fs::path path = folder / "ct.nii";
  io::WriteVolume(Ct(), path);
  const double data_mb = 512.0 * 512 * 148 * 2 / 1e6;
  {
    gui::Session session(folder / "unsaved");
    gui::MainWindow window(session);
    window.resize(1280, 800);
    window.show();
    while (!QTest::qWaitForWindowExposed(&window)) {
    }
    QTest::qWait(500);
    std::printf("empty window                 %6.0f MB\n", MegabytesInUse("VmRSS:"));
    QElapsedTimer in_memory;
    session.document.AddObserver([&](unsigned changes) {
      if ((changes & gui::kLayersChanged) && !in_memory.isValid()) in_memory.start();
    });
    window.OpenPaths({path});
    while (session.document.images().empty()) QTest::qWait(1);
    window.views().slice(gui::Orientation::kAxial).repaint();
    std::printf("first slice                  %6lld ms after the volume was in memory\n",
                static_cast<long long>(in_memory.elapsed()));
    while (!session.tasks.Running().empty()) QTest::qWait(5);
    std::printf("with the CT                  %6.0f MB, peak %.0f MB (data %.0f MB)\n",
                MegabytesInUse("VmRSS:"), MegabytesInUse("VmHWM:"), data_mb);
    Scroll(window, gui::Orientation::kAxial, frames, "four views, axial");
    Scroll(window, gui::Orientation::kSagittal, frames, "four views, sagittal");
    auto labels = std::make_unique<gui::LabelLayer>();
    const auto& image = *session.document.images().front();
    labels->name = "labels";
    labels->header = image.volume;
    labels->labels =
        std::make_shared<std::vector<uint16_t>>(image.volume->geometry.VoxelCount(), uint16_t{0});
    for (size_t i = 0; i < labels->labels->size(); ++i) {
      (*labels->labels)[i] =
          static_cast<uint16_t>(image.volume->As<int16_t>()[i] > -200 ? 1 + i / 512 % 512 / 64 : 0);
    }
    gui::CountLabels(*labels->labels, labels->VoxelMl(), labels->table);
    session.document.AddLabels(std::move(labels));
    window.views().Maximise(0);
    QTest::qWait(200);
    Scroll(window, gui::Orientation::kAxial, frames, "one view, labels filled");
    session.document.ActiveLabels()->outline = true;
    session.document.Notify(gui::kDisplayChanged);
    Scroll(window, gui::Orientation::kAxial, frames, "one view, labels outlined");
    session.tasks.CancelAll();
  }
  fs::remove_all(folder);
  return 0;
}

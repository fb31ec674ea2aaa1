// SPDX-License-Identifier: Apache-2.0
// The window at 1280 x 800 with a CT of 512 x 512 x 148 voxels and a label map over it, drawn by
// the processor: pictures a second while scrolling, time to the first slice, memory, how long the
// window stands still while files are read, masks corrected and models run, how soon it answers to
// Cancel. Needs a display: xvfb-run -a build/release/bench/window_bench [FRAMES]
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

#include "app/core/shipped.h"
#include "app/gui/main_window.h"
#include "app/gui/theme.h"
#include "io/volume_io.h"
#include "tests/gui/stall_meter.h"

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

void Drag(gui::SliceView& view, QPoint from, QPoint to) {
  QTest::mousePress(&view, Qt::LeftButton, {}, from);
  for (int step = 1; step <= 10; ++step) {
    QTest::mouseMove(&view, from + (to - from) * step / 10);
    QTest::qWait(1);
  }
  QTest::mouseRelease(&view, Qt::LeftButton, {}, to);
  QTest::qWait(1);
}

// Strokes, undo and saving on the large label map, while its surface is computed.
void Correct(gui::MainWindow& window, const fs::path& folder) {
  gui::Session& session = window.session();
  gui::SliceView& view = window.views().slice(gui::Orientation::kAxial);
  session.view.tool = gui::Tool::kBrush;
  session.view.brush_mm = 20;
  session.view.brush_label = 1;
  const test::StallMeter stalls;
  Drag(view, {60, 60}, {300, 60});
  session.document.Undo();
  session.document.Redo();
  session.Save(session.document.ActiveLabels()->id, folder / "corrected.nii");
  Drag(view, {60, 200}, {200, 200});
  while (!session.tasks.Running().empty()) QTest::qWait(5);
  std::printf("correcting a mask            %6.0f ms of standing still at most\n",
              stalls.LongestMs());
}

// The first model that does the task on a sample that ships: run to its end, then cancelled.
void RunModel(gui::MainWindow& window, bool translate) {
  gui::Session& session = window.session();
  const char* name = translate ? "translating" : "segmenting";
  const gui::CatalogueModel* model = nullptr;
  while (!session.models_known()) QTest::qWait(5);
  for (const auto& one : session.catalogue()) {
    if (one.problem.empty() && one.Translates() == translate) model = &one;
  }
  if (model == nullptr) {
    std::printf("%-28s no model ships\n", name);
    return;
  }
  const int image = session.document.ActiveImage()->id;
  gui::Session::RunOptions run;
  run.force = true;
  const auto start = [&] {
    return translate ? session.Translate(image, *model, run) : session.Segment(image, *model, run);
  };
  const test::StallMeter stalls;
  start();
  while (!session.tasks.Running().empty()) QTest::qWait(5);
  std::printf("%-28s %6.0f ms of standing still at most\n", name, stalls.LongestMs());
  const int task = start();
  for (bool working = false; !working && session.tasks.IsRunning(task);) {
    QTest::qWait(1);
    for (const auto& state : session.tasks.Running()) working = working || state.fraction > 0;
  }
  QElapsedTimer clock;
  clock.start();
  session.tasks.CancelAll();
  const double answer = static_cast<double>(clock.nsecsElapsed()) / 1e6;
  while (!session.tasks.Running().empty()) QTest::qWait(1);
  std::printf("%-28s %6.1f ms, its thread after %lld ms\n",
              (std::string(name) + ", cancelled").c_str(), answer,
              static_cast<long long>(clock.elapsed()));
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
    const test::StallMeter opening;
    window.OpenPaths({path});
    while (session.document.images().empty()) QTest::qWait(1);
    window.views().slice(gui::Orientation::kAxial).repaint();
    std::printf("first slice                  %6lld ms after the volume was in memory\n",
                static_cast<long long>(in_memory.elapsed()));
    while (!session.tasks.Running().empty()) QTest::qWait(5);
    std::printf("opening the CT               %6.0f ms of standing still at most\n",
                opening.LongestMs());
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
    Correct(window, folder);
    session.tasks.CancelAll();
  }
  for (const bool translate : {false, true}) {
    gui::Session session(folder / "unsaved");
    gui::MainWindow window(session);
    window.resize(1280, 800);
    window.show();
    while (!QTest::qWaitForWindowExposed(&window)) {
    }
    fs::path sample;
    for (const fs::path& data : core::DataFolders()) {
      const fs::path file = data / "hippocampus/images/hippocampus_105.nii.gz";
      if (fs::exists(file)) sample = file;
    }
    if (sample.empty()) break;
    session.Open({sample}, gui::LoadAs::kImage);
    while (!session.tasks.Running().empty()) QTest::qWait(5);
    RunModel(window, translate);
  }
  fs::remove_all(folder);
  return 0;
}

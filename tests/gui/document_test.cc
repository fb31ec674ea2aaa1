// SPDX-License-Identifier: Apache-2.0
#include "app/gui/document.h"

#include <gtest/gtest.h>

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "app/gui/brush.h"
#include "app/gui/journal.h"
#include "app/gui/label_comparison.h"
#include "io/volume_io.h"
#include "tests/gui/phantom.h"
#include "tests/support/test_support.h"

namespace avocet::gui {
namespace {

using test::AllAxisOrders;
using test::Phantom;
using test::Stored;

std::unique_ptr<ImageLayer> ImageOf(io::Volume volume) {
  auto layer = std::make_unique<ImageLayer>();
  layer->name = "phantom.nii.gz";
  layer->statistics = Measure(volume);
  layer->window = DefaultWindow(volume, layer->statistics);
  layer->volume = std::make_shared<const io::Volume>(std::move(volume));
  return layer;
}

TEST(Document, CursorStaysOnVoxelsAndInside) {
  for (const auto& order : AllAxisOrders()) {
    Document document;
    document.AddImage(ImageOf(Stored(Phantom::Make(), order)));
    const io::Geometry& g = *document.grid();
    document.SetCursor({1e9, -1e9, 3.3});
    auto index = g.IndexFromPhysical(document.cursor());
    for (int a = 0; a < 3; ++a) {
      EXPECT_NEAR(index[a], std::round(index[a]), 1e-9);
      EXPECT_GE(index[a], -1e-9);
      EXPECT_LE(index[a], g.size[a] - 1 + 1e-9);
    }
    document.CentreCursor();
    // One step up moves one voxel towards superior, whatever the order on disk.
    const double before = document.cursor()[2];
    document.StepSlice(Orientation::kAxial, 1);
    EXPECT_NEAR(document.cursor()[2] - before, 2.0, 1e-9);
    const double left = document.cursor()[0];
    document.StepSlice(Orientation::kSagittal, 1);
    EXPECT_NEAR(document.cursor()[0] - left, 1.2, 1e-9);
    const double back = document.cursor()[1];
    document.StepSlice(Orientation::kCoronal, 1);
    EXPECT_NEAR(document.cursor()[1] - back, -1.0, 1e-9);
  }
}

TEST(Document, ValueAndLabelUnderTheCursor) {
  const io::Volume image = Stored(Phantom::Make(), AllAxisOrders()[17]);
  Document document;
  auto labels = LabelsFromVolume(Phantom::Labels(image), "marks");
  document.AddImage(ImageOf(image));
  document.AddLabels(std::move(labels));
  const Vec3 left = Phantom::Make().geometry.PhysicalFromIndex(Phantom::Middle(Phantom::kLeftBox));
  EXPECT_EQ(document.ActiveImage()->ValueAt(left), 1000);
  EXPECT_EQ(document.ActiveLabels()->ValueAt(left), 1);
  EXPECT_TRUE(std::isnan(document.ActiveImage()->ValueAt({1e4, 0, 0})));
  EXPECT_EQ(document.ActiveLabels()->ValueAt({1e4, 0, 0}), 0);
  // 5 x 5 x 5 voxels of 1.2 x 1 x 2 mm.
  EXPECT_NEAR(document.ActiveLabels()->table.at(1).volume_ml, 125 * 2.4 / 1000, 1e-12);
}

TEST(Document, WindowsFitTheKindOfImage) {
  io::Volume ct = Phantom::Make();
  ct.As<int16_t>()[0] = -1024;
  const ValueStatistics hu = Measure(ct);
  EXPECT_TRUE(IsCt(ct, hu));
  EXPECT_EQ(DefaultWindow(ct, hu).width, 400);
  EXPECT_EQ(DefaultWindow(ct, hu).level, 40);
  io::Volume mr = Phantom::Make();
  const ValueStatistics grey = Measure(mr);
  EXPECT_FALSE(IsCt(mr, grey));
  EXPECT_EQ(grey.minimum, 0);
  EXPECT_EQ(grey.maximum, 1000);
  EXPECT_EQ(grey.low, 100);   // zeros do not count
  EXPECT_EQ(grey.high, 500);  // 125 of 25,000 voxels are brighter
  int64_t total = 0;
  for (const int64_t count : grey.histogram) total += count;
  EXPECT_EQ(total, mr.geometry.VoxelCount());
}

TEST(Document, MeasuresInMillimetres) {
  Document document;
  document.AddImage(ImageOf(Phantom::Make()));
  const io::Geometry& g = *document.grid();
  const SlicePlane plane = document.Plane(Orientation::kAxial);
  Measurement ruler;
  ruler.points = {g.PhysicalFromIndex({10, 10, 16}), g.PhysicalFromIndex({20, 26, 16})};
  Evaluate(ruler, document.ActiveImage(), plane);
  EXPECT_NEAR(ruler.value, std::hypot(12.0, 16.0), 1e-9);

  Measurement angle;
  angle.kind = MeasurementKind::kAngle;
  angle.points = {{10, 0, 0}, {0, 0, 0}, {5, 5, 0}};
  Evaluate(angle, nullptr, plane);
  EXPECT_NEAR(angle.value, 45, 1e-9);

  Measurement roi;
  roi.kind = MeasurementKind::kRoi;
  roi.right = plane.right;
  roi.down = plane.down;
  const Vec3 middle = g.PhysicalFromIndex(Phantom::Middle(Phantom::kLeftBox));
  roi.points = {Add(middle, {-2.0, -1.6, 0}), Add(middle, {2.0, 1.6, 0})};
  Evaluate(roi, document.ActiveImage(), plane);
  // Centres at 0, +-1.2 and 0, +-1: the ellipse with half axes 2 and 1.6 holds all nine.
  EXPECT_EQ(roi.voxels, 9);
  EXPECT_EQ(roi.value, 1000);
  EXPECT_EQ(roi.deviation, 0);
  EXPECT_NEAR(roi.area_mm2, 3.14159265 * 3.2, 1e-6);

  roi.points = {g.PhysicalFromIndex({26, 18, 16}), g.PhysicalFromIndex({38, 30, 16})};
  Evaluate(roi, document.ActiveImage(), plane);
  double sum = 0, squares = 0;
  int64_t n = 0;
  for (int i = 0; i < 40; ++i) {
    for (int j = 0; j < 48; ++j) {
      const double u = (i - 32) / 6.0, v = (j - 24) / 6.0;
      if (u * u + v * v > 1 + 1e-12) continue;
      const double value = document.ActiveImage()->volume->As<int16_t>()[(16 * 48 + j) * 40 + i];
      sum += value;
      squares += value * value;
      ++n;
    }
  }
  EXPECT_EQ(roi.voxels, n);
  EXPECT_NEAR(roi.value, sum / n, 1e-9);
  EXPECT_NEAR(roi.deviation, std::sqrt(squares / n - sum / n * sum / n), 1e-9);

  document.AddMeasurement(roi);
  const std::string csv = MeasurementsCsv(document.measurements());
  EXPECT_NE(csv.find("Region 1,roi"), std::string::npos);
  document.Undo();
  EXPECT_TRUE(document.measurements().empty());
  document.Redo();
  EXPECT_EQ(document.measurements().size(), 1u);
}

TEST(Document, PaintingIsUndoneVoxelByVoxel) {
  Document document;
  document.AddImage(ImageOf(Phantom::Make()));
  const int id = document.AddLabels(LabelsFromVolume(Phantom::Labels(Phantom::Make()), "marks"));
  const std::vector<uint16_t> before = *document.Labels(id)->labels;
  document.BeginStroke(id);
  document.PaintVoxels({100, 101, 102}, 2);
  document.PaintVoxels({101, 102, 103}, 3);
  document.EndStroke();
  EXPECT_EQ((*document.Labels(id)->labels)[102], 3);
  EXPECT_TRUE(document.HasUnsaved());
  EXPECT_EQ(document.Labels(id)->table.at(3).voxels, 5 * 5 * 4 + 3);
  const std::vector<uint16_t> after = *document.Labels(id)->labels;
  document.Undo();
  EXPECT_EQ(*document.Labels(id)->labels, before);
  EXPECT_EQ(document.Labels(id)->table.at(3).voxels, 5 * 5 * 4);
  document.Redo();
  EXPECT_EQ(*document.Labels(id)->labels, after);
}

TEST(Document, SaysWhichImageIsSynthetic) {
  Document document;
  const int real = document.AddImage(ImageOf(Phantom::Make()));
  auto made = ImageOf(Phantom::Make());
  made->synthetic = true;
  const int synthetic = document.AddImage(std::move(made));
  EXPECT_EQ(document.SyntheticNote(), "");
  document.fused_image = synthetic;
  EXPECT_EQ(document.SyntheticNote(), "in part synthetic, not acquired");
  document.fusion = Fusion::kCurtain;
  EXPECT_EQ(document.SyntheticNote(), "right of the curtain synthetic");
  document.Image(real)->visible = false;
  EXPECT_EQ(document.SyntheticNote(), "synthetic, not acquired");
  document.Image(real)->visible = true;
  document.SetActiveImage(synthetic);
  EXPECT_EQ(document.SyntheticNote(), "synthetic, not acquired");
  document.fused_image = real;
  EXPECT_EQ(document.SyntheticNote(), "left of the curtain synthetic");
  document.Image(synthetic)->visible = false;
  EXPECT_EQ(document.SyntheticNote(), "");
}

TEST(Document, LabelsAreNamedColouredAndAddedWithUndo) {
  Document document;
  const int id = document.AddLabels(LabelsFromVolume(Phantom::Labels(Phantom::Make()), "marks"));
  LabelTable& table = document.Labels(id)->table;
  ASSERT_EQ(table.size(), 3u);
  const LabelTable before = table;
  document.RenameLabel(id, 2, "Spleen");
  document.RecolourLabel(id, 2, {1, 2, 3});
  EXPECT_EQ(document.AddLabel(id), 4);
  EXPECT_TRUE(document.Labels(id)->unsaved);
  EXPECT_EQ(table.at(2).name, "Spleen");
  EXPECT_EQ(table.at(2).colour, (std::array<uint8_t, 3>{1, 2, 3}));
  EXPECT_EQ(table.at(2).voxels, before.at(2).voxels);
  // Painted with the new label, all taken back, all done again.
  document.BeginStroke(id);
  document.PaintVoxels({1, 2}, 4);
  document.EndStroke();
  EXPECT_EQ(table.at(4).voxels, 2);
  while (document.CanUndo()) document.Undo();
  EXPECT_EQ(table.size(), 3u);
  EXPECT_EQ(table.at(2).name, before.at(2).name);
  EXPECT_EQ(table.at(2).colour, before.at(2).colour);
  while (document.CanRedo()) document.Redo();
  EXPECT_EQ(table.at(2).name, "Spleen");
  EXPECT_EQ(table.at(4).voxels, 2);
  document.RenameLabel(id, 2, "Spleen");
  document.RenameLabel(id, 77, "nothing");
  document.Undo();
  EXPECT_EQ(table.at(4).voxels, 0) << "a name that stays is no step";
}

TEST(Document, BrushCoversWhatLiesUnderItOnOneSlice) {
  for (const int order : {0, 13, 42}) {
    const io::Geometry g = Stored(Phantom::Make(), AllAxisOrders()[order]).geometry;
    const Vec3 from = Phantom::Make().geometry.PhysicalFromIndex({10, 10, 16});
    const Vec3 to = Phantom::Make().geometry.PhysicalFromIndex({25, 30, 16});
    const SlicePlane plane = OwnAxesPlane(g, Orientation::kAxial, Convention::kRadiological);
    const auto voxels = BrushVoxels(g, plane, from, to, 6);
    const std::set<size_t> covered(voxels.begin(), voxels.end());
    // Against the plain definition: within 3 mm of the line, a tenth of a millimetre left to the
    // steps of the brush.
    const Vec3 way = Subtract(to, from);
    for (int64_t n = 0; n < g.VoxelCount(); ++n) {
      const Vec3 x = g.PhysicalFromIndex({static_cast<double>(n % g.size[0]),
                                          static_cast<double>(n / g.size[0] % g.size[1]),
                                          static_cast<double>(n / g.size[0] / g.size[1])});
      const double t = std::clamp(Dot(Subtract(x, from), way) / Dot(way, way), 0.0, 1.0);
      const Vec3 offset = Subtract(x, Add(from, Scale(way, t)));
      const bool on_slice = std::abs(offset[2]) < 0.9;
      const double distance = std::hypot(offset[0], offset[1]);
      if (on_slice && distance < 2.9) {
        EXPECT_EQ(covered.count(n), 1u);
      }
      if (!on_slice || distance > 3.001) {
        EXPECT_EQ(covered.count(n), 0u);
      }
    }
    // A brush smaller than a voxel still paints the one under it.
    EXPECT_EQ(BrushVoxels(g, plane, from, from, 0.1).size(), 2u);
  }
}

TEST(Document, ErrorMapAndWorstSlice) {
  const io::Volume image = Phantom::Make();
  const auto reference = LabelsFromVolume(Phantom::Labels(image), "reference");
  const auto prediction = LabelsFromVolume(Phantom::Labels(image), "prediction");
  auto& p = *prediction->labels;
  const auto at = [](int i, int j, int k) { return static_cast<size_t>((k * 48 + j) * 40 + i); };
  // In slice 15 four voxels are missed, in slice 17 one is too much.
  for (int j = 22; j < 26; ++j) p[at(34, j, 15)] = 0;
  p[at(20, 20, 17)] = 1;
  const auto map = ErrorMap(*prediction, *reference, 1);
  EXPECT_EQ(map->table.at(kFalseNegative).voxels, 4);
  EXPECT_EQ(map->table.at(kFalsePositive).voxels, 1);
  EXPECT_EQ(map->table.at(kTruePositive).voxels, 121);
  const SlicePlane plane =
      OwnAxesPlane(map->geometry(), Orientation::kAxial, Convention::kRadiological);
  Vec3 worst{};
  ASSERT_TRUE(WorstSlice(*map, plane, worst));
  EXPECT_EQ(plane.NearestSlice(worst), 15);
  EXPECT_NEAR(map->geometry().IndexFromPhysical(worst)[0], 34, 1e-9);
  const auto none = ErrorMap(*reference, *reference, 0);
  EXPECT_FALSE(WorstSlice(*none, plane, worst));
}

TEST(Document, MasksKeepNamesGeometryAndValuesThroughAFile) {
  SilentProgress progress;
  const auto folder = test::TemporaryFolder();
  const auto image_path = folder / "image.nii.gz";
  io::WriteVolume(Stored(Phantom::Make(), AllAxisOrders()[33]), image_path);
  // Four even values would be taken for labels.
  const LoadedFile loaded = LoadFile(image_path, LoadAs::kImage, progress);
  ASSERT_NE(loaded.image, nullptr);
  auto labels = LabelsFromVolume(Phantom::Labels(*loaded.image->volume), "marks");
  labels->header = loaded.image->volume;
  labels->table[1].name = "Left mark";
  labels->table[1].colour = {1, 2, 3};
  const auto path = folder / "mask.nii.gz";
  SaveLabels(*labels, path);
  const LoadedFile again = LoadFile(path, LoadAs::kGuess, progress);
  ASSERT_NE(again.labels, nullptr) << "a label map must be recognised";
  EXPECT_EQ(*again.labels->labels, *labels->labels);
  EXPECT_EQ(again.labels->table.at(1).name, "Left mark");
  EXPECT_EQ(again.labels->table.at(1).colour, (std::array<uint8_t, 3>{1, 2, 3}));
  EXPECT_EQ(io::MaxCornerDistance(again.labels->geometry(), loaded.image->volume->geometry), 0);
}

// kill -9 in the middle of work: the mask is there at the next start, voxel for voxel, and a window
// that still runs is left alone.
TEST(Document, JournalSurvivesAKill) {
  const auto root = test::TemporaryFolder() / "journal";
  const auto layer = LabelsFromVolume(Phantom::Labels(Phantom::Make()), "marks");
  layer->id = 7;
  int ready[2];
  ASSERT_EQ(pipe(ready), 0);
  const pid_t child = fork();
  if (child == 0) {
    Journal journal(root);
    journal.Keep(*layer, "/somewhere/image.nii.gz");
    [[maybe_unused]] const ssize_t written = write(ready[1], "x", 1);
    pause();
    _exit(0);
  }
  char byte;
  ASSERT_EQ(read(ready[0], &byte, 1), 1);
  {
    Journal running(root);
    EXPECT_TRUE(running.Abandoned().empty()) << "its window is still open";
  }
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  Journal next(root);
  const auto entries = next.Abandoned();
  ASSERT_EQ(entries.size(), 1u);
  EXPECT_EQ(entries[0].name, "marks");
  EXPECT_EQ(entries[0].image, "/somewhere/image.nii.gz");
  SilentProgress progress;
  const LoadedFile loaded = LoadFile(entries[0].file, LoadAs::kLabels, progress);
  ASSERT_NE(loaded.labels, nullptr);
  EXPECT_EQ(*loaded.labels->labels, *layer->labels);
  next.DiscardAbandoned();
  EXPECT_TRUE(next.Abandoned().empty());
}

TEST(Document, ShippedCasesOpenAsWhatTheyAre) {
  SilentProgress progress;
  for (const char* name : {"hippocampus_007", "hippocampus_105", "hippocampus_180"}) {
    const std::string file = std::string(name) + ".nii.gz";
    const LoadedFile image =
        LoadFile(test::ShippedData("hippocampus/images/" + file), LoadAs::kGuess, progress);
    EXPECT_NE(image.image, nullptr) << name;
    EXPECT_FALSE(image.report.empty());
    const LoadedFile labels =
        LoadFile(test::ShippedData("hippocampus/labels/" + file), LoadAs::kGuess, progress);
    ASSERT_NE(labels.labels, nullptr) << name;
    EXPECT_EQ(labels.labels->table.size(), 2u);
  }
}

}  // namespace
}  // namespace avocet::gui

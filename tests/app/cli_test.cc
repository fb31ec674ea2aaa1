// SPDX-License-Identifier: Apache-2.0
// The real binary, as a person meets it: exit codes, one sentence on stderr, nothing half-written.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <set>

#include "app/base/error.h"
#include "io/file_util.h"
#include "io/volume_io.h"
#include "tests/app/random_model.h"
#include "tests/support/test_support.h"

namespace avocet {
namespace {
namespace fs = std::filesystem;
using test::CommandResult;
using test::ExampleCard;
using test::RunAvocet;
using test::TemporaryFolder;

int CountLines(const std::string& text) {
  return static_cast<int>(std::count(text.begin(), text.end(), '\n'));
}

// Everything below `folder` but what RunAvocet keeps there.
std::set<std::string> Files(const fs::path& folder) {
  std::set<std::string> names;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    const std::string name = fs::relative(entry.path(), folder).string();
    if (name != ".stdout" && name != ".stderr") names.insert(name);
  }
  return names;
}

// One sentence on stderr that holds `parts`, the exit code, and no word on stdout.
void ExpectRefusal(const CommandResult& result, ExitCode code,
                   const std::vector<std::string>& parts) {
  EXPECT_EQ(result.exit_code, static_cast<int>(code)) << result.err;
  EXPECT_EQ(CountLines(result.err), 1) << result.err;
  EXPECT_EQ(result.err.rfind("avocet: error: ", 0), 0u) << result.err;
  EXPECT_EQ(result.out, "");
  for (const std::string& part : parts) {
    EXPECT_NE(result.err.find(part), std::string::npos) << part << " is not in: " << result.err;
  }
}

io::Volume Image(int side = 16) {
  io::Geometry geometry;
  geometry.size = {side, side + 4, side - 2};
  io::Volume image = io::Volume::Zeros(geometry, io::VoxelType::kInt16);
  uint32_t state = 9;
  for (int64_t v = 0; v < geometry.VoxelCount(); ++v) {
    state = state * 1664525u + 1013904223u;
    // A slope with noise: noise alone is refused.
    const int64_t x = v % side + v / side % (side + 4) + v / (side * (side + 4));
    image.As<int16_t>()[v] = static_cast<int16_t>(10 * x + (state >> 27));
  }
  return image;
}

// The files that the loader mapped while the program ran, libraries opened at run time included.
std::string LoadedBy(const std::vector<std::string>& arguments) {
  const fs::path folder = test::TemporaryFolder() / "loaded";
  fs::remove_all(folder);
  fs::create_directories(folder);
  setenv("LD_DEBUG", "files", 1);
  setenv("LD_DEBUG_OUTPUT", (folder / "log").c_str(), 1);
  RunAvocet(arguments);
  unsetenv("LD_DEBUG");
  unsetenv("LD_DEBUG_OUTPUT");
  std::string all;
  for (const auto& entry : fs::directory_iterator(folder)) all += io::ReadTextFile(entry.path());
  return all;
}

// What prints a text waits for no library of hundreds of megabytes (speed itself: `./dev bench`).
TEST(Cli, HelpLoadsNeitherTorchNorTheWindow) {
  for (const std::vector<std::string>& arguments :
       std::vector<std::vector<std::string>>{{"--help"}, {"--version"}, {"segment", "--help"}}) {
    const std::string loaded = LoadedBy(arguments);
    EXPECT_NE(loaded.find("libc.so"), std::string::npos) << "the loader tells";
    for (const char* library : {"libtorch", "libavocet_engine", "libQt", "libvtk"}) {
      EXPECT_EQ(loaded.find(library), std::string::npos) << arguments[0] << " " << library;
    }
  }
  EXPECT_NE(LoadedBy({"doctor"}).find("libtorch_cpu"), std::string::npos) << "it would be seen";
  const CommandResult help = RunAvocet({"--help"});
  EXPECT_EQ(help.exit_code, 0);
  EXPECT_EQ(help.err, "");
  for (const char* word : {"segment", "doctor", "info", "Exit codes", "Research use"}) {
    EXPECT_NE(help.out.find(word), std::string::npos) << word;
  }
  // With an engine that cannot be loaded help still works, so nothing of it was needed.
  setenv("AVOCET_ENGINE", "/nowhere", 1);
  EXPECT_EQ(RunAvocet({"segment", "--help"}).exit_code, 0);
  unsetenv("AVOCET_ENGINE");
  const CommandResult version = RunAvocet({"--version"});
  EXPECT_EQ(version.exit_code, 0);
  EXPECT_EQ(version.out.rfind("avocet ", 0), 0u);
}

TEST(Cli, WrongOptionsAreOneSentenceAndCode2) {
  ExpectRefusal(RunAvocet({}), ExitCode::kOption, {"subcommand", "avocet --help"});
  ExpectRefusal(RunAvocet({"segmentt"}), ExitCode::kOption, {"'segmentt'", "avocet --help"});
  ExpectRefusal(RunAvocet({"--nonsense"}), ExitCode::kOption, {"--nonsense"});
  ExpectRefusal(RunAvocet({"segment", "x.nii", "-m", "m", "-o", "o.nii", "--bogus"}),
                ExitCode::kOption, {"--bogus", "avocet segment --help"});
  ExpectRefusal(RunAvocet({"segment", "x.nii"}), ExitCode::kOption, {"--model"});
  ExpectRefusal(RunAvocet({"segment", "x.nii", "-m", "m", "-o", "o.nii", "--batch", "many"}),
                ExitCode::kOption, {"many"});
}

class CliSegment : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = TemporaryFolder();
    out_ = folder_ / "out";
    fs::create_directory(out_);
    image_ = folder_ / "image.nii.gz";
    io::WriteVolume(Image(), image_);
    model_ = test::WriteRandomModel(ExampleCard(), "model.safetensors");
  }

  CommandResult Segment(const fs::path& input, const fs::path& model, const fs::path& output,
                        const std::vector<std::string>& more = {}) {
    std::vector<std::string> arguments{"segment", input,  "-m",       model,
                                       "-o",      output, "--device", "cpu"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return RunAvocet(arguments);
  }

  fs::path folder_, out_, image_, model_;
};

TEST_F(CliSegment, WritesTheMaskAndPrintsVolumes) {
  const CommandResult result = Segment(image_, model_, out_ / "mask.nii.gz", {"-q"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(result.err, "");
  EXPECT_EQ(CountLines(result.out), 1) << result.out;
  EXPECT_NE(result.out.find("mask.nii.gz"), std::string::npos);
  EXPECT_NE(result.out.find("front "), std::string::npos);
  EXPECT_NE(result.out.find(" ml"), std::string::npos);
  EXPECT_EQ(Files(out_), (std::set<std::string>{"mask.nii.gz", "mask.labels.json",
                                                "mask.labels.txt", "mask.manifest.json"}));
  // Once more over it: the mask is the same, bit for bit.
  const std::string before = io::Sha256OfFile(out_ / "mask.nii.gz");
  EXPECT_EQ(Segment(image_, model_, out_ / "mask.nii.gz").exit_code, 0);
  EXPECT_EQ(io::Sha256OfFile(out_ / "mask.nii.gz"), before);
}

TEST_F(CliSegment, TheMaskIsTheArgmaxOfForwardOnTheSameSlices) {
  models::ModelCard card = ExampleCard();
  card.plane = "axial";  // of an LPS volume: slices along k, rows along j, columns along i
  card.preprocessing.intensity = "none";
  const fs::path model = test::WriteRandomModel(card, "axial.safetensors");
  io::Volume image = Image();
  for (int64_t v = 0; v < image.ValueCount(); ++v) image.As<int16_t>()[v] /= 10;
  io::WriteVolume(image, folder_ / "lps.nii");
  ASSERT_EQ(io::ReadVolume(folder_ / "lps.nii").geometry.OrientationLetters(), "LPS");
  ASSERT_EQ(Segment(folder_ / "lps.nii", model, out_ / "mask.nii").exit_code, 0);

  const auto& size = image.geometry.size;
  const std::vector<float> values = image.ToFloat();
  models::TensorFile file;
  models::StoredTensor slices;
  slices.shape = {size[2], 1, size[1], size[0]};
  slices.data.resize(values.size() * sizeof(float));
  std::memcpy(slices.data.data(), values.data(), slices.data.size());
  file.tensors.emplace_back("x", slices);
  models::WriteSafetensors(file, folder_ / "x.safetensors");
  const CommandResult forward =
      RunAvocet({"forward", "--model", model, "--input", folder_ / "x.safetensors", "--output",
                 folder_ / "y.safetensors", "--device", "cpu"});
  ASSERT_EQ(forward.exit_code, 0) << forward.err;
  const models::TensorFile result = models::ReadTensorFile(folder_ / "y.safetensors");
  const models::StoredTensor* output = result.Find("output");
  ASSERT_NE(output, nullptr);
  ASSERT_EQ(output->shape, (std::vector<int64_t>{size[2], 3, size[1], size[0]}));
  const auto* logits = reinterpret_cast<const float*>(output->data.data());
  const auto mask = io::ReadVolume(out_ / "mask.nii").ToLabels("mask");
  const int64_t plane = size[0] * size[1];
  std::set<int> found;
  for (size_t v = 0; v < mask.size(); ++v) {
    const float* logit = logits + (v / plane) * 3 * plane + v % plane;
    float best = logit[0];
    for (int c = 1; c < 3; ++c) best = std::max(best, logit[c * plane]);
    ASSERT_NEAR(logit[mask[v] * plane], best, 1e-4) << v;  // batches differ, so rounding may
    found.insert(mask[v]);
  }
  EXPECT_GT(found.size(), 1u);
}

TEST_F(CliSegment, PrecisionIsAnOptionAndOnRecord) {
  ExpectRefusal(Segment(image_, model_, out_ / "mask.nii.gz", {"--precision", "half"}),
                ExitCode::kOption, {"--precision", "half", "bfloat16"});
  const CommandResult result =
      Segment(image_, model_, out_ / "mask.nii.gz", {"-q", "--precision", "bfloat16"});
  if (result.exit_code != 0) {  // no such processor
    ExpectRefusal(result, ExitCode::kDevice, {"--precision bfloat16", "float32"});
    return;
  }
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_NE(io::ReadTextFile(out_ / "mask.manifest.json").find("bfloat16"), std::string::npos);
}

TEST_F(CliSegment, ThreadsAreNoPartOfTheResult) {
  EXPECT_EQ(Segment(image_, model_, out_ / "one.nii", {"--threads", "1"}).exit_code, 0);
  EXPECT_EQ(Segment(image_, model_, out_ / "two.nii", {"--threads", "2"}).exit_code, 0);
  EXPECT_EQ(io::Sha256OfFile(out_ / "one.nii"), io::Sha256OfFile(out_ / "two.nii"));
}

TEST_F(CliSegment, BadImages) {
  const fs::path out = out_ / "m.nii.gz";
  ExpectRefusal(Segment(folder_ / "none.nii.gz", model_, out), ExitCode::kIo, {"none.nii.gz"});

  std::ofstream(folder_ / "text.nii.gz") << "this is no picture, but long enough to be looked at";
  ExpectRefusal(Segment(folder_ / "text.nii.gz", model_, out), ExitCode::kIo, {"text.nii.gz"});
  fs::copy_file(model_, folder_ / "model_as_image.nii");
  ExpectRefusal(Segment(folder_ / "model_as_image.nii", model_, out), ExitCode::kIo,
                {"model_as_image.nii"});

  const std::string whole = io::ReadTextFile(image_);
  io::WriteFileAtomically(folder_ / "cut.nii.gz", whole.substr(0, whole.size() / 2));
  ExpectRefusal(Segment(folder_ / "cut.nii.gz", model_, out), ExitCode::kIo, {"cut.nii.gz"});

  // A header of 352 bytes that claims 2 GB.
  io::WriteVolume(Image(), folder_ / "huge.nii");
  std::string huge = io::ReadTextFile(folder_ / "huge.nii").substr(0, 1024);
  const int16_t dims[3] = {1024, 1024, 1024};
  std::memcpy(huge.data() + 42, dims, sizeof dims);
  io::WriteFileAtomically(folder_ / "huge.nii", huge);
  ExpectRefusal(Segment(folder_ / "huge.nii", model_, out), ExitCode::kIo, {"huge.nii"});

  io::Volume label = io::ZerosLike(Image(), io::VoxelType::kUInt8);
  for (int64_t v = 1000; v < 2000; ++v) label.As<uint8_t>()[v] = 1;
  io::WriteVolume(label, folder_ / "label.nii.gz");
  ExpectRefusal(Segment(folder_ / "label.nii.gz", model_, out), ExitCode::kIo,
                {"label.nii.gz", "label map", "--force"});

  io::Volume film = Image();
  film.frames = 2;
  film.data.resize(2 * film.data.size());
  io::WriteVolume(film, folder_ / "film.nii.gz");
  ExpectRefusal(Segment(folder_ / "film.nii.gz", model_, out), ExitCode::kIo,
                {"film.nii.gz", "4D"});
  EXPECT_TRUE(Files(out_).empty());
}

TEST_F(CliSegment, BadModels) {
  const fs::path out = out_ / "m.nii.gz";
  ExpectRefusal(Segment(image_, folder_ / "none.safetensors", out), ExitCode::kIo,
                {"none.safetensors"});
  ExpectRefusal(Segment(image_, image_, out), ExitCode::kModel, {"image.nii.gz"});

  models::ModelCard card = ExampleCard();
  card.task = "translation";
  ExpectRefusal(Segment(image_, test::WriteRandomModel(card, "other_task.safetensors"), out),
                ExitCode::kModel, {"other_task.safetensors", "translation"});

  models::TensorFile file = test::RandomModel(ExampleCard());
  const std::string lost = file.tensors.back().first;
  file.tensors.pop_back();
  models::WriteSafetensors(file, folder_ / "hole.safetensors");
  ExpectRefusal(Segment(image_, folder_ / "hole.safetensors", out), ExitCode::kModel,
                {"hole.safetensors", lost});

  const std::string whole = io::ReadTextFile(model_);
  io::WriteFileAtomically(folder_ / "cut.safetensors", whole.substr(0, whole.size() / 2));
  ExpectRefusal(Segment(image_, folder_ / "cut.safetensors", out), ExitCode::kModel,
                {"cut.safetensors"});

  file = test::RandomModel(ExampleCard());
  file.metadata.clear();
  models::WriteSafetensors(file, folder_ / "nocard.safetensors");
  ExpectRefusal(Segment(image_, folder_ / "nocard.safetensors", out), ExitCode::kModel,
                {"nocard.safetensors", "avocet model convert"});
  EXPECT_TRUE(Files(out_).empty());
}

TEST_F(CliSegment, BadOutputs) {
  ExpectRefusal(Segment(image_, model_, image_), ExitCode::kOption, {"overwrite", "image.nii.gz"});
  ExpectRefusal(Segment(image_, model_, out_ / "mask.txt"), ExitCode::kOption,
                {"mask.txt", ".nii.gz"});
  ExpectRefusal(Segment(image_, model_, folder_ / "nowhere/mask.nii.gz"), ExitCode::kIo,
                {"nowhere"});
  // A file where a folder is due fails for root, too.
  ExpectRefusal(Segment(image_, model_, image_ / "mask.nii.gz"), ExitCode::kIo, {"image.nii.gz"});
  if (geteuid() != 0) {
    chmod(out_.c_str(), 0500);
    ExpectRefusal(Segment(image_, model_, out_ / "mask.nii.gz"), ExitCode::kIo, {"mask.nii.gz"});
    chmod(out_.c_str(), 0700);
  }
  EXPECT_TRUE(Files(out_).empty());
}

TEST_F(CliSegment, AFullDiskLeavesNothingHalfWritten) {
  // A limit on the size of files fails a write as a full disk does. The mask is the largest file.
  io::WriteVolume(Image(48), folder_ / "large.nii");
  const CommandResult whole = Segment(folder_ / "large.nii", model_, out_ / "mask.nii", {"-q"});
  ASSERT_EQ(whole.exit_code, 0);
  const std::string before = io::Sha256OfFile(out_ / "mask.nii");
  const auto names = Files(out_);
  rlimit old{};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &old), 0);
  rlimit small = old;
  small.rlim_cur = 40000;
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
  const CommandResult fresh = Segment(folder_ / "large.nii", model_, out_ / "new.nii", {"-q"});
  const CommandResult over =
      Segment(folder_ / "large.nii", model_, out_ / "mask.nii", {"-q", "--tta", "flip"});
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &old), 0);
  ExpectRefusal(fresh, ExitCode::kIo, {"new.nii"});
  ExpectRefusal(over, ExitCode::kIo, {"mask.nii"});
  EXPECT_EQ(Files(out_), names);  // no temporary files, no sidecars of the failed run
  EXPECT_EQ(io::Sha256OfFile(out_ / "mask.nii"), before);
}

TEST_F(CliSegment, ABatchGoesOnAndSaysHowManyFailed) {
  fs::create_directory(folder_ / "in");
  fs::copy_file(image_, folder_ / "in/a.nii.gz");
  std::ofstream(folder_ / "in/b.nii.gz") << "no";
  fs::copy_file(image_, folder_ / "in/c.nii.gz");
  const CommandResult result = Segment(folder_ / "in", model_, out_, {"-q"});
  EXPECT_EQ(result.exit_code, static_cast<int>(ExitCode::kSomeFailed));
  EXPECT_EQ(CountLines(result.out), 2) << result.out;
  EXPECT_NE(result.err.find("b.nii.gz"), std::string::npos) << result.err;
  EXPECT_NE(result.err.find("1 of 3"), std::string::npos) << result.err;
  EXPECT_TRUE(fs::exists(out_ / "a.nii.gz"));
  EXPECT_FALSE(fs::exists(out_ / "b.nii.gz"));
  EXPECT_TRUE(fs::exists(out_ / "c.nii.gz"));
}

TEST_F(CliSegment, AMissingGpuIsSaidAndAMalformedDeviceRefused) {
  ExpectRefusal(
      RunAvocet({"segment", image_, "-m", model_, "-o", out_ / "m.nii", "--device", "gpu"}),
      ExitCode::kOption, {"'gpu'", "cuda"});
  CommandResult result =
      RunAvocet({"segment", image_, "-m", model_, "-o", out_ / "m.nii", "--device", "cuda:99"});
  ExpectRefusal(result, ExitCode::kDevice, {"cuda:99"});
  result = RunAvocet(
      {"segment", image_, "-m", model_, "-o", out_ / "m.nii", "--device", "cpu", "--cuda-graph"});
  ExpectRefusal(result, ExitCode::kOption, {"--cuda-graph", "GPU"});
  result = RunAvocet({"segment", image_, "-m", model_, "-o", out_ / "m.nii", "--device", "cpu",
                      "--precision", "tf32"});
  ExpectRefusal(result, ExitCode::kOption, {"tf32", "GPU"});
  EXPECT_TRUE(Files(out_).empty());
}

TEST_F(CliSegment, CtrlCLeavesNothing) {
  io::WriteVolume(Image(160), folder_ / "large.nii");
  const std::string binary = test::AvocetBinary();
  const pid_t child = fork();
  if (child == 0) {
    if (!freopen((folder_ / "log").c_str(), "w", stderr)) _exit(9);
    execl(binary.c_str(), binary.c_str(), "segment", (folder_ / "large.nii").c_str(), "-m",
          model_.c_str(), "-o", (out_ / "mask.nii").c_str(), "--batch", "1", nullptr);
    _exit(127);
  }
  usleep(1500 * 1000);  // in the middle of the slices
  kill(child, SIGINT);
  int status = 0;
  waitpid(child, &status, 0);
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), static_cast<int>(ExitCode::kCancelled));
  EXPECT_TRUE(Files(out_).empty());
}

}  // namespace
}  // namespace avocet

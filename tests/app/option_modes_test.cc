// SPDX-License-Identifier: Apache-2.0
// Every option of every command in every mode that does not know it: refused by name, by the real
// binary. What is tried comes from the tables of the command line itself.
#include "app/cli/option_modes.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "app/cli/command.h"
#include "io/file_util.h"
#include "io/volume_io.h"
#include "tests/support/test_support.h"

namespace avocet::cli {
namespace {
namespace fs = std::filesystem;
using Arguments = std::vector<std::string>;

// A command line of its own: parsing leaves its traces in it.
struct Commands {
  CLI::App app{"test"};
  Action action;
  ModeTable modes;
  Commands() {
    app.require_subcommand(1);
    AddCommands(app, action, modes);
  }
  void Parse(Arguments arguments) {
    std::reverse(arguments.begin(), arguments.end());
    app.parse(arguments);
  }
};

// A value that the parser takes, from what the option says of itself.
Arguments With(const CLI::Option& option, const fs::path& file) {
  Arguments arguments{option.get_name().substr(0, option.get_name().find(','))};
  if (option.get_items_expected_max() == 0) return arguments;  // a flag
  const std::string type = option.get_type_name();
  std::string value = "x";
  if (const size_t brace = type.find('{'); brace != std::string::npos) {
    value = type.substr(brace + 1, type.find_first_of(",}", brace) - brace - 1);
  } else if (type.find("FILE") != std::string::npos) {
    value = file.string();
  } else if (type.find("INT") != std::string::npos || type.find("FLOAT") != std::string::npos) {
    value = "1";
  }
  arguments.insert(arguments.end(), std::max(1, option.get_items_expected_min()), value);
  return arguments;
}

class OptionModesTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = test::TemporaryFolder();
    file_ = folder_ / "mask.nii.gz";
    io::Geometry geometry;
    geometry.size = {4, 4, 4};
    io::WriteVolume(io::Volume::Zeros(geometry, io::VoxelType::kUInt8), file_);
    const std::string mask = file_.string(), out = (folder_ / "out").string();
    const Arguments train{"train", folder_.string(), "-o", out};
    const auto plus = [](Arguments first, const Arguments& more) {
      first.insert(first.end(), more.begin(), more.end());
      return first;
    };
    const Arguments translation = plus(train, {"--task", "translation"});
    const Arguments evaluate{"evaluate", mask, mask};
    const Arguments degrade{"degrade", mask, "-o", out + ".nii.gz"};
    lines_ = {
        {{"train", "--task segmentation"}, train},
        {{"train", "--task translation"}, translation},
        {{"train", "new weights"}, translation},
        {{"train", "--init"}, plus(translation, {"--init", mask})},
        {{"train", "validation cases that are drawn"}, train},
        {{"train", "--validation or --validation-list"}, plus(train, {"--validation", "a"})},
        {{"train", "a training without --validation-pairs"}, train},
        {{"train", "--validation-pairs"}, plus(translation, {"--validation-pairs", mask})},
        {{"train", "--schedule cosine, poly or constant"}, train},
        {{"train", "this --schedule"}, plus(train, {"--schedule", "acdc-official"})},
        {{"evaluate", "--task segmentation"}, evaluate},
        {{"evaluate", "--task translation"}, plus(evaluate, {"--task", "translation"})},
        {{"evaluate", "one set of predictions"}, evaluate},
        {{"evaluate", "--compare"}, plus(evaluate, {"--compare", mask})},
        {{"evaluate", "masks that are not DICOM"}, evaluate},
        {{"evaluate", "masks that are DICOM SEG or RTSTRUCT"}, {}},  // tests/app/export_test.cc
        {{"segment", "masks that are not DICOM"},
         {"segment", mask, "-m", "m", "-o", mask + ".nii"}},
        {{"segment", "DICOM SEG (.dcm)"}, {"segment", mask, "-m", "m", "-o", out + ".dcm"}},
        {{"degrade", "noise"}, degrade},
        {{"degrade", "--snr 0"}, plus(degrade, {"--snr", "0"})},
        {{"degrade", "noise or --bias"}, degrade},
        {{"degrade", "--snr 0 and no --bias"}, plus(degrade, {"--snr", "0", "--bias", "0"})},
        {{"export", "a DICOM SEG"}, {"export", mask, "-o", out + ".dcm"}},
        {{"export", "--rtstruct"}, {"export", mask, "-o", out + ".dcm", "--rtstruct"}},
        {{"export", "a surface (.stl, .obj, .ply)"}, {"export", mask, "-o", out + ".stl"}},
        {{"export", "a label volume"}, {"export", mask, "-o", out + ".nrrd"}},
        {{"export", "no --source-series"}, {"export", mask, "-o", out + ".dcm"}},
        {{"export", "--source-series"},
         {"export", mask, "-o", out + ".dcm", "--source-series", folder_.string()}},
        {{"export", "a mask and an output that are not DICOM"},
         {"export", mask, "-o", out + ".nrrd"}},
        {{"export", "a DICOM mask or output"}, {"export", mask, "-o", out + ".dcm"}},
    };
  }

  // The command line that asks for a mode. A mode without one here fails the test.
  const Arguments* Line(const OptionModes& choice, size_t mode) {
    const auto found = lines_.find({choice.command().get_name(), choice.modes().at(mode)});
    if (found == lines_.end()) {
      ADD_FAILURE() << "how is '" << choice.modes()[mode] << "' of " << choice.command().get_name()
                    << " asked for?";
      return nullptr;
    }
    return &found->second;
  }

  fs::path folder_, file_;
  std::map<std::pair<std::string, std::string>, Arguments> lines_;
};

TEST_F(OptionModesTest, EveryForeignOptionIsRefusedByName) {
  const Commands table;
  int refused = 0;
  for (const OptionModes& choice : table.modes.choices()) {
    ASSERT_FALSE(choice.restricted().empty()) << choice.modes()[0];
    for (size_t mode = 0; mode < choice.modes().size(); ++mode) {
      const Arguments* line = Line(choice, mode);
      if (line == nullptr || line->empty()) continue;
      for (const OptionModes::Restricted& one : choice.restricted()) {
        if (one.Knows(mode)) continue;
        Arguments arguments = *line;
        for (const std::string& word : With(*one.option, file_)) arguments.push_back(word);
        const std::string name = one.option->get_name();
        const test::CommandResult result = test::RunAvocet(arguments);
        EXPECT_EQ(result.exit_code, 2) << name << ": " << result.err;
        EXPECT_NE(result.err.find("has no effect with " + choice.modes()[mode]), std::string::npos)
            << name << ": " << result.err;
        EXPECT_NE(result.err.find(name.substr(0, name.find(','))), std::string::npos) << result.err;
        EXPECT_NE(result.err.find("leave it out"), std::string::npos) << result.err;
        ++refused;
      }
    }
  }
  EXPECT_GT(refused, 50);
  EXPECT_FALSE(fs::exists(folder_ / "out"));
}

TEST_F(OptionModesTest, KnownOptionsPass) {
  const size_t choices = Commands().modes.choices().size();
  for (size_t c = 0; c < choices; ++c) {
    const Commands table;
    const OptionModes& choice = table.modes.choices()[c];
    for (size_t mode = 0; mode < choice.modes().size(); ++mode) {
      const Arguments* line = Line(choice, mode);
      if (line == nullptr || line->empty()) continue;
      for (size_t r = 0; r < choice.restricted().size(); ++r) {
        if (!choice.restricted()[r].Knows(mode)) continue;
        Commands commands;
        const OptionModes& own = commands.modes.choices()[c];
        const CLI::Option& option = *own.restricted()[r].option;
        Arguments arguments = *line;
        for (const std::string& word : With(option, file_)) arguments.push_back(word);
        ASSERT_NO_THROW(commands.Parse(arguments)) << option.get_name();
        EXPECT_GT(option.count(), 0u);
        EXPECT_NO_THROW(own.Check()) << option.get_name();
      }
    }
  }
}

// The command lines above do ask for the modes that they stand for.
TEST_F(OptionModesTest, ModesAreRecognised) {
  const size_t choices = Commands().modes.choices().size();
  for (size_t c = 0; c < choices; ++c) {
    for (size_t mode = 0; mode < Commands().modes.choices()[c].modes().size(); ++mode) {
      Commands commands;
      const OptionModes& choice = commands.modes.choices()[c];
      const Arguments* line = Line(choice, mode);
      if (line == nullptr || line->empty()) continue;
      commands.Parse(*line);
      // Whether masks are DICOM is looked up only for --source-series.
      if (choice.modes()[mode] == "masks that are not DICOM" && !choice.Mode()) continue;
      EXPECT_EQ(choice.Mode(), mode) << choice.modes()[mode];
    }
  }
}

TEST_F(OptionModesTest, HelpGroupsOptionsByTask) {
  const Commands table;
  for (const OptionModes& choice : table.modes.choices()) {
    if (choice.modes()[0] != "--task segmentation") continue;
    for (const OptionModes::Restricted& one : choice.restricted()) {
      const std::string start = one.modes[0] == 0 ? "Segmentation" : "Translation";
      EXPECT_EQ(one.option->get_group().rfind(start, 0), 0u)
          << one.option->get_name() << " is in the group " << one.option->get_group();
    }
  }
}

TEST_F(OptionModesTest, SourceSeriesNeedsDicomMasks) {
  const test::CommandResult result = test::RunAvocet(
      {"evaluate", file_.string(), file_.string(), "--source-series", folder_.string()});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_NE(result.err.find("--source-series has no effect with masks that are not DICOM"),
            std::string::npos)
      << result.err;
}

// One mistake, one exit code, in every command that takes DICOM.
TEST_F(OptionModesTest, SeriesOfFilesThatAreNotDicom) {
  const std::string in = file_.string(), out = (folder_ / "out.nrrd").string();
  for (const Arguments& option : {Arguments{"--series", "2"}, Arguments{"--regularise"}}) {
    for (Arguments line :
         {Arguments{"info", in}, Arguments{"info", in, in}, Arguments{"convert", in, out},
          Arguments{"convert", in, "-o", (folder_ / "many").string()},
          Arguments{"segment", in, "-m", "m", "-o", out},
          Arguments{"translate", in, "-m", "m", "-o", out}, Arguments{"degrade", in, "-o", out},
          Arguments{"evaluate", in, in, "--task", "translation"}}) {
      line.insert(line.end(), option.begin(), option.end());
      const test::CommandResult result = test::RunAvocet(line);
      EXPECT_EQ(result.exit_code, 2) << line[0] << ": " << result.err;
      EXPECT_NE(result.err.find("--series"), std::string::npos) << result.err;
    }
  }
  EXPECT_EQ(test::RunAvocet({"info", (folder_ / "none.nii").string(), "--series", "2"}).exit_code,
            3);
}

// What only folders or NIfTI files have.
TEST_F(OptionModesTest, OptionsOfOtherOutputs) {
  const std::string in = file_.string(), out = (folder_ / "out.nrrd").string();
  for (const Arguments& line :
       {Arguments{"segment", in, "-m", "m", "-o", out, "--format", "nrrd"},
        Arguments{"translate", in, "-m", "m", "-o", out, "--format", "nrrd"},
        Arguments{"translate", in, "-m", "m", "-o", out, "--plain-name"},
        Arguments{"degrade", in, "-o", out, "--format", "nrrd"},
        Arguments{"convert", in, out, "--keep-text"}}) {
    const test::CommandResult result = test::RunAvocet(line);
    EXPECT_EQ(result.exit_code, 2) << line[0] << ": " << result.err;
    EXPECT_NE(result.err.find("has no effect"), std::string::npos) << result.err;
  }
  EXPECT_FALSE(fs::exists(out));
}

}  // namespace
}  // namespace avocet::cli

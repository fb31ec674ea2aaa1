// SPDX-License-Identifier: Apache-2.0
// Every option of `train`, as its command line lists them: another value refuses to resume, or the
// option's field table says that it may change.
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <set>

#include "app/cli/command.h"
#include "app/core/train.h"
#include "app/core/train_translation.h"
#include "io/volume_io.h"
#include "models/checkpoint/tensor_file.h"
#include "tests/app/random_model.h"
#include "tests/app/random_translator.h"
#include "tests/app/train_data.h"
#include "tests/support/test_support.h"

namespace avocet::cli {
namespace {
namespace fs = std::filesystem;
using Arguments = std::vector<std::string>;
constexpr size_t kSegmentation = 0, kTranslation = 1;

// Stands for "take the option away" where the training was begun with it.
const Arguments kLeftOut{"(left out)"};

struct Command {
  CLI::App app{"test"};
  Action action;
  ModeTable modes;
  Command() {
    app.require_subcommand(1);
    AddTrain(app, action, modes);
  }
  const OptionModes& Task() const { return modes.choices().front(); }
};

// "--lr" of "--lr", "--output" of "-o,--output": without dashes.
std::string NameOf(const CLI::Option& option) { return option.get_single_name(); }

// The options of the command line by task, "help" left out.
std::set<std::string> OptionsOf(size_t task) {
  Command command;
  const OptionModes& choice = command.Task();
  std::set<std::string> names;
  for (const CLI::Option* option : choice.command().get_options()) {
    const auto one = std::find_if(choice.restricted().begin(), choice.restricted().end(),
                                  [&](const auto& r) { return r.option == option; });
    if (one == choice.restricted().end() || one->Knows(task)) names.insert(NameOf(*option));
  }
  names.erase("help");
  return names;
}

template <typename Options>
std::map<std::string, Effect> TableOf(const Options& options) {
  FieldList list;
  AppendFieldList(options, "", list);
  std::map<std::string, Effect> table(list.begin(), list.end());
  EXPECT_EQ(table.size(), list.size()) << "a name comes twice";
  return table;
}

// The option and the field that it sets, where their names differ.
std::string FieldOf(const std::string& option) {
  if (option == "validation-list") return "validation";
  if (option == "recipe") return "augmentation";
  return option;
}

class TrainResume : public testing::Test {
 protected:
  // Returns "" when the command did its work, otherwise the error.
  std::string Run(const Arguments& base, const std::string& option, const Arguments& value) {
    Arguments line;
    for (size_t i = 0; i < base.size(); ++i) {
      // A window goes with --intensity window only; sizes come from the model of --init.
      const bool sizes = base[i] == "--dim" || base[i] == "--blocks" || base[i] == "--refinement";
      const bool drop = base[i] == "--" + option ||
                        (option == "intensity" && base[i] == "--window") ||
                        (option == "init" && sizes);
      if (!drop) {
        line.push_back(base[i]);
        continue;
      }
      while (i + 1 < base.size() && base[i + 1].rfind("--", 0) != 0) ++i;
    }
    if (value != kLeftOut && option == "data") {
      line[1] = value[0];
    } else if (value != kLeftOut && option == "output") {
      line[3] = value[0];
    } else if (value != kLeftOut && !option.empty()) {
      line.push_back("--" + option);
      line.insert(line.end(), value.begin(), value.end());
    }
    Command command;
    std::reverse(line.begin(), line.end());
    try {
      command.app.parse(line);
      command.modes.Check();
      SilentProgress progress;
      command.action(progress);
    } catch (const ModelError& error) {
      return error.what();
    } catch (const Error& error) {
      ADD_FAILURE() << "--" << option << ": " << error.what();
      return error.what();
    } catch (const CLI::ParseError& error) {
      ADD_FAILURE() << "--" << option << ": " << error.what();
      return error.what();
    }
    return "";
  }

  void CheckAll(const Arguments& base, size_t task, const std::map<std::string, Effect>& table,
                const std::map<std::string, Arguments>& other) {
    ASSERT_EQ(Run(base, "", {}), "");
    Arguments resume = base;
    resume.insert(resume.begin() + 4, "--resume");
    ASSERT_EQ(Run(resume, "", {}), "") << "the same options do resume";
    for (const std::string& option : OptionsOf(task)) {
      if (option == "task" || option == "resume") continue;  // the test itself, and below
      const auto value = other.find(option);
      if (value == other.end()) {
        ADD_FAILURE() << "--" << option << ": the test needs another value to try";
        continue;
      }
      const auto field = table.find(FieldOf(option));
      if (field == table.end()) {
        ADD_FAILURE() << "--" << option << " is in no field table";
        continue;
      }
      if (option == "output") continue;  // where the training is looked for
      const std::string error = Run(resume, option, value->second);
      if (field->second == Effect::kFree) {
        EXPECT_EQ(error, "") << "--" << option << " may change";
        continue;
      }
      EXPECT_NE(error.find("other settings or data"), std::string::npos)
          << "--" << option << " was accepted";
      if (field->second == Effect::kDecides) {
        EXPECT_NE(error.find(FieldOf(option) + "="), std::string::npos) << option << ": " << error;
      }
    }
  }
};

// One table for the command line and one for the jobs: they name the same options.
TEST_F(TrainResume, TablesOfCommandLineAndJobsAgree) {
  std::set<std::string> segmentation, translation;
  for (const auto& [name, effect] : TableOf(core::TrainOptions())) segmentation.insert(name);
  for (const auto& [name, effect] : TableOf(core::TrainTranslationOptions()))
    translation.insert(name);
  // Not asked for on the command line.
  for (const char* name : {"precision", "cuda-graph"}) segmentation.erase(name);
  for (const char* name : {"cuda-graph", "decay-everything"}) translation.erase(name);
  std::set<std::string> segmentation_line, translation_line;
  for (const std::string& name : OptionsOf(kSegmentation))
    if (name != "task") segmentation_line.insert(FieldOf(name));
  for (const std::string& name : OptionsOf(kTranslation))
    if (name != "task") translation_line.insert(FieldOf(name));
  EXPECT_EQ(segmentation, segmentation_line);
  EXPECT_EQ(translation, translation_line);
}

TEST_F(TrainResume, SegmentationRefusesEveryChange) {
  const fs::path folder = test::TemporaryFolder();
  test::WriteDiscs(folder / "data", 3, 3);
  test::WriteDiscs(folder / "other", 3, 3, /*seed=*/5);
  std::ofstream(folder / "list.txt") << "c1\n";
  const Arguments base{"train",       (folder / "data").string(),
                       "-o",          (folder / "run").string(),
                       "--epochs",    "1",
                       "--batch",     "4",
                       "--intensity", "window",
                       "--window",    "0",
                       "300",         "--threads",
                       "1",           "--device",
                       "cpu"};
  const std::map<std::string, Arguments> other{
      {"data", {(folder / "other").string()}},
      {"output", {(folder / "elsewhere").string()}},
      {"init", {test::WriteRandomModel(test::ExampleCard(), "m.safetensors").string()}},
      {"name", {"another name"}},
      {"epochs", {"2"}},
      {"batch", {"3"}},
      {"lr", {"0.002"}},
      {"schedule", {"poly"}},
      {"warmup", {"0.5"}},
      {"weight-decay", {"0.01"}},
      {"decay-everything", {}},
      {"clip", {"3"}},
      {"ema", {"0.9"}},
      {"augmentation", {"none"}},
      {"seed", {"7"}},
      {"plane", {"coronal"}},
      {"validation", {"c1"}},
      {"validation-list", {(folder / "list.txt").string()}},
      {"validation-fraction", {"0.11"}},
      {"validate-every", {"2"}},
      {"keep-last", {}},
      {"max-minutes", {"60"}},
      {"checkpoint-minutes", {"1"}},
      {"device", {"auto"}},
      {"threads", {"2"}},
      {"variant", {"S"}},
      {"ce-weight", {"0.4"}},
      {"drop-path", {"0.9"}},
      {"flips", {"c"}},
      {"background-share", {"0.5"}},
      {"pixel-mm", {"0.8"}},
      {"context", {"1"}},
      {"intensity", {"zscore"}},  // Run leaves --window out then
      {"window", {"0", "200"}},
      {"canvas", {"64", "64"}}};
  CheckAll(base, kSegmentation, TableOf(core::TrainOptions()), other);
}

TEST_F(TrainResume, TranslationRefusesEveryChange) {
  const fs::path folder = test::TemporaryFolder();
  test::WriteHeadPairs(folder / "data");
  test::WriteHeadPairs(folder / "other", 50);
  std::ofstream(folder / "list.txt") << "c\n";
  std::ofstream(folder / "pairs.txt") << "a.nii.gz,a.nii.gz\nc.nii.gz,c.nii.gz\n";
  const Arguments base{"train",
                       (folder / "data").string(),
                       "-o",
                       (folder / "run").string(),
                       "--task",
                       "translation",
                       "--epochs",
                       "1",
                       "--batch",
                       "4",
                       "--dim",
                       "8",
                       "--blocks",
                       "1",
                       "1",
                       "1",
                       "1",
                       "--refinement",
                       "1",
                       "--image-size",
                       "32",
                       "--crops",
                       "--shared-scale",
                       "--schedule",
                       "cosine",
                       "--validation-slices",
                       "2",
                       "--threads",
                       "1",
                       "--device",
                       "cpu"};
  const std::map<std::string, Arguments> other{
      {"data", {(folder / "other").string()}},
      {"output", {(folder / "elsewhere").string()}},
      {"name", {"another name"}},
      {"epochs", {"2"}},
      {"batch", {"3"}},
      {"lr", {"0.002"}},
      {"schedule", {"poly"}},
      {"warmup", {"0.5"}},
      {"weight-decay", {"0.02"}},
      {"clip", {"3"}},
      {"ema", {"0.9"}},
      {"augmentation", {"none"}},
      {"recipe", {"fs-rwkv/bnu"}},
      {"seed", {"7"}},
      {"plane", {"coronal"}},
      {"validation", {"a"}},
      {"validation-list", {(folder / "list.txt").string()}},
      {"validation-fraction", {"0.11"}},
      {"validate-every", {"2"}},
      {"keep-last", {}},
      {"max-minutes", {"60"}},
      {"checkpoint-minutes", {"1"}},
      {"device", {"auto"}},
      {"threads", {"2"}},
      {"source", {(folder / "other/source").string()}},
      {"target", {(folder / "other/source").string()}},
      {"pairs", {(folder / "pairs.txt").string()}},
      {"validation-pairs",
       {(folder / "pairs.txt").string(), "--pairs", (folder / "pairs.txt").string()}},
      {"dim", {"16"}},
      {"blocks", {"1", "1", "1", "2"}},
      {"refinement", {"2"}},
      {"image-size", {"40"}},
      {"crops", kLeftOut},
      {"slices-per-epoch", {"5"}},
      {"validation-slices", {"1"}},
      {"ssim-weight", {"0.3"}},
      {"edge-weight", {"0.2"}},
      {"ssim-border", {"crop"}},
      {"shared-scale", kLeftOut},
      {"percentiles", {"1", "99"}},
      {"force", {}},
      {"init", {test::WriteRandomTranslator(test::TranslatorCard(), 1, "t.safetensors").string()}}};
  CheckAll(base, kTranslation, TableOf(core::TrainTranslationOptions()), other);
}

// A training of one task is not continued as one of the other, and data are compared by content.
TEST_F(TrainResume, DataAreComparedByContent) {
  const fs::path folder = test::TemporaryFolder();
  test::WriteDiscs(folder / "data", 3, 3);
  fs::copy(folder / "data", folder / "copy", fs::copy_options::recursive);
  Arguments line{"train",     (folder / "data").string(),
                 "-o",        (folder / "run").string(),
                 "--epochs",  "1",
                 "--batch",   "4",
                 "--device",  "cpu",
                 "--threads", "1"};
  ASSERT_EQ(Run(line, "", {}), "");
  line.push_back("--resume");
  EXPECT_EQ(Run(line, "data", {(folder / "copy").string()}), "");
  // One voxel of one label.
  io::Volume label = io::ReadVolume(folder / "copy/labelsTr/c0.nii.gz");
  label.As<uint8_t>()[0] = 1;
  io::WriteVolume(label, folder / "copy/labelsTr/c0.nii.gz");
  const std::string error = Run(line, "data", {(folder / "copy").string()});
  EXPECT_NE(error.find("data="), std::string::npos) << error;
}

}  // namespace
}  // namespace avocet::cli

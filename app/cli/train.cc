// SPDX-License-Identifier: Apache-2.0
#include <cstdio>
#include <fstream>
#include <memory>

#include "app/cli/command.h"
#include "app/core/engine.h"
#include "app/core/train.h"
#include "app/core/train_translation.h"

namespace avocet::cli {
namespace {

constexpr size_t kSegmentation = 0, kTranslation = 1;  // modes of --task
constexpr size_t kNewWeights = 0, kStartedFrom = 1;    // modes of --init
constexpr size_t kDrawn = 0, kNamed = 1;               // how validation cases are chosen
constexpr size_t kSplit = 0, kListed = 1;              // modes of --validation-pairs
constexpr size_t kWarmsUp = 0, kFixedStart = 1;        // modes of --schedule

constexpr size_t kShownNames = 4;

// Everything that the command line of `train` says.
struct Options {
  std::string task = "segmentation";
  core::TrainOptions segmentation;  // also what both tasks have
  core::TrainTranslationOptions translation;
  std::string recipe;           // of translation
  std::string validation_list;  // file of names

  std::optional<size_t> Task() const {
    if (task == "segmentation") return kSegmentation;
    if (task == "translation") return kTranslation;
    return std::nullopt;
  }
};

// One name a line; empty lines and lines that begin with # are left out.
std::vector<std::string> NamesInFile(const std::string& path) {
  std::ifstream in(path);
  if (!in)
    throw IoError("'" + path + "' cannot be read; --validation-list takes a file of case names");
  std::vector<std::string> names;
  for (std::string line; std::getline(in, line);) {
    while (!line.empty() && (line.back() == '\r' || line.back() == ' ')) line.pop_back();
    if (!line.empty() && line[0] != '#') names.push_back(line);
  }
  if (names.empty()) throw OptionError("'" + path + "' names no case");
  return names;
}

std::string Listed(const std::vector<std::string>& names) {
  std::string text = std::to_string(names.size());
  for (size_t n = 0; n < names.size() && n < kShownNames; ++n) {
    text += (n == 0 ? " (" : ", ") + names[n];
  }
  if (names.empty()) return text;
  return text + (names.size() > kShownNames ? ", ...)" : ")");
}

void PrintStart(const core::TrainStart& start) {
  if (start.path.empty()) return;
  std::printf("started from: %s, %s%s\n", start.path.c_str(), start.architecture.c_str(),
              start.encoder_only ? ", encoder only" : "");
  std::printf("  tensors: %zu loaded, new %s, unused %s\n", start.loaded,
              Listed(start.fresh).c_str(), Listed(start.unused).c_str());
  if (!start.unknown.empty()) {
    std::printf("  tensors not of this network: %s\n", Listed(start.unknown).c_str());
  }
}

// What both tasks print: first how it ended, last what was written.
template <typename Result>
void PrintEnd(const Result& r) {
  std::printf("%s after %d epochs, %.1f min, %.1f slices/s\n",
              r.finished ? "finished" : "stopped (continue with --resume)", r.epochs_done,
              r.seconds / 60, r.slices_per_second);
}
template <typename Result>
void PrintModel(const Result& r) {
  PrintStart(r.start);
  if (r.model.empty()) {
    std::printf("model: none yet; it is written after the first epoch that is validated\n");
  } else {
    std::printf("model: %s\n", r.model.c_str());
  }
}

void PrintResult(const core::TrainResult& r) {
  PrintEnd(r);
  std::printf("cases: %d training (%lld slices), %d validation, %d left out\n", r.training_cases,
              static_cast<long long>(r.slices), r.validation_cases, r.skipped_cases);
  if (r.best_epoch > 0) {
    std::printf("best validation Dice %.4f in epoch %d", r.best_dice, r.best_epoch);
    for (const auto& [name, dice] : r.best_class_dice) std::printf(", %s %.4f", name.c_str(), dice);
    std::printf("\n");
  }
  PrintModel(r);
}

void PrintResult(const core::TrainTranslationResult& r) {
  PrintEnd(r);
  std::printf("pairs: %d training (%lld slices), %d validation\n", r.training_cases,
              static_cast<long long>(r.slices), r.validation_cases);
  if (r.best_epoch > 0) {
    std::printf("best validation SSIM %.4f (input %.4f), PSNR %.3f dB (input %.3f) in epoch %d\n",
                r.ssim, r.input_ssim, r.psnr, r.input_psnr, r.best_epoch);
  }
  PrintModel(r);
}

// Of `run`, what the command line does not name gets the value that translation has by default.
void UseTranslationDefaults(const CLI::App& command, const std::string& recipe,
                            core::TrainRunOptions& run) {
  const core::TrainRunOptions published = core::TrainTranslationOptions::PublishedRun();
  const auto keep = [&](const char* option, auto member) {
    if (command.count(option) == 0) run.*member = published.*member;
  };
  keep("--epochs", &core::TrainRunOptions::epochs);
  keep("--batch", &core::TrainRunOptions::batch);
  keep("--lr", &core::TrainRunOptions::learning_rate);
  keep("--warmup", &core::TrainRunOptions::warmup_epochs);
  keep("--weight-decay", &core::TrainRunOptions::weight_decay);
  keep("--decay-everything", &core::TrainRunOptions::decay_everything);
  keep("--clip", &core::TrainRunOptions::clip);
  keep("--schedule", &core::TrainRunOptions::schedule);
  keep("--seed", &core::TrainRunOptions::seed);
  if (command.count("--augmentation") == 0) run.augmentation = recipe.empty() ? "default" : recipe;
}

void AddRunOptions(CLI::App* command, core::TrainRunOptions& o) {
  const std::string group = "Run";
  command->add_flag("--resume", o.resume, "Continue from last.ckpt in the output folder")
      ->group(group);
  command
      ->add_option("--max-minutes", o.max_minutes, "Stop after this time, resumable; 0 = no limit")
      ->capture_default_str()
      ->group(group);
  command->add_option("--checkpoint-minutes", o.checkpoint_minutes, "Time between checkpoints")
      ->capture_default_str()
      ->group(group);
  command->add_option("--device", o.device.text, "auto or cpu (training runs on the CPU)")
      ->capture_default_str()
      ->group(group);
  command->add_option("--threads", o.device.threads, "CPU threads, 0 = all")
      ->capture_default_str()
      ->group(group);
}

// Those of both tasks; where translation has another default it is in the text.
void AddRecipeOptions(CLI::App* command, core::TrainRunOptions& o, OptionModes& schedule) {
  const std::string group = "Recipe";
  command->add_option("--epochs", o.epochs, "Epochs (translation: 200)")
      ->capture_default_str()
      ->group(group);
  command->add_option("--batch", o.batch, "Slices a step (translation: 4)")
      ->capture_default_str()
      ->group(group);
  command->add_option("--lr", o.learning_rate, "Learning rate (translation: 0.0002)")
      ->capture_default_str()
      ->group(group);
  command
      ->add_option("--schedule", o.schedule,
                   "cosine, poly, constant, cosine-epoch, synapse-official, acdc-official, "
                   "acdc-release, fs-rwkv (translation: fs-rwkv)")
      ->capture_default_str()
      ->group(group);
  schedule.Only(kWarmsUp, command
                              ->add_option("--warmup", o.warmup_epochs,
                                           "Epochs of linear warm-up (--schedule cosine, poly "
                                           "or constant; translation: 0)")
                              ->capture_default_str()
                              ->group(group));
  command->add_option("--weight-decay", o.weight_decay, "AdamW weight decay (translation: 0.01)")
      ->capture_default_str()
      ->group(group);
  command->add_option("--clip", o.clip, "Largest gradient norm, 0 = none (translation: 0)")
      ->capture_default_str()
      ->group(group);
  command->add_option("--ema", o.ema, "Decay of averaged weights, 0 = off")
      ->capture_default_str()
      ->group(group);
  command
      ->add_option("--augmentation", o.augmentation,
                   "none, default, default-strong, synapse, acdc, synapse-release, acdc-release; "
                   "translation: none, default, fs-rwkv/unc, fs-rwkv/bnu")
      ->capture_default_str()
      ->group(group);
  command->add_option("--seed", o.seed, "Seed of every random decision (translation: 3407)")
      ->capture_default_str()
      ->group(group);
  command->add_option("--plane", o.plane, "Of the slices: axial, coronal or sagittal")
      ->capture_default_str()
      ->group(group);
}

void AddValidationOptions(CLI::App* command, Options& options, OptionModes& chosen,
                          OptionModes& listed) {
  core::TrainRunOptions& o = options.segmentation;
  const std::string group = "Validation";
  listed.Only(kSplit,
              command->add_option("--validation", o.validation, "Names of the cases to hold out")
                  ->group(group));
  listed.Only(kSplit, command
                          ->add_option("--validation-list", options.validation_list,
                                       "File with one such name a line")
                          ->group(group));
  CLI::Option* fraction = command
                              ->add_option("--validation-fraction", o.validation_fraction,
                                           "Share of cases to hold out when none are named")
                              ->capture_default_str()
                              ->group(group);
  chosen.Only(kDrawn, fraction);
  listed.Only(kSplit, fraction);
  command->add_option("--validate-every", o.validate_every, "Epochs between validations")
      ->capture_default_str()
      ->group(group);
  command->add_flag("--keep-last", o.keep_last, "Keep the last state instead of the best")
      ->group(group);
}

void AddSegmentationOptions(CLI::App* command, core::TrainOptions& o, OptionModes& task) {
  const auto add = [&](const char* name, auto& value, const char* help) {
    return task.Only(
        kSegmentation,
        command->add_option(name, value, help)->group("Segmentation (--task segmentation)"));
  };
  add("--variant", o.variant, "RWKV-UNet T, S or B (default: T, or that of --init)");
  add("--ce-weight", o.ce_weight, "Loss = w CE + (1 - w) Dice")->capture_default_str();
  // Translation always does, as published.
  task.Only(kSegmentation, command
                               ->add_flag("--decay-everything", o.decay_everything,
                                          "Decay norms, biases and vectors too, as published")
                               ->group("Segmentation (--task segmentation)"));
  add("--drop-path", o.drop_path, "Largest drop-path rate (default: the variant's)");
  add("--flips", o.flips, "Mirror at random: r rows, c columns, s slice order");
  add("--background-share", o.background_share,
      "Share of the slices without foreground that an epoch uses")
      ->capture_default_str();
  add("--pixel-mm", o.pixel_mm, "Pixel size in mm, 0 = as stored")->capture_default_str();
  add("--context", o.context, "Neighbouring slices each side as channels: 0 or 1")
      ->capture_default_str();
  add("--intensity", o.intensity, "none, percentile, zscore or window")->capture_default_str();
  add("--window", o.window, "Lower and upper end for --intensity window")->expected(2);
  add("--canvas", o.canvas,
      "Rows and columns of the training images, multiples of 16 (default: the largest slice)")
      ->expected(2);
}

void AddTranslationOptions(CLI::App* command, Options& options, OptionModes& task,
                           OptionModes& start) {
  core::TrainTranslationOptions& t = options.translation;
  const auto only = [&](CLI::Option* option) {
    return task.Only(kTranslation, option->group("Translation (--task translation)"));
  };
  only(command->add_option("--recipe", options.recipe,
                           "fs-rwkv/unc or fs-rwkv/bnu: as published, with its flips, turns, mixup "
                           "and cutmix (other settings are the published ones anyway, unless "
                           "given)"))
      ->check(CLI::IsMember({"fs-rwkv/unc", "fs-rwkv/bnu"}))
      ->excludes("--augmentation");
  only(command->add_option("--source", t.source_folder, "Folder of inputs (default: DATA/source)"));
  only(command->add_option("--target", t.target_folder,
                           "Folder of wanted outputs (default: DATA/target)"));
  only(command->add_option("--pairs", t.pairs,
                           "Published pairing file, a line SOURCE_NAME,TARGET_NAME each (default: "
                           "namesakes)"))
      ->check(CLI::ExistingFile);
  only(command->add_option("--validation-pairs", t.validation_pairs,
                           "The same, of the validation pairs"))
      ->check(CLI::ExistingFile);
  start.Only(kNewWeights, only(command->add_option("--dim", t.dim,
                                                   "Width of FS-RWKV's first level, a multiple of "
                                                   "8"))
                              ->capture_default_str());
  start.Only(kNewWeights, only(command->add_option("--blocks", t.blocks,
                                                   "Blocks of levels 1 to 3 and of the latent"))
                              ->expected(4)
                              ->default_str("4 6 6 8"));
  start.Only(kNewWeights,
             only(command->add_option("--refinement", t.refinement, "Refinement blocks"))
                 ->capture_default_str());
  only(command->add_option("--image-size", t.image_size, "Side of the training pictures in pixels"))
      ->capture_default_str();
  only(command->add_flag("--crops", t.crops,
                         "Train on random windows of that side, not on slices resized to it"));
  only(command->add_option("--slices-per-epoch", t.slices_per_epoch,
                           "Drawn anew each epoch; 0 = all"))
      ->capture_default_str();
  only(command->add_option("--validation-slices", t.validation_slices,
                           "Of each validation case, evenly spaced; 0 = all"))
      ->capture_default_str();
  only(command->add_option("--ssim-weight", t.ssim_weight, "Weight of 1 - SSIM in the loss"))
      ->capture_default_str();
  only(command->add_option("--edge-weight", t.edge_weight, "Weight of the edge term in the loss"))
      ->capture_default_str();
  only(command->add_option("--ssim-border", t.ssim_border, "full or crop (TorchMetrics <= 1.4.1)"))
      ->capture_default_str();
  only(command->add_flag("--shared-scale", t.shared_scale,
                         "Source and target have the same units ('avocet degrade'): one intensity "
                         "scale"));
  only(command->add_option("--percentiles", t.percentiles,
                           "Of a volume's values, that become 0 and 1"))
      ->expected(2)
      ->default_str("0 99.5");
  only(command->add_flag("--force", t.force, "Train on pairs that seem not registered"));
}

}  // namespace

void AddTrain(CLI::App& app, Action& action, ModeTable& modes) {
  auto options = std::make_shared<Options>();
  core::TrainOptions& o = options->segmentation;
  CLI::App* command = app.add_subcommand(
      "train", "Train a segmentation network on an MSD folder, or a translation network on pairs");
  OptionModes& task = modes.Add(*command, {"--task segmentation", "--task translation"},
                                [options] { return options->Task(); });
  OptionModes& start = modes.Add(*command, {"new weights", "--init"}, [options] {
    return options->segmentation.init.empty() ? kNewWeights : kStartedFrom;
  });
  OptionModes& chosen =
      modes.Add(*command, {"validation cases that are drawn", "--validation or --validation-list"},
                [options] {
                  const bool named = !options->segmentation.validation.empty() ||
                                     !options->validation_list.empty();
                  return named ? kNamed : kDrawn;
                });
  OptionModes& listed = modes.Add(
      *command, {"a training without --validation-pairs", "--validation-pairs"},
      [options] { return options->translation.validation_pairs.empty() ? kSplit : kListed; });
  OptionModes& schedule = modes.Add(
      *command, {"--schedule cosine, poly or constant", "this --schedule"}, [options, command] {
        // The default of translation has no warm-up.
        std::string name = options->segmentation.schedule;
        if (options->Task() == kTranslation && command->count("--schedule") == 0) name = "fs-rwkv";
        return name == "cosine" || name == "poly" || name == "constant" ? kWarmsUp : kFixedStart;
      });

  command
      ->add_option(
          "data", o.data,
          "Folder with dataset.json, imagesTr/ and labelsTr/; for translation with source/ "
          "and target/")
      ->required();
  command->add_option("--task", options->task, "segmentation or translation")
      ->check(CLI::IsMember({"segmentation", "translation"}))
      ->capture_default_str();
  command->add_option("-o,--output", o.output, "Folder for model.safetensors, last.ckpt, log.csv")
      ->required();
  command->add_option("--init", o.init,
                      "Checkpoint or shipped model to start from (fine-tuning): a model of this "
                      "program or an official .pth, of any number of classes; for segmentation an "
                      "encoder alone too; for translation its sizes are used");
  command->add_option("--name", o.name, "Name of the model, for people");
  AddRecipeOptions(command, o, schedule);
  AddValidationOptions(command, *options, chosen, listed);
  AddRunOptions(command, o);
  AddSegmentationOptions(command, o, task);
  AddTranslationOptions(command, *options, task, start);

  command->callback([=, &action] {
    action = [=](Progress& progress) {
      core::TrainOptions& given = options->segmentation;
      if (!options->validation_list.empty()) {
        for (const std::string& name : NamesInFile(options->validation_list)) {
          given.validation.push_back(name);
        }
      }
      if (options->Task() == kTranslation) {
        core::TrainTranslationOptions& t = options->translation;
        t.run = given;
        UseTranslationDefaults(*command, options->recipe, t.run);
        if (const std::string wrong = t.Check(); !wrong.empty()) throw OptionError(wrong);
        PrintResult(core::LoadEngine().train_translation(t, progress));
        return ExitCode::kOk;
      }
      if (const std::string wrong = given.Check(); !wrong.empty()) throw OptionError(wrong);
      PrintResult(core::LoadEngine().train(given, progress));
      return ExitCode::kOk;
    };
  });
}

}  // namespace avocet::cli

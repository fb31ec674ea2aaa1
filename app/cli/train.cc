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

void PrintResult(const core::TrainResult& r) {
  std::printf("%s after %d epochs, %.1f min, %.1f slices/s\n",
              r.finished ? "finished" : "stopped (continue with --resume)", r.epochs_done,
              r.seconds / 60, r.slices_per_second);
  std::printf("cases: %d training (%lld slices), %d validation, %d left out\n", r.training_cases,
              static_cast<long long>(r.slices), r.validation_cases, r.skipped_cases);
  if (r.best_epoch > 0) {
    std::printf("best validation Dice %.4f in epoch %d", r.best_dice, r.best_epoch);
    for (const auto& [name, dice] : r.best_class_dice) std::printf(", %s %.4f", name.c_str(), dice);
    std::printf("\n");
  }
  std::printf("model: %s\n", r.model.c_str());
}

void PrintResult(const core::TrainTranslationResult& r) {
  std::printf("%s after %d epochs, %.1f min, %.1f slices/s\n",
              r.finished ? "finished" : "stopped (continue with --resume)", r.epochs_done,
              r.seconds / 60, r.slices_per_second);
  std::printf("pairs: %d training (%lld slices), %d validation\n", r.training_cases,
              static_cast<long long>(r.slices), r.validation_cases);
  if (r.best_epoch > 0) {
    std::printf("best validation SSIM %.4f (input %.4f), PSNR %.3f dB (input %.3f) in epoch %d\n",
                r.ssim, r.input_ssim, r.psnr, r.input_psnr, r.best_epoch);
  }
  std::printf("model: %s\n", r.model.c_str());
}

// Of `run`, what the command line does not name gets the value that translation has by default.
void UseTranslationDefaults(const CLI::App& command, const std::string& recipe,
                            core::TrainOptions& run) {
  const core::TrainOptions published = core::TrainTranslationOptions().run;
  const auto keep = [&](const char* option, auto member) {
    if (command.count(option) == 0) run.*member = published.*member;
  };
  keep("--epochs", &core::TrainOptions::epochs);
  keep("--batch", &core::TrainOptions::batch);
  keep("--lr", &core::TrainOptions::learning_rate);
  keep("--warmup", &core::TrainOptions::warmup_epochs);
  keep("--weight-decay", &core::TrainOptions::weight_decay);
  keep("--decay-everything", &core::TrainOptions::decay_everything);
  keep("--clip", &core::TrainOptions::clip);
  keep("--schedule", &core::TrainOptions::schedule);
  keep("--seed", &core::TrainOptions::seed);
  if (command.count("--augmentation") == 0) run.augmentation = recipe.empty() ? "default" : recipe;
}

void AddTranslationOptions(CLI::App* command, core::TrainTranslationOptions& t,
                           std::string& recipe) {
  const std::string group = "Translation (--task translation)";
  command
      ->add_option(
          "--recipe", recipe,
          "fs-rwkv/unc or fs-rwkv/bnu: as published, with its flips, turns, mixup and cutmix "
          "(other settings are the published ones anyway, unless given)")
      ->check(CLI::IsMember({"fs-rwkv/unc", "fs-rwkv/bnu"}))
      ->group(group);
  command->add_option("--source", t.source_folder, "Folder of inputs (default: DATA/source)")
      ->group(group);
  command
      ->add_option("--target", t.target_folder, "Folder of wanted outputs (default: DATA/target)")
      ->group(group);
  command
      ->add_option(
          "--pairs", t.pairs,
          "Published pairing file, a line SOURCE_NAME,TARGET_NAME each (default: namesakes)")
      ->check(CLI::ExistingFile)
      ->group(group);
  command->add_option("--validation-pairs", t.validation_pairs, "The same, of the validation pairs")
      ->check(CLI::ExistingFile)
      ->group(group);
  command
      ->add_option("--init", t.init, "Model to start from (fine-tuning); its sizes are used then")
      ->group(group);
  command->add_option("--dim", t.dim, "Width of FS-RWKV's first level, a multiple of 8")
      ->capture_default_str()
      ->group(group);
  command->add_option("--blocks", t.blocks, "Blocks of levels 1 to 3 and of the latent")
      ->expected(4)
      ->default_str("4 6 6 8")
      ->group(group);
  command->add_option("--refinement", t.refinement, "Refinement blocks")
      ->capture_default_str()
      ->group(group);
  command->add_option("--image-size", t.image_size, "Side of the training pictures in pixels")
      ->capture_default_str()
      ->group(group);
  command
      ->add_flag("--crops", t.crops,
                 "Train on random windows of that side, not on slices resized to it")
      ->group(group);
  command->add_option("--slices-per-epoch", t.slices_per_epoch, "Drawn anew each epoch; 0 = all")
      ->capture_default_str()
      ->group(group);
  command
      ->add_option("--validation-slices", t.validation_slices,
                   "Of each validation case, evenly spaced; 0 = all")
      ->capture_default_str()
      ->group(group);
  command->add_option("--ssim-weight", t.ssim_weight, "Weight of 1 - SSIM in the loss")
      ->capture_default_str()
      ->group(group);
  command->add_option("--edge-weight", t.edge_weight, "Weight of the edge term in the loss")
      ->capture_default_str()
      ->group(group);
  command->add_option("--ssim-border", t.ssim_border, "full or crop (TorchMetrics <= 1.4.1)")
      ->capture_default_str()
      ->group(group);
  command
      ->add_flag("--shared-scale", t.shared_scale,
                 "Source and target have the same units ('avocet degrade'): one intensity scale")
      ->group(group);
  command->add_option("--percentiles", t.percentiles, "Of a volume's values, that become 0 and 1")
      ->expected(2)
      ->default_str("0 99.5")
      ->group(group);
  command->add_flag("--force", t.force, "Train on pairs that seem not registered")->group(group);
}

}  // namespace

void AddTrain(CLI::App& app, Action& action) {
  auto o = std::make_shared<core::TrainOptions>();
  auto list = std::make_shared<std::string>();
  auto t = std::make_shared<core::TrainTranslationOptions>();
  auto task = std::make_shared<std::string>("segmentation");
  auto recipe_name = std::make_shared<std::string>();
  CLI::App* command = app.add_subcommand(
      "train", "Train a segmentation network on an MSD folder, or a translation network on pairs");
  command
      ->add_option(
          "data", o->data,
          "Folder with dataset.json, imagesTr/ and labelsTr/; for translation with source/ "
          "and target/")
      ->required();
  command->add_option("--task", *task, "segmentation or translation")
      ->check(CLI::IsMember({"segmentation", "translation"}))
      ->capture_default_str();
  command->add_option("-o,--output", o->output, "Folder for model.safetensors, last.ckpt, log.csv")
      ->required();
  command->add_option("--variant", o->variant, "RWKV-UNet T, S or B")->capture_default_str();
  command->add_option("--name", o->name, "Name of the model, for people");

  const std::string recipe = "Recipe";
  command->add_option("--epochs", o->epochs, "Epochs")->capture_default_str()->group(recipe);
  command->add_option("--batch", o->batch, "Slices a step")->capture_default_str()->group(recipe);
  command->add_option("--lr", o->learning_rate, "Learning rate")
      ->capture_default_str()
      ->group(recipe);
  command
      ->add_option("--schedule", o->schedule,
                   "cosine, poly, constant, cosine-epoch, synapse-official, acdc-official, "
                   "acdc-release")
      ->capture_default_str()
      ->group(recipe);
  command
      ->add_option("--warmup", o->warmup_epochs,
                   "Epochs of linear warm-up (cosine, poly, constant)")
      ->capture_default_str()
      ->group(recipe);
  command->add_option("--weight-decay", o->weight_decay, "AdamW weight decay")
      ->capture_default_str()
      ->group(recipe);
  command
      ->add_flag("--decay-everything", o->decay_everything,
                 "Decay norms, biases and vectors too, as published")
      ->group(recipe);
  command->add_option("--clip", o->clip, "Largest gradient norm, 0 = none")
      ->capture_default_str()
      ->group(recipe);
  command->add_option("--ce-weight", o->ce_weight, "Loss = w CE + (1 - w) Dice")
      ->capture_default_str()
      ->group(recipe);
  command->add_option("--ema", o->ema, "Decay of averaged weights, 0 = off")
      ->capture_default_str()
      ->group(recipe);
  command
      ->add_option("--drop-path", o->drop_path, "Largest drop-path rate (default: the variant's)")
      ->group(recipe);
  command
      ->add_option("--augmentation", o->augmentation,
                   "none, default, default-strong, synapse, acdc, synapse-release, acdc-release")
      ->capture_default_str()
      ->group(recipe);
  command->add_option("--flips", o->flips, "Mirror at random: r rows, c columns, s slice order")
      ->group(recipe);
  command
      ->add_option("--background-share", o->background_share,
                   "Share of the slices without foreground that an epoch uses")
      ->capture_default_str()
      ->group(recipe);
  command->add_option("--seed", o->seed, "Seed of every random decision")
      ->capture_default_str()
      ->group(recipe);
  command->add_option("--precision", o->precision, "float32 or bfloat16")
      ->capture_default_str()
      ->group(recipe);

  const std::string input = "Input of the network";
  command->add_option("--plane", o->plane, "axial, coronal or sagittal")
      ->capture_default_str()
      ->group(input);
  command->add_option("--pixel-mm", o->pixel_mm, "Pixel size in mm, 0 = as stored")
      ->capture_default_str()
      ->group(input);
  command->add_option("--context", o->context, "Neighbouring slices each side as channels: 0 or 1")
      ->capture_default_str()
      ->group(input);
  command->add_option("--intensity", o->intensity, "none, percentile, zscore or window")
      ->capture_default_str()
      ->group(input);
  command->add_option("--window", o->window, "Lower and upper end for --intensity window")
      ->expected(2)
      ->group(input);
  command
      ->add_option(
          "--canvas", o->canvas,
          "Rows and columns of the training images, multiples of 16 (default: the largest slice)")
      ->expected(2)
      ->group(input);

  const std::string validation = "Validation";
  command->add_option("--validation", o->validation, "Names of the cases to hold out")
      ->group(validation);
  command->add_option("--validation-list", *list, "File with one such name a line")
      ->group(validation);
  command
      ->add_option("--validation-fraction", o->validation_fraction,
                   "Share of cases to hold out when none are named")
      ->capture_default_str()
      ->group(validation);
  command->add_option("--validate-every", o->validate_every, "Epochs between validations")
      ->capture_default_str()
      ->group(validation);
  command->add_flag("--keep-last", o->keep_last, "Keep the last state instead of the best")
      ->group(validation);

  AddTranslationOptions(command, *t, *recipe_name);

  const std::string run = "Run";
  command->add_flag("--resume", o->resume, "Continue from last.ckpt in the output folder")
      ->group(run);
  command
      ->add_option("--max-minutes", o->max_minutes, "Stop after this time, resumable; 0 = no limit")
      ->capture_default_str()
      ->group(run);
  command->add_option("--checkpoint-minutes", o->checkpoint_minutes, "Time between checkpoints")
      ->capture_default_str()
      ->group(run);
  command->add_option("--device", o->device.text, "auto or cpu (training runs on the CPU)")
      ->capture_default_str()
      ->group(run);
  command->add_option("--threads", o->device.threads, "CPU threads, 0 = all")
      ->capture_default_str()
      ->group(run);

  command->callback([=, &action] {
    action = [=](Progress& progress) {
      if (!list->empty()) {
        for (const std::string& name : NamesInFile(*list)) o->validation.push_back(name);
      }
      if (*task == "translation") {
        t->run = *o;
        UseTranslationDefaults(*command, *recipe_name, t->run);
        if (const std::string wrong = t->Check(); !wrong.empty()) throw OptionError(wrong);
        PrintResult(core::LoadEngine().train_translation(*t, progress));
        return ExitCode::kOk;
      }
      if (const std::string wrong = o->Check(); !wrong.empty()) throw OptionError(wrong);
      PrintResult(core::LoadEngine().train(*o, progress));
      return ExitCode::kOk;
    };
  });
}

}  // namespace avocet::cli

// SPDX-License-Identifier: Apache-2.0
#include <cstdio>
#include <memory>

#include "app/cli/command.h"
#include "app/core/expectation_checks.h"
#include "app/core/model_job.h"

namespace avocet::cli {
namespace {

constexpr size_t kShownNames = 4;

struct InfoOptions {
  std::string file;
  bool json = false;
  bool all = false;
};

void Row(const char* label, const std::string& text) {
  std::printf("  %-14s %s\n", label, text.c_str());
}

std::string Number(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.6g", value);
  return text;
}

// 3145961 -> "3,145,961".
std::string Grouped(uint64_t value) {
  std::string text = std::to_string(value);
  for (size_t at = text.size(); at > 3;) text.insert(at -= 3, ",");
  return text;
}

void Names(const char* label, const std::vector<std::string>& names, bool all) {
  if (names.empty()) return;
  if (!all) {
    Row(label, std::to_string(names.size()) + ": " + models::ListNames(names, kShownNames));
    return;
  }
  Row(label, std::to_string(names.size()));
  for (const auto& name : names) std::printf("      %s\n", models::ListNames({name}, 1).c_str());
}

void PrintExpectations(const models::ModelCard& card) {
  const models::Expectations& e = card.expects;
  const auto field = [](const char* label, const std::string& text) {
    if (!text.empty()) std::printf("    %-14s %s\n", label, text.c_str());
  };
  const auto parts = [](const models::SliceIntervals& intervals) {
    std::string text;
    const auto add = [&](const char* name, const models::Interval& interval) {
      if (!interval.Stated()) return;
      text += (text.empty() ? "" : ", ") + std::string(name) + " " + core::IntervalText(interval);
    };
    add("rows", intervals.rows);
    add("columns", intervals.columns);
    add("slices", intervals.slices);
    return text.empty() ? text : text + " mm";
  };
  field("field of view", parts(e.field_of_view_mm));
  field("voxel size", parts(e.voxel_mm));
  if (e.slice_count.Stated()) field("slices", core::IntervalText(e.slice_count));
  if (e.values.Stated()) field("values", core::IntervalText(e.values));
  if (e.correlation.lowest > 0) {
    field("correlation",
          "at least " + Number(e.correlation.lowest) +
              (e.correlation.distance_mm > 0 ? " at " + Number(e.correlation.distance_mm) + " mm"
                                             : std::string(" of neighbours")));
  }
  std::string volumes;
  for (const auto& label : card.labels) {
    const auto range = e.volumes_ml.find(label.value);
    if (range == e.volumes_ml.end() || !range->second.Stated()) continue;
    volumes += (volumes.empty() ? "" : ", ") + label.name + " " +
               core::IntervalText(range->second) + " ml";
  }
  field("volumes", volumes);
}

void PrintCard(const models::ModelCard& card) {
  std::printf("  card\n");
  const auto field = [](const char* label, const std::string& text) {
    if (!text.empty()) std::printf("    %-14s %s\n", label, text.c_str());
  };
  field("name", card.name);
  field("task", card.task);
  std::string labels;
  for (const auto& label : card.labels) {
    labels += (labels.empty() ? "" : ", ") + std::to_string(label.value) + " " + label.name;
  }
  field("labels", labels);
  field("modality", card.modality);
  field("plane", card.plane);
  field("channels", std::to_string(card.input_channels));
  field("wkv", card.wkv);
  const models::Preprocessing& p = card.preprocessing;
  std::string text = p.intensity;
  if (p.intensity == "percentile" || p.intensity == "window") {
    text += " " + Number(p.lower) + " to " + Number(p.upper);
  }
  field("intensity", text);
  text = p.resample;
  if (p.resample == "transunet") {
    text += " " + std::to_string(p.size[0]) + " x " + std::to_string(p.size[1]);
  }
  if (p.resample == "spacing") text += " " + Number(p.pixel_mm) + " mm";
  if (p.context > 0) text += ", neighbouring slices as channels";
  field("resampling", text);
  PrintExpectations(card);
  field("averaging", card.tta.empty() ? "" : "up to --tta " + card.tta);
  field("licence", card.licence);
  for (const auto& [key, value] : card.provenance) field(key.c_str(), value);
}

void Print(const core::ModelInfo& info, bool all) {
  std::printf("%s\n", info.path.c_str());
  Row("format", info.format + ", " + Grouped(info.file_bytes) + " bytes");
  std::string types;
  for (const auto& [type, count] : info.types) {
    types += (types.empty() ? "" : ", ") + std::to_string(count) + " " + type;
  }
  Row("tensors",
      std::to_string(info.tensors) + " (" + types + "), " + Grouped(info.tensor_bytes) + " bytes");
  if (!info.layout) {
    Row("architecture", "unknown");
  } else {
    const models::LayoutReport& layout = *info.layout;
    Row("architecture", layout.architecture + " " + layout.variant +
                            (layout.encoder_only ? ", encoder only (to begin training from)" : ""));
    if (layout.classes > 0) Row("classes", std::to_string(layout.classes));
    Row("layout", layout.layout);
    Row("parameters", Grouped(static_cast<uint64_t>(layout.used_parameters)) + " used, " +
                          Grouped(static_cast<uint64_t>(layout.total_parameters)) + " in the file");
    Row("matched", std::to_string(layout.matched.size()));
    Names("missing", layout.Holes(), all);
    std::vector<std::string> wrong;
    for (const auto& each : layout.wrong_shape) {
      wrong.push_back(each.name + ": " + each.found + " instead of " + each.expected);
    }
    Names("wrong shape", wrong, all);
    Names("unexpected", layout.unexpected, all);
    Names("unused", layout.unused, all);
  }
  if (info.has_decay) {
    Row("spatial_decay", Number(info.decay_min) + " to " + Number(info.decay_max));
  }
  Names("not finite", info.not_finite, all);
  for (const auto& note : info.notes) Row("note", note);
  for (const auto& [key, value] : info.metadata)
    Row("metadata", models::ListNames({key + " = " + value}, 1));
  if (!info.card.empty()) PrintCard(info.card);
}

void AddModelInfo(CLI::App& parent, Action& action) {
  auto options = std::make_shared<InfoOptions>();
  CLI::App* command = parent.add_subcommand(
      "info", "Architecture, parameters, missing and unexpected tensors of a model file");
  command->add_option("file", options->file, "Model file: .safetensors, .pth, .pth.gz")->required();
  command->add_flag("--json", options->json, "Print JSON");
  command->add_flag("--all", options->all, "List every name, not the first few");
  command->footer("Exit code 0 for a usable model, 4 for one with holes (stderr says which).");
  command->callback([options, &action] {
    action = [options](Progress&) {
      const core::ModelInfo info = core::DescribeModel(options->file);
      if (options->json) {
        std::printf("%s\n", core::ToJson(info).c_str());
      } else {
        Print(info, options->all);
      }
      if (info.problem.empty()) return ExitCode::kOk;
      std::fflush(stdout);
      throw ModelError("model file '" + options->file + "' cannot be used: " + info.problem);
    };
  });
}

void AddModelConvert(CLI::App& parent, Action& action) {
  auto options = std::make_shared<core::ModelConvertOptions>();
  auto half = std::make_shared<bool>(false);
  CLI::App* command = parent.add_subcommand(
      "convert", "Any model file to a self-describing .safetensors; the input is not touched");
  command->add_option("input", options->input, "Model file: .pth, .pth.gz, .safetensors")
      ->required();
  command->add_option("output", options->output, "New file, *.safetensors")->required();
  CLI::Option* dtype = command->add_option("--dtype", options->dtype,
                                           "Type of floating tensors: float32, float16, bfloat16 "
                                           "(default: as they are)");
  command->add_flag("--half", *half, "Same as --dtype float16")->excludes(dtype);
  command->add_flag(
      "--keep-unused", options->keep_unused,
      "Keep tensors that do not influence the result (default: dropped); FS-RWKV gets "
      "its Haar filters back, so that the official code loads the tensors");
  command->add_flag("--allow-missing", options->allow_missing, "Convert a network with holes");
  command->add_option("--card", options->card, "Model card to store, a JSON file");
  command->add_option("--preset", options->preset,
                      "Labels and preprocessing as published: synapse or acdc");
  command->add_option("--name", options->name, "Name for people");
  command
      ->add_option("--labels", options->labels,
                   "Class names, background first: NAME or VALUE=NAME, separated by commas")
      ->delimiter(',');
  command->add_option("--modality", options->modality, "MR, CT, US or OT")
      ->check(CLI::IsMember({"MR", "CT", "US", "OT"}));
  command->add_option("--plane", options->plane, "axial, coronal or sagittal")
      ->check(CLI::IsMember({"axial", "coronal", "sagittal"}));
  command
      ->add_option("--wkv", options->wkv,
                   "Arithmetic of Bi-WKV: exact, official32 or official64 (default: of the card, "
                   "else official32, FS-RWKV official64)")
      ->check(CLI::IsMember({"exact", "official", "official32", "official64"}));
  command->add_option("--intensity", options->intensity, "none, percentile, zscore or window")
      ->check(CLI::IsMember({"none", "percentile", "zscore", "window"}));
  command->add_option("--range", options->range, "Lower and upper bound of the intensity rule")
      ->expected(2);
  command->add_option("--resample", options->resample, "transunet, spacing or native")
      ->check(CLI::IsMember({"transunet", "spacing", "native"}));
  command->add_option("--size", options->size, "Rows and columns for --resample transunet")
      ->expected(2);
  command->add_option("--pixel", options->pixel_mm, "Millimetres a pixel for --resample spacing")
      ->check(CLI::PositiveNumber);
  command->add_option("--channels", options->input_channels, "Input channels: 1 or 3")
      ->check(CLI::IsMember({1, 3}));
  command
      ->add_option("--tta", options->tta,
                   "Most test-time averaging the training prepared for: none, flip or flip-rot")
      ->check(CLI::IsMember({"none", "flip", "flip-rot"}));
  command->add_option("--licence", options->licence, "Licence of the weights");
  command->add_option("--provenance", options->provenance, "KEY=VALUE; may be repeated");
  const std::string group = "What the model was made for; another image is refused";
  command
      ->add_option("--expect-fov", options->expect_fov,
                   "Least and largest field of view within the slice, mm")
      ->expected(2)
      ->group(group);
  command
      ->add_option("--expect-voxel", options->expect_voxel,
                   "Smallest and largest pixel of the slice, mm")
      ->expected(2)
      ->group(group);
  command
      ->add_option("--expect-values", options->expect_values,
                   "Range that holds 99 % of the values before the intensity rule")
      ->expected(2)
      ->group(group);
  command
      ->add_option("--expect-volume", options->expect_volumes,
                   "VALUE=LOWER:HIGHER, plausible ml of a label (otherwise a warning); may be "
                   "repeated; more can be stated with --card (\"expects\")")
      ->group(group);
  command->callback([options, half, &action] {
    if (*half) options->dtype = "float16";
    action = [options](Progress& progress) {
      const core::ModelConvertResult result = core::ConvertModel(*options, progress);
      std::printf("%s: %zu tensors, %s bytes", result.output.c_str(), result.written,
                  Grouped(result.bytes).c_str());
      if (!result.dropped.empty()) std::printf(", %zu unused dropped", result.dropped.size());
      std::printf("\n");
      return ExitCode::kOk;
    };
  });
}

}  // namespace

void AddModel(CLI::App& app, Action& action) {
  CLI::App* command =
      app.add_subcommand("model", "What a model file holds; conversion to safetensors");
  command->require_subcommand(1);
  AddModelInfo(*command, action);
  AddModelConvert(*command, action);
}

}  // namespace avocet::cli

// SPDX-License-Identifier: Apache-2.0
#include "models/architecture/layout.h"

#include <algorithm>

#include "io/file_util.h"
#include "models/architecture/fs_rwkv_layout.h"
#include "models/architecture/rwkv_unet_layout.h"
#include "models/checkpoint/readers.h"

namespace avocet::models {
namespace {

constexpr std::string_view kEncoder = "encoder.";

// One row an architecture, most specific first. Add the next one here.
using Detector = std::optional<LayoutReport> (*)(const TensorFile& file);
constexpr Detector kDetectors[] = {
    &DetectFsRwkv,
    &DetectRwkvUnet,
};

void Append(std::string& text, size_t count, const char* what, const std::string& names) {
  if (count == 0) return;
  if (!text.empty()) text += "; ";
  text +=
      std::to_string(count) + (count == 1 ? " tensor " : " tensors ") + what + " (" + names + ")";
}

}  // namespace

int64_t TensorSpec::Numel() const {
  int64_t count = 1;
  for (const int64_t extent : shape) count *= extent;
  return count;
}

std::string LayoutReport::NameInFile(const std::string& name) const {
  const bool shorten = without_encoder_prefix && name.compare(0, kEncoder.size(), kEncoder) == 0;
  return shorten ? name.substr(kEncoder.size()) : name;
}

std::vector<std::string> LayoutReport::Holes() const {
  if (!encoder_only) return missing;
  std::vector<std::string> holes;
  for (const std::string& name : missing) {
    if (name.compare(0, kEncoder.size(), kEncoder) == 0) holes.push_back(name);
  }
  return holes;
}

bool LayoutReport::Complete() const {
  return Holes().empty() && wrong_shape.empty() && unexpected.empty();
}

std::string LayoutReport::Complaint(size_t max_names) const {
  std::string text;
  const std::vector<std::string> holes = Holes();
  Append(text, holes.size(), "missing", ListNames(holes, max_names));
  std::vector<std::string> wrong;
  for (const Mismatch& each : wrong_shape) {
    wrong.push_back(each.name + ": " + each.found + " instead of " + each.expected);
  }
  Append(text, wrong.size(), "of the wrong shape or type", ListNames(wrong, max_names));
  Append(text, unexpected.size(), "unexpected", ListNames(unexpected, max_names));
  return text;
}

std::optional<LayoutReport> DetectArchitecture(const TensorFile& file) {
  for (const Detector detect : kDetectors) {
    if (auto report = detect(file)) return report;
  }
  return std::nullopt;
}

std::string LayoutDigest(const std::vector<TensorSpec>& tensors) {
  std::vector<const TensorSpec*> sorted;
  sorted.reserve(tensors.size());
  for (const TensorSpec& tensor : tensors) sorted.push_back(&tensor);
  std::sort(sorted.begin(), sorted.end(),
            [](const TensorSpec* a, const TensorSpec* b) { return a->name < b->name; });
  std::string text;
  for (const TensorSpec* tensor : sorted) {
    text += tensor->name + " ";
    for (size_t i = 0; i < tensor->shape.size(); ++i) {
      text += (i ? "," : "") + std::to_string(tensor->shape[i]);
    }
    text += "\n";
  }
  return io::Sha256OfBytes(text).substr(0, 16);
}

std::string ListNames(const std::vector<std::string>& names, size_t max_names) {
  std::string text;
  for (size_t i = 0; i < std::min(names.size(), max_names); ++i) {
    text += (i ? ", " : "") + Printable(names[i]);
  }
  if (names.size() > max_names)
    text += " and " + std::to_string(names.size() - max_names) + " more";
  return text;
}

}  // namespace avocet::models

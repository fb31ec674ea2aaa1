// SPDX-License-Identifier: Apache-2.0
#include "app/core/image_pair.h"

#include <algorithm>
#include <cmath>

#include "app/base/error.h"
#include "app/core/image_checks.h"
#include "app/core/mask_file.h"
#include "io/volume_io.h"
#include "models/predict/slice_layout.h"
#include "models/preprocess/head_mask.h"
#include "models/preprocess/pillow_resize.h"

namespace avocet::core {
namespace {

namespace fs = std::filesystem;
using metrics::ImagePair;
using metrics::Protocol;

bool IsPictureFormat(const io::Volume& volume) {
  if (!volume.source) return false;
  const std::string name = volume.source->FormatName();
  return name == "PNG" || name == "JPEG" || name == "TIFF";
}

// values[k][j][i] with its axes in another order: new axis n is old axis order[n].
template <typename To, typename From>
std::vector<To> Reordered(const std::vector<From>& values, const std::array<int64_t, 3>& size,
                          const std::array<int, 3>& order) {
  const std::array<int64_t, 3> step{1, size[0], size[0] * size[1]};
  std::vector<To> out(values.size());
  size_t x = 0;
  for (int64_t c = 0; c < size[order[2]]; ++c)
    for (int64_t b = 0; b < size[order[1]]; ++b)
      for (int64_t a = 0; a < size[order[0]]; ++a)
        out[x++] =
            static_cast<To>(values[a * step[order[0]] + b * step[order[1]] + c * step[order[2]]]);
  return out;
}

// A picture as Pillow's 8-bit grey, resized for the published protocol.
std::vector<uint8_t> GreyBytes(const io::Volume& picture, const std::string& name) {
  if (picture.type != io::VoxelType::kUInt8) {
    throw IoError("'" + name +
                  "' has more than 8 bits; the published protocol takes 8-bit pictures, "
                  "choose --protocol default");
  }
  const int64_t count = picture.geometry.VoxelCount();
  const uint8_t* bytes = picture.As<uint8_t>();
  std::vector<uint8_t> grey(count);
  const int channels = picture.components;
  for (int64_t x = 0; x < count; ++x) {
    grey[x] = channels < 3 ? bytes[x * channels]
                           : preprocess::PillowGrey(bytes[x * channels], bytes[x * channels + 1],
                                                    bytes[x * channels + 2]);
  }
  return grey;
}

fs::path MaskFor(const EvaluateOptions& options, const EvaluatedCase& item) {
  std::error_code error;
  if (!fs::is_directory(options.mask, error)) return options.mask;
  for (const fs::path& path : ListMasks(options.mask)) {
    if (io::StemOf(path) == item.name || io::StemOf(path) == io::StemOf(item.reference))
      return path;
  }
  throw IoError("folder '" + options.mask.string() + "' holds no mask called " + item.name);
}

std::vector<uint8_t> ReadMask(const EvaluateOptions& options, EvaluatedCase& item,
                              const io::Volume& reference, const std::vector<float>& values) {
  if (options.mask == "head") return preprocess::HeadMask(values.data(), reference.geometry.size);
  const fs::path path = MaskFor(options, item);
  MaskGrid grid;
  grid.geometry = &reference.geometry;
  grid.space = io::SpaceOf(reference);
  grid.force = options.force;
  MaskFile file = ReadMaskFile(path, grid);
  if (IsDicomMask(path)) {
    item.notes.insert(item.notes.end(), file.notes.begin(), file.notes.end());
    item.forced = item.forced || file.forced;
  }
  const io::Volume mask = OnlyVolume(std::move(file), path);
  RequireGreyVolume(mask, path.string(), "use as a mask");
  RequireSameGrid(mask.geometry, reference.geometry, options.geometry_tolerance,
                  path.filename().string(), item.reference_input.name);
  const std::vector<float> stored = mask.ToFloat();
  std::vector<uint8_t> out(stored.size());
  std::transform(stored.begin(), stored.end(), out.begin(), [](float v) { return v != 0; });
  return out;
}

// The 8-bit pictures of the published pipeline.
Images PublishedPictures(const EvaluateOptions& options, const EvaluatedCase& item,
                         const io::Volume& prediction, const io::Volume& reference) {
  Images images;
  images.pictures = true;
  images.dims = 2;
  images.range = images.unit = options.data_range > 0 ? options.data_range : 255;
  const auto load = [&](const io::Volume& picture, const fs::path& path) {
    std::vector<uint8_t> grey = GreyBytes(picture, path.string());
    int64_t cols = picture.geometry.size[0], rows = picture.geometry.size[1];
    if (options.image_size > 0) {
      grey = preprocess::PillowResizeBilinear(grey.data(), rows, cols, options.image_size,
                                              options.image_size);
      rows = cols = options.image_size;
    }
    const std::array<int64_t, 3> size{cols, rows, 1};
    if (images.size != std::array<int64_t, 3>{1, 1, 1} && images.size != size) {
      throw IoError("'" + item.prediction_input.name + "' and '" + item.reference_input.name +
                    "' have different sizes");
    }
    images.size = size;
    return std::vector<double>(grey.begin(), grey.end());
  };
  images.prediction = load(prediction, item.prediction);
  images.reference = load(reference, item.reference);
  return images;
}

}  // namespace

Images LoadImages(const EvaluateOptions& options, const std::vector<Protocol>& protocols,
                  EvaluatedCase& item, Progress& progress) {
  PartOf first(progress, 0, 0.2), second(progress, 0.2, 0.4);
  const io::Volume prediction = ReadInput(item.prediction_input, options.regularise, first);
  const io::Volume reference = ReadInput(item.reference_input, options.regularise, second);
  const std::string prediction_name = item.prediction_input.name;
  const std::string reference_name = item.reference_input.name;
  const bool pictures = IsPictureFormat(prediction) && IsPictureFormat(reference);
  item.size = reference.geometry.size;
  item.spacing_mm = reference.geometry.spacing;
  item.dims = options.dims != 0 ? options.dims : item.size[2] == 1 ? 2 : 3;
  item.plane = "as stored";
  if (pictures && protocols.size() == 1 && protocols[0].name == "fs-rwkv" && options.mask.empty()) {
    item.dims = 2;
    return PublishedPictures(options, item, prediction, reference);
  }
  RequireGreyVolume(prediction, item.prediction.string(), "score");
  RequireGreyVolume(reference, item.reference.string(), "score");
  if (pictures) {
    if (prediction.geometry.size != reference.geometry.size)
      throw IoError("'" + prediction_name + "' and '" + reference_name + "' have different sizes");
  } else {
    RequireSameGrid(prediction.geometry, reference.geometry, options.geometry_tolerance,
                    prediction_name, reference_name);
  }
  if (item.dims == 2 && item.size[2] != 1)
    throw OptionError(reference_name + " has " + std::to_string(item.size[2]) +
                      " slices; --dims 2 is for images of one slice");
  std::vector<float> p = prediction.ToFloat(), t = reference.ToFloat();
  for (const std::vector<float>* values : {&p, &t}) {
    if (std::any_of(values->begin(), values->end(), [](float v) { return !std::isfinite(v); }))
      throw IoError("'" + (values == &p ? item.prediction : item.reference).string() +
                    "' holds values that are not finite numbers; they cannot be scored");
  }
  Images images;
  images.pictures = pictures;
  images.dims = item.dims;
  std::array<int, 3> order{0, 1, 2};
  if (item.dims == 3 && !pictures) {
    models::VolumeView view{t.data(), reference.geometry.size, reference.geometry.spacing,
                            reference.geometry.direction};
    item.plane = options.plane == "auto" ? models::ChoosePlane(view, "axial") : options.plane;
    const models::SliceLayout layout = models::FindSliceLayout(view, item.plane);
    order = {layout.axis[2], layout.axis[1], layout.axis[0]};
  }
  if (!options.mask.empty()) {
    const std::vector<uint8_t> mask = ReadMask(options, item, reference, t);
    images.mask = Reordered<uint8_t>(mask, item.size, order);
  }
  images.prediction = Reordered<double>(p, item.size, order);
  std::vector<float>().swap(p);
  images.reference = Reordered<double>(t, item.size, order);
  for (int a = 0; a < 3; ++a) {
    images.size[a] = item.size[order[a]];
    images.spacing[a] = item.spacing_mm[order[a]];
  }
  const auto [low, high] = std::minmax_element(images.reference.begin(), images.reference.end());
  if (options.data_range > 0) {
    images.range = images.unit = options.data_range;
  } else if (pictures && reference.type == io::VoxelType::kUInt8) {
    images.range = images.unit = 255;
  } else {
    images.range = *high - *low;
    images.unit = std::max(1.0, *high);
  }
  return images;
}

}  // namespace avocet::core

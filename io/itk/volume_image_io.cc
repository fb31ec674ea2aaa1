// SPDX-License-Identifier: Apache-2.0
#include "io/itk/volume_image_io.h"

#include <algorithm>
#include <cstring>
#include <string>

#include "app/base/error.h"

namespace avocet::io {
namespace fs = std::filesystem;
namespace {

using Component = itk::IOComponentEnum;

// ITK's reader and writer classes pass on only their own kind of exception.
[[noreturn]] void Rethrow(const std::exception& error, const char* where) {
  throw itk::ExceptionObject(__FILE__, __LINE__, error.what(), where);
}

// The type in which an ITK image holds the real values of `volume`.
Component RealComponentOf(const Volume& volume) {
  if (volume.scaling.IsIdentity()) return ComponentOf(volume.type);
  const bool wide = SizeOf(volume.type) > 2 && volume.type != VoxelType::kFloat32;
  return wide ? Component::DOUBLE : Component::FLOAT;
}

template <typename Stored, typename Real>
void Scale(const Stored* from, size_t count, const ValueScaling& scaling, Real* to) {
  for (size_t i = 0; i < count; ++i) {
    to[i] = static_cast<Real>(static_cast<double>(from[i]) * scaling.slope + scaling.inter);
  }
}

template <typename Stored>
void Scale(const Volume& volume, Component component, void* to) {
  const auto count = static_cast<size_t>(volume.ValueCount());
  if (component == Component::DOUBLE) {
    Scale(volume.As<Stored>(), count, volume.scaling, static_cast<double*>(to));
  } else {
    Scale(volume.As<Stored>(), count, volume.scaling, static_cast<float*>(to));
  }
}

void CopyRealValues(const Volume& volume, void* to) {
  const Component component = RealComponentOf(volume);
  if (volume.scaling.IsIdentity()) {
    std::memcpy(to, volume.data.data(),
                static_cast<size_t>(volume.ValueCount()) * SizeOf(volume.type));
    return;
  }
  switch (volume.type) {
    case VoxelType::kUInt8:
      return Scale<uint8_t>(volume, component, to);
    case VoxelType::kInt8:
      return Scale<int8_t>(volume, component, to);
    case VoxelType::kUInt16:
      return Scale<uint16_t>(volume, component, to);
    case VoxelType::kInt16:
      return Scale<int16_t>(volume, component, to);
    case VoxelType::kUInt32:
      return Scale<uint32_t>(volume, component, to);
    case VoxelType::kInt32:
      return Scale<int32_t>(volume, component, to);
    case VoxelType::kUInt64:
      return Scale<uint64_t>(volume, component, to);
    case VoxelType::kInt64:
      return Scale<int64_t>(volume, component, to);
    case VoxelType::kFloat32:
      return Scale<float>(volume, component, to);
    case VoxelType::kFloat64:
      return Scale<double>(volume, component, to);
  }
}

bool SameShape(const Volume& a, const Volume& b) {
  return a.geometry.size == b.geometry.size && a.components == b.components &&
         a.frames == b.frames && a.type == b.type;
}

}  // namespace

Component ComponentOf(VoxelType type) {
  static constexpr Component kComponents[] = {
      Component::UCHAR, Component::CHAR,  Component::USHORT,    Component::SHORT,
      Component::UINT,  Component::INT,   Component::ULONGLONG, Component::LONGLONG,
      Component::FLOAT, Component::DOUBLE};
  return kComponents[static_cast<int>(type)];
}

VoxelType VoxelTypeOf(Component component) {
  switch (component) {
    case Component::UCHAR:
      return VoxelType::kUInt8;
    case Component::CHAR:
      return VoxelType::kInt8;
    case Component::USHORT:
      return VoxelType::kUInt16;
    case Component::SHORT:
      return VoxelType::kInt16;
    case Component::UINT:
      return VoxelType::kUInt32;
    case Component::INT:
      return VoxelType::kInt32;
    case Component::ULONG:
      return sizeof(long) == 8 ? VoxelType::kUInt64 : VoxelType::kUInt32;
    case Component::LONG:
      return sizeof(long) == 8 ? VoxelType::kInt64 : VoxelType::kInt32;
    case Component::ULONGLONG:
      return VoxelType::kUInt64;
    case Component::LONGLONG:
      return VoxelType::kInt64;
    case Component::FLOAT:
      return VoxelType::kFloat32;
    case Component::DOUBLE:
      return VoxelType::kFloat64;
    case Component::LDOUBLE:
    case Component::UNKNOWNCOMPONENTTYPE:
      break;
  }
  throw IoError("values of ITK's type '" + itk::ImageIOBase::GetComponentTypeAsString(component) +
                "' cannot be held; convert the image to float or double");
}

Geometry GeometryOf(const itk::ImageIOBase& image) {
  const unsigned dimension = image.GetNumberOfDimensions();
  Geometry geometry;
  geometry.size = {1, 1, 1};
  for (unsigned axis = 0; axis < std::min(dimension, 3U); ++axis) {
    geometry.size[axis] = static_cast<int64_t>(image.GetDimensions(axis));
    geometry.spacing[axis] = image.GetSpacing(axis);
    geometry.origin[axis] = image.GetOrigin(axis);
    // A direction has as many components as the image has axes.
    const std::vector<double> direction = image.GetDirection(axis);
    for (unsigned row = 0; row < 3; ++row) {
      geometry.direction[row * 3 + axis] =
          row < std::min(dimension, 3U) ? direction[row] : (row == axis ? 1 : 0);
    }
  }
  return geometry;
}

Volume VolumeFromImageIo(itk::ImageIOBase& image) {
  try {
    image.ReadImageInformation();
    const unsigned dimension = image.GetNumberOfDimensions();
    itk::ImageIORegion region(dimension);
    int64_t frames = 1;
    for (unsigned axis = 0; axis < dimension; ++axis) {
      region.SetIndex(axis, 0);
      region.SetSize(axis, image.GetDimensions(axis));
      if (axis > 2) frames *= static_cast<int64_t>(image.GetDimensions(axis));
    }
    image.SetIORegion(region);
    Volume volume;
    volume.geometry = GeometryOf(image);
    volume.frames = frames;
    volume.type = VoxelTypeOf(image.GetComponentType());
    volume.components = static_cast<int>(image.GetNumberOfComponents());
    volume.data.resize(static_cast<size_t>(image.GetImageSizeInBytes()));
    image.Read(volume.data.data());
    return volume;
  } catch (const itk::ExceptionObject& error) {
    throw IoError("cannot read '" + std::string(image.GetFileName()) +
                  "': " + error.GetDescription());
  }
}

VolumeImageIO::VolumeImageIO() {
  SetNumberOfDimensions(3);
  for (const Format* format : Formats()) {
    for (const std::string& extension : format->Extensions()) {
      AddSupportedReadExtension(extension.c_str());
      if (format->CanWrite()) AddSupportedWriteExtension(extension.c_str());
    }
  }
}

bool VolumeImageIO::CanReadFile(const char* name) {
  try {
    return FindFormat(fs::path(name)) != nullptr;
  } catch (const IoError&) {
    return false;  // it cannot be opened; the caller says so
  }
}

Volume VolumeImageIO::TakeVolume(const ReadOptions& options) {
  const fs::path path = GetFileName();
  const Format* format = FindFormat(path);
  if (!format) throw IoError("cannot read '" + path.string() + "': its format is not known");
  return format->Read(path, options);
}

void VolumeImageIO::ReadImageInformation() {
  try {
    const fs::path path = GetFileName();
    const Format* format = FindFormat(path);
    if (!format) throw IoError("cannot read '" + path.string() + "': its format is not known");
    known_ = format->ReadInformation(path);
  } catch (const std::exception& error) {
    Rethrow(error, "VolumeImageIO::ReadImageInformation");
  }
  const Geometry& geometry = known_->geometry;
  const unsigned dimension = known_->frames > 1 ? 4 : 3;
  SetNumberOfDimensions(dimension);
  for (unsigned axis = 0; axis < dimension; ++axis) {
    std::vector<double> direction(dimension, 0.0);
    if (axis < 3) {
      SetDimensions(axis, static_cast<SizeValueType>(geometry.size[axis]));
      SetSpacing(axis, geometry.spacing[axis]);
      SetOrigin(axis, geometry.origin[axis]);
      for (unsigned row = 0; row < 3; ++row) direction[row] = geometry.direction[row * 3 + axis];
    } else {
      SetDimensions(axis, static_cast<SizeValueType>(known_->frames));
      SetSpacing(axis, 1);
      SetOrigin(axis, 0);
      direction[axis] = 1;
    }
    SetDirection(axis, direction);
  }
  SetComponentType(RealComponentOf(*known_));
  SetNumberOfComponents(static_cast<unsigned>(known_->components));
  const bool bytes = known_->type == VoxelType::kUInt8;
  using Pixel = itk::IOPixelEnum;
  SetPixelType(known_->components == 1            ? Pixel::SCALAR
               : bytes && known_->components == 3 ? Pixel::RGB
               : bytes && known_->components == 4 ? Pixel::RGBA
                                                  : Pixel::VECTOR);
}

void VolumeImageIO::Read(void* buffer) {
  try {
    if (!known_) throw IoError("the image's header has to be read before its voxels");
    Volume volume = std::move(*known_);
    known_.reset();
    if (volume.data.empty() && volume.ValueCount() > 0) {
      const fs::path path = GetFileName();
      const Format* format = FindFormat(path);
      Volume whole = format ? format->Read(path, ReadOptions()) : Volume();
      if (!SameShape(whole, volume)) {
        throw IoError("'" + path.string() + "' was changed while it was read; try again");
      }
      volume = std::move(whole);
    }
    if (GetIORegion().GetNumberOfPixels() !=
        static_cast<SizeValueType>(volume.geometry.VoxelCount() * volume.frames)) {
      throw IoError("'" + std::string(GetFileName()) + "' can only be read as a whole");
    }
    CopyRealValues(volume, buffer);
  } catch (const std::exception& error) {
    Rethrow(error, "VolumeImageIO::Read");
  }
}

bool VolumeImageIO::CanWriteFile(const char* name) {
  const Format* format = FormatByName(fs::path(name));
  return format && format->CanWrite();
}

void VolumeImageIO::PutVolume(const Volume& volume) const {
  const fs::path path = GetFileName();
  const Format* format = FormatByName(path);
  if (!format) {
    throw IoError("cannot write '" + path.string() + "': the name must end in " +
                  WritableExtensions());
  }
  format->Write(volume, path);
}

void VolumeImageIO::Write(const void* buffer) {
  try {
    Volume volume;
    volume.geometry = GeometryOf(*this);
    volume.frames = 1;
    for (unsigned axis = 3; axis < GetNumberOfDimensions(); ++axis) {
      volume.frames *= static_cast<int64_t>(GetDimensions(axis));
    }
    volume.type = VoxelTypeOf(GetComponentType());
    volume.components = static_cast<int>(GetNumberOfComponents());
    const auto* bytes = static_cast<const std::byte*>(buffer);
    volume.data.assign(bytes,
                       bytes + static_cast<size_t>(volume.ValueCount()) * SizeOf(volume.type));
    PutVolume(volume);
  } catch (const std::exception& error) {
    Rethrow(error, "VolumeImageIO::Write");
  }
}

}  // namespace avocet::io

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <itkImageIOBase.h>

#include <filesystem>
#include <optional>
#include <vector>

#include "io/format.h"
#include "io/volume.h"
#include "io/volume_io.h"

namespace avocet::io {

// The way from ITK to the formats of io/format.h and back: one ImageIO that asks the registry which
// format a file has. RegisterImageIo() (io/itk/register_image_io.h) puts it in front of all other
// readers of ITK's factory, so that a plain itk::ImageFileReader reads what ReadVolume reads, with
// the same checks and the same sentence when a file is refused.
//
// An ITK image has real values: where a file has a scaling (Volume::scaling) the component type is
// float, or double for integers of 32 bits and more, and Read() applies it. Frames are a fourth
// axis with spacing 1 and origin 0. Errors are itk::ExceptionObject whose description is the text
// of the IoError.
//
// ReadVolume and WriteVolume use the two functions marked below, which hand a Volume over as it
// is: no copy of the voxels, stored values, header and notes kept, IoError thrown unchanged.
class VolumeImageIO : public itk::ImageIOBase {
 public:
  using Self = VolumeImageIO;
  using Superclass = itk::ImageIOBase;
  using Pointer = itk::SmartPointer<Self>;
  itkNewMacro(Self);
  itkTypeMacro(VolumeImageIO, itk::ImageIOBase);

  // For ReadVolume: the whole file GetFileName(). `options` that the format does not know are an
  // IoError. Throws IoError, Cancelled.
  Volume TakeVolume(const ReadOptions& options);
  // For WriteVolume: writes to GetFileName(). Throws IoError.
  void PutVolume(const Volume& volume) const;

  bool CanReadFile(const char* name) override;
  void ReadImageInformation() override;
  void Read(void* buffer) override;

  bool CanWriteFile(const char* name) override;
  void WriteImageInformation() override {}
  void Write(const void* buffer) override;
  bool SupportsDimension(unsigned long dimension) override {
    return dimension >= 1 && dimension <= 4;
  }

 protected:
  VolumeImageIO();

 private:
  std::optional<Volume> known_;  // what ReadImageInformation found; without voxels, mostly
};

// ITK's name of a voxel type.
itk::IOComponentEnum ComponentOf(VoxelType type);
// Throws IoError naming ITK's type when Volume has none like it.
VoxelType VoxelTypeOf(itk::IOComponentEnum component);

// The grid of the first three axes of `image`, which must have read or been given it; missing axes
// have one voxel of 1 mm.
Geometry GeometryOf(const itk::ImageIOBase& image);

// Reads the file that another ImageIO was made for, straight into the volume's buffer. Throws
// IoError with that reader's message.
Volume VolumeFromImageIo(itk::ImageIOBase& image);

}  // namespace avocet::io

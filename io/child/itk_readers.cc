// SPDX-License-Identifier: Apache-2.0
#include <itkGiplImageIO.h>
#include <itkMINCImageIO.h>
#include <itkMRCImageIO.h>
#include <itkVTKImageIO.h>

#include <algorithm>
#include <cstdint>

#include "app/base/error.h"
#include "io/child/child_reader.h"
#include "io/itk/volume_image_io.h"

namespace avocet::io {
namespace {

// Header: 2 s. Voxels: 20 MB/s is slower than any machine unpacks.
constexpr double kHeaderSeconds = 2;
constexpr uint64_t kLibraryBytes = uint64_t{256} << 20;

template <typename ImageIO>
void Read(const ChildRequest& request, AnswerWriter& out) {
  const std::string name = request.path.string();
  try {
    const auto image = ImageIO::New();
    image->SetFileName(name);
    LimitWork(kHeaderSeconds, kLibraryBytes);
    image->ReadImageInformation();
    const unsigned dimension = image->GetNumberOfDimensions();
    if (dimension < 1 || dimension > 4) {
      throw IoError("cannot read '" + name + "': it has " + std::to_string(dimension) +
                    " dimensions; an image has one to four");
    }
    const int components = static_cast<int>(image->GetNumberOfComponents());
    const VoxelType type = VoxelTypeOf(image->GetComponentType());
    uint64_t bytes = SizeOf(type);
    if (components < 1 || components > 1024 ||
        __builtin_mul_overflow(bytes, static_cast<uint64_t>(components), &bytes)) {
      throw IoError("cannot read '" + name + "': it has " + std::to_string(components) +
                    " values in a voxel; it is not an image");
    }
    itk::ImageIORegion region(dimension);
    out.Number(dimension);
    for (unsigned axis = 0; axis < dimension; ++axis) {
      const uint64_t size = image->GetDimensions(axis);
      if (size < 1 || __builtin_mul_overflow(bytes, size, &bytes) || bytes > uint64_t{1} << 46) {
        throw IoError("cannot read '" + name + "': its header claims " + std::to_string(size) +
                      " voxels along axis " + std::to_string(axis + 1) + "; it is damaged");
      }
      region.SetIndex(axis, 0);
      region.SetSize(axis, size);
      out.Number(static_cast<int64_t>(size));
      out.Real(image->GetSpacing(axis));
      out.Real(image->GetOrigin(axis));
      for (const double cosine : image->GetDirection(axis)) out.Real(cosine);
    }
    out.Number(static_cast<int64_t>(type));
    out.Number(components);
    out.Number(static_cast<int64_t>(bytes));
    if (!request.voxels) return;
    // The parent has compared the claim with the file by its own reading of the header.
    LimitWork(kHeaderSeconds + static_cast<double>(bytes) / 20e6, kLibraryBytes + 3 * bytes);
    image->SetIORegion(region);
    image->Read(out.ReserveVoxels(bytes));
  } catch (const itk::ExceptionObject& error) {
    std::string why = error.GetDescription();
    const size_t end = why.find_first_of("\r\n");
    why = why.substr(0, std::min<size_t>(end, 160));
    throw IoError("cannot read '" + name + "': ITK finds it damaged (" + why +
                  "); copy or export it again");
  }
}

}  // namespace

void ReadVtkInChild(const ChildRequest& request, AnswerWriter& out) {
  Read<itk::VTKImageIO>(request, out);
}
void ReadGiplInChild(const ChildRequest& request, AnswerWriter& out) {
  Read<itk::GiplImageIO>(request, out);
}
void ReadMrcInChild(const ChildRequest& request, AnswerWriter& out) {
  Read<itk::MRCImageIO>(request, out);
}
void ReadMincInChild(const ChildRequest& request, AnswerWriter& out) {
  Read<itk::MINCImageIO>(request, out);
}

}  // namespace avocet::io

// SPDX-License-Identifier: Apache-2.0
#include "io/itk/register_image_io.h"

#include <itkCreateObjectFunction.h>
#include <itkObjectFactoryBase.h>
#include <itkVersion.h>

#include <mutex>
#include <string_view>

#include "io/itk/volume_image_io.h"

namespace avocet::io {
namespace {

constexpr const char* kDescription = "Avocet's formats (avocet::io::VolumeImageIO)";

class VolumeImageIoFactory : public itk::ObjectFactoryBase {
 public:
  using Self = VolumeImageIoFactory;
  using Superclass = itk::ObjectFactoryBase;
  using Pointer = itk::SmartPointer<Self>;
  itkFactorylessNewMacro(Self);
  itkTypeMacro(VolumeImageIoFactory, itk::ObjectFactoryBase);

  const char* GetITKSourceVersion() const override { return ITK_SOURCE_VERSION; }
  const char* GetDescription() const override { return kDescription; }

 protected:
  VolumeImageIoFactory() {
    RegisterOverride("itkImageIOBase", "VolumeImageIO", kDescription, true,
                     itk::CreateObjectFunction<VolumeImageIO>::New());
  }
};

bool IsRegistered() {
  for (const itk::ObjectFactoryBase* factory : itk::ObjectFactoryBase::GetRegisteredFactories()) {
    if (factory->GetDescription() == std::string_view(kDescription)) return true;
  }
  return false;
}

}  // namespace

void RegisterImageIo() {
  // The program and its libraries each hold a copy of this code; ITK's list is one.
  static std::once_flag once;
  std::call_once(once, [] {
    if (IsRegistered()) return;
    itk::ObjectFactoryBase::RegisterFactory(
        VolumeImageIoFactory::New(), itk::ObjectFactoryEnums::InsertionPosition::INSERT_AT_FRONT);
  });
}

}  // namespace avocet::io

// SPDX-License-Identifier: Apache-2.0
// How another ITK program reads with Avocet's readers: one call, then ITK as ever.
//
//   read_with_itk FILE        prints size, spacing, origin, direction and the sum of the values
//   read_with_itk FILE COPY   also writes the image to COPY
#include <itkImageFileReader.h>
#include <itkImageFileWriter.h>
#include <itkImageRegionConstIterator.h>

#include <iostream>

#include "io/itk/register_image_io.h"

int main(int count, char** arguments) {
  if (count < 2 || count > 3) {
    std::cerr << "usage: read_with_itk FILE [COPY]\n";
    return 2;
  }
  avocet::io::RegisterImageIo();
  using Image = itk::Image<double, 3>;
  try {
    const Image::Pointer image = itk::ReadImage<Image>(arguments[1]);
    double sum = 0;
    for (itk::ImageRegionConstIterator<Image> at(image, image->GetBufferedRegion()); !at.IsAtEnd();
         ++at) {
      sum += at.Get();
    }
    std::cout.precision(17);
    std::cout << "size " << image->GetLargestPossibleRegion().GetSize() << "\nspacing "
              << image->GetSpacing() << "\norigin " << image->GetOrigin() << "\ndirection\n"
              << image->GetDirection() << "sum " << sum << "\n";
    if (count == 3) itk::WriteImage(image.GetPointer(), arguments[2]);
  } catch (const itk::ExceptionObject& error) {
    std::cerr << error.GetDescription() << "\n";
    return 3;
  }
  return 0;
}

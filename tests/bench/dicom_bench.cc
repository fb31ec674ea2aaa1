// SPDX-License-Identifier: Apache-2.0
// Opening a CT of 300 slices of 512 x 512, ours against ITK's series reader, same files, same run,
// alternating so that a busy machine hurts both. Usage: dicom_bench [FOLDER] [ROUNDS]
#include <itkGDCMImageIO.h>
#include <itkGDCMSeriesFileNames.h>
#include <itkImage.h>
#include <itkImageSeriesReader.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "io/dicom.h"
#include "io/volume_io.h"
#include "tests/io/dicom_builder.h"

namespace {

namespace fs = std::filesystem;
using Image = itk::Image<int16_t, 3>;

void WriteSeries(const fs::path& folder) {
  fs::create_directories(folder);
  std::vector<int16_t> values(512 * 512);
  for (int k = 0; k < 300; ++k) {
    for (size_t i = 0; i < values.size(); ++i) {
      values[i] = static_cast<int16_t>((i * 2654435761U >> 20) % 4096 + static_cast<size_t>(k));
    }
    avocet::test::DicomBuilder slice(512, 512, {-180, -180, 1.25 * k});
    slice.Text(0x00281052, "DS", "-1024");
    slice.Text(0x00281053, "DS", "1");
    slice.Text(0x00200013, "IS", std::to_string(k + 1));
    slice.Pixels(values);
    slice.Write(folder / ("slice" + std::to_string(k * 7919 % 300)));
  }
}

double Seconds(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

Image::Pointer ReadItk(const fs::path& folder) {
  auto names = itk::GDCMSeriesFileNames::New();
  names->SetDirectory(folder.string());
  auto reader = itk::ImageSeriesReader<Image>::New();
  reader->SetImageIO(itk::GDCMImageIO::New());
  reader->SetFileNames(names->GetInputFileNames());
  reader->Update();
  return reader->GetOutput();
}

}  // namespace

int main(int argc, char** argv) {
  const fs::path folder = argc > 1 ? argv[1] : fs::temp_directory_path() / "avocet_dicom_bench";
  const int rounds = argc > 2 ? std::atoi(argv[2]) : 5;
  const bool made = !fs::exists(folder);
  if (made) WriteSeries(folder);
  double ours = 1e9, itk = 1e9;
  for (int round = 0; round < rounds; ++round) {
    auto start = std::chrono::steady_clock::now();
    const avocet::io::Volume volume = avocet::io::ReadVolume(folder);
    ours = std::min(ours, Seconds(start));
    start = std::chrono::steady_clock::now();
    const Image::Pointer image = ReadItk(folder);
    itk = std::min(itk, Seconds(start));
    // ITK applies the rescale; the same picture otherwise.
    const int64_t count = volume.ValueCount();
    const auto size = image->GetLargestPossibleRegion().GetNumberOfPixels();
    int64_t different = static_cast<int64_t>(size) != count;
    for (int64_t i = 0; i < count && different == 0; ++i) {
      different += volume.As<int16_t>()[i] - 1024 != image->GetBufferPointer()[i];
    }
    if (different != 0) {
      std::printf("the volumes differ\n");
      return 1;
    }
  }
  std::printf("CT 300 x 512 x 512, best of %d: Avocet %.3f s, ITK %.3f s, ratio %.2f\n", rounds,
              ours, itk, ours / itk);
  if (made) fs::remove_all(folder);
  return 0;
}

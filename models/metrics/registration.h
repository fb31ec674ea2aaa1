// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <vector>

// Do two images of one head lie on each other?
namespace avocet::metrics {

// Normalised mutual information (H(a) + H(b)) / H(a, b) of Studholme et al. (1999) over a joint
// histogram of 64 x 64 bins between each image's lowest and highest value: 1 for unrelated images,
// 2 for equal ones. `shift` moves b by whole voxels; only voxels that both have count.
double NormalisedMutualInformation(const std::vector<float>& a, const std::vector<float>& b,
                                   const std::array<int64_t, 3>& size,
                                   const std::array<int64_t, 3>& shift = {0, 0, 0});

struct RegistrationCheck {
  double information = 0;                      // in place
  double best_information = 0;                 // of the shifts tried
  std::array<int64_t, 3> best_shift{0, 0, 0};  // voxels by which b would have to be moved
};
// In place, and with b moved by 2 and 4 voxels along each axis. A pair is registered when no shift
// has more information than no shift. Values that are not finite count as the lowest.
RegistrationCheck CheckRegistration(const std::vector<float>& a, const std::vector<float>& b,
                                    const std::array<int64_t, 3>& size);

}  // namespace avocet::metrics

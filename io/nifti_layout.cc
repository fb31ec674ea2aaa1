// SPDX-License-Identifier: Apache-2.0
#include "io/nifti_layout.h"

#include <algorithm>
#include <cmath>

namespace avocet::io {
namespace {

using Matrix = std::array<double, 9>;

double Determinant(const Matrix& m) {
  return m[0] * (m[4] * m[8] - m[5] * m[7]) - m[1] * (m[3] * m[8] - m[5] * m[6]) +
         m[2] * (m[3] * m[7] - m[4] * m[6]);
}

Matrix InverseTransposed(const Matrix& m) {
  const double scale = 1 / Determinant(m);
  return {scale * (m[4] * m[8] - m[5] * m[7]), scale * (m[5] * m[6] - m[3] * m[8]),
          scale * (m[3] * m[7] - m[4] * m[6]), scale * (m[2] * m[7] - m[1] * m[8]),
          scale * (m[0] * m[8] - m[2] * m[6]), scale * (m[1] * m[6] - m[0] * m[7]),
          scale * (m[1] * m[5] - m[2] * m[4]), scale * (m[2] * m[3] - m[0] * m[5]),
          scale * (m[0] * m[4] - m[1] * m[3])};
}

}  // namespace

std::array<double, 9> MatrixOfNiftiRotation(const NiftiRotation& rotation) {
  double b = rotation.b;
  double c = rotation.c;
  double d = rotation.d;
  const double squared = b * b + c * c + d * d;
  double a = 0;
  // Below this a half turn is meant: what is missing to 1 is rounding of single precision.
  if (1 - squared < 1e-7) {
    const double scale = 1 / std::sqrt(squared);
    b *= scale;
    c *= scale;
    d *= scale;
  } else {
    a = std::sqrt(1 - squared);
  }
  const double q = rotation.qfac < 0 ? -1 : 1;
  return {a * a + b * b - c * c - d * d,
          2 * (b * c - a * d),
          q * 2 * (b * d + a * c),
          2 * (b * c + a * d),
          a * a + c * c - b * b - d * d,
          q * 2 * (c * d - a * b),
          2 * (b * d - a * c),
          2 * (c * d + a * b),
          q * (a * a + d * d - c * c - b * b)};
}

NiftiRotation NiftiRotationNear(std::array<double, 9> m) {
  // Newton's iteration for the polar factor converges quadratically from any regular matrix.
  for (int step = 0; step < 100; ++step) {
    const Matrix inverse = InverseTransposed(m);
    double change = 0;
    for (int i = 0; i < 9; ++i) {
      const double next = (m[i] + inverse[i]) / 2;
      change = std::max(change, std::abs(next - m[i]));
      m[i] = next;
    }
    if (change < 1e-15) break;
  }
  NiftiRotation rotation;
  if (Determinant(m) < 0) {
    rotation.qfac = -1;
    for (const int i : {2, 5, 8}) m[i] = -m[i];
  }
  // The largest of the four components is found from the diagonal, the others by division.
  const double trace = m[0] + m[4] + m[8] + 1;
  double a = 0;
  if (trace > 0.5) {
    a = 0.5 * std::sqrt(trace);
    rotation.b = 0.25 * (m[7] - m[5]) / a;
    rotation.c = 0.25 * (m[2] - m[6]) / a;
    rotation.d = 0.25 * (m[3] - m[1]) / a;
  } else {
    const double x = 1 + m[0] - (m[4] + m[8]);
    const double y = 1 + m[4] - (m[0] + m[8]);
    const double z = 1 + m[8] - (m[0] + m[4]);
    if (x > 1) {
      rotation.b = 0.5 * std::sqrt(x);
      rotation.c = 0.25 * (m[1] + m[3]) / rotation.b;
      rotation.d = 0.25 * (m[2] + m[6]) / rotation.b;
      a = 0.25 * (m[7] - m[5]) / rotation.b;
    } else if (y > 1) {
      rotation.c = 0.5 * std::sqrt(y);
      rotation.b = 0.25 * (m[1] + m[3]) / rotation.c;
      rotation.d = 0.25 * (m[5] + m[7]) / rotation.c;
      a = 0.25 * (m[2] - m[6]) / rotation.c;
    } else {
      rotation.d = 0.5 * std::sqrt(z);
      rotation.b = 0.25 * (m[2] + m[6]) / rotation.d;
      rotation.c = 0.25 * (m[5] + m[7]) / rotation.d;
      a = 0.25 * (m[3] - m[1]) / rotation.d;
    }
    if (a < 0) {
      rotation.b = -rotation.b;
      rotation.c = -rotation.c;
      rotation.d = -rotation.d;
    }
  }
  return rotation;
}

}  // namespace avocet::io

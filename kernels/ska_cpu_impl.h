// SPDX-License-Identifier: Apache-2.0
// Included by one .cc for each instruction set, with AVOCET_ISA set to its namespace. No include
// guard on purpose: exactly one inclusion a translation unit.
#include <algorithm>
#include <cstring>
#include <type_traits>
#include <vector>

#include "kernels/ska_cpu.h"

namespace avocet::kernels::AVOCET_ISA {
namespace {

constexpr int64_t kG = kSkaGroup;
typedef float SkaF32 __attribute__((vector_size(kG * sizeof(float))));
typedef double SkaF64 __attribute__((vector_size(kG * sizeof(double))));
template <typename T>
using Channels = std::conditional_t<std::is_same_v<T, float>, SkaF32, SkaF64>;

template <typename T>
inline Channels<T> Load(const T* from) {
  Channels<T> value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

// The taps that lie inside the image for a pixel, and where they point.
struct Taps {
  int count = 0;
  int index[kSkaTaps];
  int64_t pixel[kSkaTaps];  // offset in pixels from the centre

  Taps(int64_t row, int64_t col, int64_t rows, int64_t cols) {
    for (int m = 0; m < kSkaTaps; ++m) {
      const int64_t dy = m / 3 - 1, dx = m % 3 - 1;
      if (row + dy < 0 || row + dy >= rows || col + dx < 0 || col + dx >= cols) continue;
      index[count] = m;
      pixel[count++] = dy * cols + dx;
    }
  }
};

template <typename T>
T* Scratch(int64_t count) {
  static thread_local std::vector<T> buffer;
  if (static_cast<int64_t>(buffer.size()) < count) buffer.resize(count);
  return buffer.data();
}

template <typename T>
inline void Finish(const SkaArgs<T>& a, const T* x, int64_t c, Channels<T> sum, T* y) {
  if (a.scale != nullptr) sum = sum * Load(a.scale + c) + Load(a.shift + c) + Load(x + c);
  std::memcpy(y + c, &sum, sizeof sum);
}

template <typename T>
void Forward(const SkaArgs<T>& a, int64_t task) {
  const int64_t n = task / a.rows, row = task % a.rows, c = a.channels, q = a.Kernels();
  T* scaled = Scratch<T>(q);
  for (int64_t col = 0; col < a.cols; ++col) {
    const int64_t pixel = task * a.cols + col;
    const T* x = a.x + pixel * c;
    const T* w = a.w + pixel * q;
    T* y = a.y + pixel * c;
    if (a.w_scale != nullptr) {
      const T* scale = a.w_scale + n * q;
      const T* shift = a.w_shift + n * q;
      for (int64_t i = 0; i < q; ++i) scaled[i] = w[i] * scale[i] + shift[i];
      w = scaled;
    }
    const bool inner = row > 0 && row + 1 < a.rows && col > 0 && col + 1 < a.cols;
    if (inner) {
      const T* above = x - a.cols * c;
      const T* below = x + a.cols * c;
      for (int64_t g = 0; g < c; g += kG, w += kSkaTaps) {
        Channels<T> sum = Load(above + g - c) * w[0];
        sum += Load(above + g) * w[1];
        sum += Load(above + g + c) * w[2];
        sum += Load(x + g - c) * w[3];
        sum += Load(x + g) * w[4];
        sum += Load(x + g + c) * w[5];
        sum += Load(below + g - c) * w[6];
        sum += Load(below + g) * w[7];
        sum += Load(below + g + c) * w[8];
        Finish(a, x, g, sum, y);
      }
    } else {
      const Taps taps(row, col, a.rows, a.cols);
      for (int64_t g = 0; g < c; g += kG, w += kSkaTaps) {
        Channels<T> sum{};
        for (int i = 0; i < taps.count; ++i) {
          sum += Load(x + taps.pixel[i] * c + g) * w[taps.index[i]];
        }
        Finish(a, x, g, sum, y);
      }
    }
  }
}

// Pixel p feeds output p - offset of tap offset, so its gradient gathers with mirrored taps.
template <typename T>
void Backward(const SkaArgs<T>& a, int64_t task) {
  const int64_t row = task % a.rows, c = a.channels, q = a.Kernels();
  for (int64_t col = 0; col < a.cols; ++col) {
    const int64_t pixel = task * a.cols + col;
    const Taps taps(row, col, a.rows, a.cols);
    const T* x = a.x + pixel * c;
    const T* gy = a.gy + pixel * c;
    const T* w = a.w + pixel * q;
    T* gx = a.gx + pixel * c;
    T* gw = a.gw + pixel * q;
    std::fill(gw, gw + q, T{0});
    for (int64_t g = 0; g < c / kG; ++g) {
      Channels<T> sum{};
      const Channels<T> here = Load(gy + g * kG);
      for (int i = 0; i < taps.count; ++i) {
        const int m = taps.index[i];
        const Channels<T> product = here * Load(x + taps.pixel[i] * c + g * kG);
        T part[kG];
        std::memcpy(part, &product, sizeof product);
        gw[g * kSkaTaps + m] = ((part[0] + part[4]) + (part[1] + part[5])) +
                               ((part[2] + part[6]) + (part[3] + part[7]));
        // Neighbour at +offset reads this pixel through the mirrored tap.
        sum += Load(gy + taps.pixel[i] * c + g * kG) *
               w[taps.pixel[i] * q + g * kSkaTaps + (kSkaTaps - 1 - m)];
      }
      std::memcpy(gx + g * kG, &sum, sizeof sum);
    }
  }
}

}  // namespace

extern const SkaCpuKernels kSkaKernels;
const SkaCpuKernels kSkaKernels{AVOCET_ISA_NAME, &Forward<float>, &Forward<double>,
                                &Backward<float>, &Backward<double>};

}  // namespace avocet::kernels::AVOCET_ISA

// SPDX-License-Identifier: Apache-2.0
#include "kernels/linear_cpu.h"

#include <algorithm>
#include <cstring>

#include "kernels/cpu_isa.h"

namespace avocet::kernels {

namespace scalar {
extern const LinearCpuKernels kLinearKernels;
}
namespace avx2 {
extern const LinearCpuKernels kLinearKernels;
}
namespace avx512 {
extern const LinearCpuKernels kLinearKernels;
}

const LinearCpuKernels& SelectLinearCpuKernels() {
  switch (SelectCpuIsa()) {
#if defined(__x86_64__)
    case CpuIsa::kAvx512:
      return avx512::kLinearKernels;
    case CpuIsa::kAvx2:
      return avx2::kLinearKernels;
#endif
    default:
      return scalar::kLinearKernels;
  }
}

namespace {

uint16_t ToBFloat16(float value) {  // to nearest even; weights are finite
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  return static_cast<uint16_t>((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}

}  // namespace

PackedLinear::PackedLinear(int64_t in, int64_t out, const double* weight,
                           const std::vector<double>& bias, bool bfloat16)
    : in_(in), out_(out), bias_(PaddedChannels(out)) {
  std::copy(bias.begin(), bias.end(), bias_.data());
  const int64_t padded = PaddedChannels(out);
  if (bfloat16) {
    const int64_t pairs = (in + 31) / 32 * 16;
    half_ = AlignedBuffer<uint16_t>(padded * pairs * 2);
    for (int64_t n = 0; n < out; ++n) {
      for (int64_t k = 0; k < in; ++k) {
        half_[((n / 16 * pairs + k / 2) * 16 + n % 16) * 2 + k % 2] =
            ToBFloat16(static_cast<float>(weight[n * in + k]));
      }
    }
    return;
  }
  // Panels as equal as whole vectors allow.
  const int64_t widest = SelectLinearCpuKernels().max_panel / kChannelPad;
  const int64_t vectors = padded / kChannelPad, count = (vectors + widest - 1) / widest;
  for (int64_t p = 0; p < count; ++p) {
    panels_.push_back((vectors * (p + 1) / count - vectors * p / count) * kChannelPad);
  }
  weight_ = AlignedBuffer<float>(padded * in);
  float* to = weight_.data();
  int64_t first = 0;
  for (const int64_t width : panels_) {
    for (int64_t k = 0; k < in; ++k, to += width) {
      for (int64_t n = 0; n < width && first + n < out; ++n) {
        to[n] = static_cast<float>(weight[(first + n) * in + k]);
      }
    }
    first += width;
  }
}

bool HasFastBFloat16() { return HasAmx(); }

void RunLinear(const PackedLinear& linear, const LinearArgs& args) {
  if (linear.bfloat16()) {
    RunLinearAmx(linear, args);
  } else {
    SelectLinearCpuKernels().run(linear, args);
  }
}

}  // namespace avocet::kernels

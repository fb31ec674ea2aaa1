// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "kernels/aligned_buffer.h"

namespace avocet::kernels {

// Rows of channels in memory are padded with zeros to a multiple of this.
constexpr int64_t kChannelPad = 16;
constexpr int64_t PaddedChannels(int64_t channels) {
  return (channels + kChannelPad - 1) / kChannelPad * kChannelPad;
}

enum class LinearActivation { kNone, kRelu, kSquaredRelu };

// Weight and bias of y = x W^T + b, laid out once for the matrix kernels of this processor: panels
// of up to 48 outputs, each [in][panel width], outputs padded with zeros to kChannelPad.
class PackedLinear {
 public:
  PackedLinear() = default;
  // weight: [out, in], rows `in` apart; bias: [out], or empty for zeros. bfloat16: products are of
  // weight and x rounded to bfloat16 (to nearest even), summed in float32; see HasFastBFloat16.
  PackedLinear(int64_t in, int64_t out, const double* weight, const std::vector<double>& bias,
               bool bfloat16 = false);

  int64_t in() const { return in_; }
  int64_t out() const { return out_; }
  int64_t padded_out() const { return PaddedChannels(out_); }
  bool bfloat16() const { return !half_.empty(); }
  bool empty() const { return out_ == 0; }

  const std::vector<int64_t>& panels() const { return panels_; }  // widths
  const float* weight() const { return weight_.data(); }
  const uint16_t* half() const { return half_.data(); }
  const float* bias() const { return bias_.data(); }

 private:
  int64_t in_ = 0, out_ = 0;
  std::vector<int64_t> panels_;
  AlignedBuffer<float> weight_;
  AlignedBuffer<uint16_t> half_;  // [out / 16][in / 2][16][2], in padded to 32
  AlignedBuffer<float> bias_;
};

struct LinearArgs {
  int64_t rows = 0;
  const float* x = nullptr;  // [rows, in]
  int64_t x_stride = 0;      // floats from row to row
  float* y = nullptr;        // [rows, padded_out]; may not be x
  int64_t y_stride = 0;
  LinearActivation activation = LinearActivation::kNone;
  const float* add = nullptr;  // [rows, padded_out], added after the activation; may be y
  int64_t add_stride = 0;
};

// y = activation(x W^T + b) + add. Each element is one sum in the order of the inputs, so results
// do not depend on how rows are shared out.
void RunLinear(const PackedLinear& linear, const LinearArgs& args);

// Whether this processor multiplies bfloat16 matrices in hardware (AMX) and the system lets us.
bool HasFastBFloat16();

// The kernel of one instruction set. max_panel: the widest panel that fits its registers.
struct LinearCpuKernels {
  const char* isa;
  int64_t max_panel;
  void (*run)(const PackedLinear&, const LinearArgs&);
};
const LinearCpuKernels& SelectLinearCpuKernels();

// bfloat16 on AMX tiles.
bool HasAmx();
void RunLinearAmx(const PackedLinear& linear, const LinearArgs& args);

}  // namespace avocet::kernels

// SPDX-License-Identifier: Apache-2.0
#include "kernels/fso_bands.h"

#include <ATen/ATen.h>

#include "kernels/fso_shift.h"

// Of the MKL in libtorch_cpu; absent where LibTorch was built without it.
extern "C" int MKL_Set_Num_Threads_Local(int threads) __attribute__((weak));

namespace avocet::kernels {
namespace {

// A vector of channels padded with zeros to whole SIMD vectors.
at::Tensor Padded(const at::Tensor& vector, int64_t lanes) {
  at::Tensor padded = at::zeros({lanes}, at::kFloat);
  padded.narrow(0, 0, vector.numel()).copy_(vector.detach().flatten());
  return padded;
}

}  // namespace

OneMklThread::OneMklThread() {
  if (MKL_Set_Num_Threads_Local) before_ = MKL_Set_Num_Threads_Local(1);
}

OneMklThread::~OneMklThread() {
  if (MKL_Set_Num_Threads_Local) MKL_Set_Num_Threads_Local(before_);
}

FsoMixedInputs::FsoMixedInputs(const at::Tensor& x, const at::Tensor& norm_weight,
                               const at::Tensor& norm_bias, double eps, const at::Tensor& keep,
                               int64_t height, int64_t width)
    : x_(x.detach()),
      norm_weight_(norm_weight),
      norm_bias_(norm_bias),
      eps_(eps),
      height_(height),
      width_(width),
      even_(height % 2 == 0 && width % 2 == 0),
      kernels_(SelectFsoCpuKernels()) {
  grid_.rows = height, grid_.cols = width, grid_.channels = x.size(2);
  grid_.eps = eps;
  const int64_t lanes = grid_.Lanes();
  keep_ = at::zeros({keep.size(0), lanes}, at::kFloat);
  keep_.narrow(1, 0, keep.size(1)).copy_(keep.detach());
  if (!even_) return;
  grid_.Plan(/*transpose=*/false);
  if (norm_weight.defined()) {
    weight_ = Padded(norm_weight, lanes);
    bias_ = Padded(norm_bias, lanes);
    grid_.norm_weight = weight_.const_data_ptr<float>();
    grid_.norm_bias = bias_.const_data_ptr<float>();
  }
  pixels_ = at::empty({grid_.PixelElements()}, at::kFloat);
  means_ = at::empty({grid_.BlockElements()}, at::kFloat);
  grid_.z = pixels_.mutable_data_ptr<float>();
  grid_.m = means_.mutable_data_ptr<float>();
}

void FsoMixedInputs::Load(int64_t image) {
  const at::Tensor tokens = x_.select(0, image);
  if (even_) {
    grid_.x = tokens.const_data_ptr<float>();
    at::parallel_for(0, height_ / 2, 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) kernels_.load_f32(grid_, i);
    });
    return;
  }
  norm_ = tokens.unsqueeze(0);
  if (norm_weight_.defined()) {
    norm_ =
        at::layer_norm(norm_, {tokens.size(1)}, norm_weight_.detach(), norm_bias_.detach(), eps_);
  }
  difference_ = FsoShift(norm_, height_, width_).sub_(norm_);
}

void FsoMixedInputs::Mix(int64_t first, int64_t count, float* const* out, float* difference) const {
  if (even_) {
    FsoMixArgs<float> a;
    a.first = first, a.count = count, a.mixes = static_cast<int>(keep_.size(0));
    for (int64_t j = 0; j < keep_.size(0); ++j) {
      a.keep[j] = keep_.const_data_ptr<float>() + j * keep_.size(1);
      a.out[j] = out[j];
    }
    a.difference = difference;
    kernels_.mix_f32(grid_, a);
    return;
  }
  const int64_t c = grid_.channels;
  const float* z = norm_.const_data_ptr<float>() + first * c;
  const float* d = difference_.const_data_ptr<float>() + first * c;
  for (int64_t j = 0; j < keep_.size(0); ++j) {
    const float* keep = keep_.const_data_ptr<float>() + j * keep_.size(1);
    for (int64_t t = 0; t < count; ++t) {
      for (int64_t i = 0; i < c; ++i) out[j][t * c + i] = z[t * c + i] + keep[i] * d[t * c + i];
    }
  }
  if (difference != nullptr) std::copy_n(d, count * c, difference);
}

}  // namespace avocet::kernels

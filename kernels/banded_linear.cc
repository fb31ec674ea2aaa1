// SPDX-License-Identifier: Apache-2.0
#include "kernels/banded_linear.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <vector>

#include "kernels/fso_bands.h"

namespace avocet::kernels {

at::Tensor BandedLinear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
  const bool gradients =
      c10::GradMode::is_enabled() &&
      (x.requires_grad() || weight.requires_grad() || (bias.defined() && bias.requires_grad()));
  if (gradients || !x.is_cpu() || x.scalar_type() != at::kFloat ||
      weight.scalar_type() != at::kFloat || x.numel() == 0) {
    return at::linear(x, weight, bias);
  }
  const int64_t in = weight.size(1);
  const at::Tensor rows = x.reshape({-1, in}).contiguous();
  const at::Tensor map = weight.t();
  std::vector<int64_t> shape = x.sizes().vec();
  shape.back() = weight.size(0);
  const at::Tensor out = at::empty({rows.size(0), weight.size(0)}, x.options());
  ForBands(rows.size(0), in, [&](int64_t first, int64_t count) {
    at::Tensor band = out.narrow(0, first, count);
    if (bias.defined()) {
      at::addmm_out(band, bias, rows.narrow(0, first, count), map);
    } else {
      at::mm_out(band, rows.narrow(0, first, count), map);
    }
  });
  return out.view(shape);
}

}  // namespace avocet::kernels

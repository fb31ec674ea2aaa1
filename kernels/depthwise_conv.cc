// SPDX-License-Identifier: Apache-2.0
#include "kernels/depthwise_conv.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <torch/csrc/autograd/custom_function.h>

#include "kernels/depthwise_cpu.h"

namespace avocet::kernels {
namespace {

constexpr auto kChannelsLast = at::MemoryFormat::ChannelsLast;

// [C, 1, k, k] -> [k * k][blocks * 16].
at::Tensor PackWeight(const at::Tensor& weight) {
  const int64_t channels = weight.size(0), taps = weight.size(2) * weight.size(3);
  const int64_t padded = (channels + kDepthwiseBlock - 1) / kDepthwiseBlock * kDepthwiseBlock;
  at::Tensor packed = at::zeros({taps, padded}, weight.options());
  packed.narrow(1, 0, channels).copy_(weight.reshape({channels, taps}).t());
  return packed;
}

DepthwiseArgs Arguments(const at::Tensor& x, const at::Tensor& packed, int64_t kernel,
                        int64_t stride, int64_t padding) {
  DepthwiseArgs a;
  a.batch = x.size(0), a.channels = x.size(1), a.in_rows = x.size(2), a.in_cols = x.size(3);
  a.kernel = kernel, a.stride = stride, a.padding = padding;
  a.out_rows = (a.in_rows + 2 * padding - kernel) / stride + 1;
  a.out_cols = (a.in_cols + 2 * padding - kernel) / stride + 1;
  a.bfloat16 = x.scalar_type() == at::kBFloat16;
  a.x = x.const_data_ptr();
  a.w = packed.const_data_ptr<float>();
  return a;
}

class DepthwiseFunction : public torch::autograd::Function<DepthwiseFunction> {
 public:
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& x,
                            const at::Tensor& weight, int64_t stride, int64_t padding) {
    at::AutoDispatchBelowADInplaceOrView guard;
    const at::Tensor xc = x.contiguous(kChannelsLast);
    context->save_for_backward({xc, weight});
    context->saved_data["stride"] = stride;
    context->saved_data["padding"] = padding;
    const at::Tensor packed = PackWeight(weight);
    DepthwiseArgs a = Arguments(xc, packed, weight.size(2), stride, padding);
    at::Tensor y = at::empty({a.batch, a.channels, a.out_rows, a.out_cols},
                             x.options().memory_format(kChannelsLast));
    a.y = y.mutable_data_ptr();
    const DepthwiseCpuKernels& kernels = SelectDepthwiseCpuKernels();
    at::parallel_for(0, a.batch * a.Blocks(), 1, [&](int64_t begin, int64_t end) {
      for (int64_t task = begin; task < end; ++task) kernels.forward(a, task);
    });
    return y;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const at::Tensor x = saved[0].contiguous(kChannelsLast);
    const at::Tensor& weight = saved[1];
    const at::Tensor gy = gradients[0].to(x.scalar_type()).contiguous(kChannelsLast);
    const at::Tensor packed = PackWeight(weight);
    DepthwiseArgs a = Arguments(x, packed, weight.size(2), context->saved_data["stride"].toInt(),
                                context->saved_data["padding"].toInt());
    at::Tensor gx = at::empty_like(x);
    at::Tensor gw = at::empty_like(packed);
    a.gy = gy.const_data_ptr();
    a.gx = gx.mutable_data_ptr();
    a.gw = gw.mutable_data_ptr<float>();
    const DepthwiseCpuKernels& kernels = SelectDepthwiseCpuKernels();
    at::parallel_for(0, a.Blocks(), 1, [&](int64_t begin, int64_t end) {
      for (int64_t task = begin; task < end; ++task) kernels.backward(a, task);
    });
    const at::Tensor weight_gradient =
        gw.narrow(1, 0, a.channels).t().reshape(weight.sizes()).contiguous();
    return {gx, weight_gradient, at::Tensor(), at::Tensor()};
  }
};

}  // namespace

bool DepthwiseConvSupports(const at::Tensor& x, const at::Tensor& weight, int64_t stride,
                           int64_t padding) {
  if (!x.device().is_cpu() || x.dim() != 4 || weight.dim() != 4) return false;
  if (x.scalar_type() != at::kFloat && x.scalar_type() != at::kBFloat16) return false;
  const int64_t k = weight.size(2);
  return weight.scalar_type() == at::kFloat && weight.size(0) == x.size(1) && weight.size(1) == 1 &&
         weight.size(3) == k && (k == 3 || k == 5 || k == 7 || k == 9) &&
         (stride == 1 || stride == 2) && padding >= 0 && padding < k && x.numel() > 0 &&
         x.size(2) + 2 * padding >= k && x.size(3) + 2 * padding >= k;
}

at::Tensor DepthwiseConv(const at::Tensor& x, const at::Tensor& weight, int64_t stride,
                         int64_t padding) {
  TORCH_CHECK(DepthwiseConvSupports(x, weight, stride, padding), "depthwise_conv: x ",
              x.scalar_type(), " ", x.sizes(), " with weight ", weight.scalar_type(), " ",
              weight.sizes(), ", stride ", stride, " is not supported");
  return DepthwiseFunction::apply(x, weight, stride, padding);
}

}  // namespace avocet::kernels

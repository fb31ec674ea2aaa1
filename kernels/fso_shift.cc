// SPDX-License-Identifier: Apache-2.0
#include "kernels/fso_shift.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

#include "kernels/fso_shift_cpu.h"
#include "kernels/fso_shift_odd.h"

namespace avocet::kernels {
namespace {

constexpr int64_t kTokensATask = 1024;

void Check(const at::Tensor& x, int64_t height, int64_t width) {
  TORCH_CHECK(x.dim() == 3, "fso_shift: x must be [B, T, C], got ", x.sizes());
  TORCH_CHECK(height >= 1 && width >= 1 && x.size(1) == height * width, "fso_shift: ", x.size(1),
              " tokens are no grid of ", height, " x ", width);
  TORCH_CHECK(x.size(2) >= 1, "fso_shift: x must have one channel or more, got ", x.sizes());
}

template <typename T>
void RunEven(const T* x, T* y, const at::Tensor& like, int64_t height, int64_t width,
             bool transpose) {
  const FsoCpuKernels& kernels = SelectFsoCpuKernels();
  FsoGrid<T> grid;
  grid.rows = height, grid.cols = width, grid.channels = like.size(2);
  grid.Plan(transpose);
  const at::Tensor z = at::empty({grid.PixelElements()}, like.options());
  const at::Tensor m = at::empty({grid.BlockElements()}, like.options());
  const at::Tensor ones = at::ones({grid.Lanes()}, like.options());
  grid.z = z.mutable_data_ptr<T>();
  grid.m = m.mutable_data_ptr<T>();
  const int64_t tokens = height * width, rows_a_task = std::max<int64_t>(1, 512 / width);
  for (int64_t n = 0; n < like.size(0); ++n) {
    const int64_t offset = n * tokens * grid.channels;
    grid.x = x + offset;
    at::parallel_for(0, height / 2, rows_a_task, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        if constexpr (std::is_same_v<T, float>) {
          kernels.load_f32(grid, i);
        } else {
          kernels.load_f64(grid, i);
        }
      }
    });
    at::parallel_for(0, tokens, kTokensATask, [&](int64_t begin, int64_t end) {
      FsoMixArgs<T> a;
      a.first = begin, a.count = end - begin, a.mixes = 1;
      a.keep[0] = ones.const_data_ptr<T>();
      a.out[0] = y + offset + begin * grid.channels;
      if constexpr (std::is_same_v<T, float>) {
        kernels.mix_f32(grid, a);
      } else {
        kernels.mix_f64(grid, a);
      }
    });
  }
}

template <typename T>
void RunOdd(const T* x, T* y, const at::Tensor& like, int64_t height, int64_t width,
            bool transpose) {
  const int64_t channels = like.size(2), blocks = (channels + kFsoLanes - 1) / kFsoLanes;
  at::parallel_for(0, like.size(0) * blocks, 1, [&](int64_t begin, int64_t end) {
    for (int64_t task = begin; task < end; ++task) {
      const int64_t offset = task / blocks * height * width * channels;
      const int64_t first = task % blocks * kFsoLanes;
      FsoShiftOdd<T>({height, width, channels, x + offset, y + offset, transpose}, first,
                     std::min(kFsoLanes, channels - first));
    }
  });
}

at::Tensor Run(const at::Tensor& x, int64_t height, int64_t width, bool transpose) {
  Check(x, height, width);
  TORCH_CHECK(x.scalar_type() == at::kFloat || x.scalar_type() == at::kDouble,
              "fso_shift: the CPU kernel takes float32 or float64, got ", x.scalar_type());
  const at::Tensor in = x.contiguous();
  at::Tensor out = at::empty(x.sizes(), x.options().memory_format(at::MemoryFormat::Contiguous));
  if (out.numel() == 0) return out;
  const bool even = height % 2 == 0 && width % 2 == 0;
  AT_DISPATCH_FLOATING_TYPES(x.scalar_type(), "fso_shift", [&] {
    const scalar_t* from = in.const_data_ptr<scalar_t>();
    scalar_t* to = out.mutable_data_ptr<scalar_t>();
    if (even) {
      RunEven<scalar_t>(from, to, in, height, width, transpose);
    } else {
      RunOdd<scalar_t>(from, to, in, height, width, transpose);
    }
  });
  return out;
}

at::Tensor ForwardCpu(const at::Tensor& x, int64_t height, int64_t width) {
  return Run(x, height, width, false);
}
at::Tensor BackwardCpu(const at::Tensor& grad, int64_t height, int64_t width) {
  return Run(grad, height, width, true);
}
// Shapes only, for fake tensors.
at::Tensor Meta(const at::Tensor& x, int64_t, int64_t) {
  return at::empty_symint(x.sym_sizes(), x.options().memory_format(at::MemoryFormat::Contiguous));
}

at::Tensor Call(const char* name, const at::Tensor& x, int64_t height, int64_t width) {
  return c10::Dispatcher::singleton()
      .findSchemaOrThrow(name, "")
      .typed<at::Tensor(const at::Tensor&, int64_t, int64_t)>()
      .call(x, height, width);
}

class FsoShiftFunction : public torch::autograd::Function<FsoShiftFunction> {
 public:
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& x,
                            int64_t height, int64_t width) {
    at::AutoDispatchBelowADInplaceOrView guard;
    context->saved_data["height"] = height;
    context->saved_data["width"] = width;
    return Call("avocet::fso_shift", x, height, width);
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list gradients) {
    return {Call("avocet::fso_shift_backward", gradients[0], context->saved_data["height"].toInt(),
                 context->saved_data["width"].toInt()),
            at::Tensor(), at::Tensor()};
  }
};

at::Tensor ForwardAutograd(const at::Tensor& x, int64_t height, int64_t width) {
  return FsoShiftFunction::apply(x, height, width);
}

}  // namespace

at::Tensor FsoShift(const at::Tensor& x, int64_t height, int64_t width) {
  return Call("avocet::fso_shift", x, height, width);
}

at::Tensor FsoShiftAdjoint(const at::Tensor& grad, int64_t height, int64_t width) {
  return Call("avocet::fso_shift_backward", grad, height, width);
}

TORCH_LIBRARY_FRAGMENT(avocet, library) {
  library.def("fso_shift(Tensor x, int height, int width) -> Tensor");
  library.def("fso_shift_backward(Tensor grad, int height, int width) -> Tensor");
}
TORCH_LIBRARY_IMPL(avocet, CPU, library) {
  library.impl("fso_shift", &ForwardCpu);
  library.impl("fso_shift_backward", &BackwardCpu);
}
TORCH_LIBRARY_IMPL(avocet, Meta, library) {
  library.impl("fso_shift", &Meta);
  library.impl("fso_shift_backward", &Meta);
}
TORCH_LIBRARY_IMPL(avocet, Autograd, library) { library.impl("fso_shift", &ForwardAutograd); }

}  // namespace avocet::kernels

// SPDX-License-Identifier: Apache-2.0
#include "kernels/composed.h"

#include <ATen/ATen.h>
#include <torch/library.h>

#include <algorithm>
#include <vector>

#include "kernels/fso_shift_math.h"

namespace avocet::kernels {
namespace {

constexpr int64_t kGroup = 8, kTaps = 9;  // of SKA

// [B, H, W, C], each channel moved by its offset, zeros from outside.
at::Tensor ShiftChannels(const at::Tensor& maps, bool transpose) {
  const int64_t rows = maps.size(1), cols = maps.size(2), channels = maps.size(3);
  at::Tensor shifted = at::zeros_like(maps);
  for (int n = 0; n < generic::kFsoGroups; ++n) {
    const int64_t first = generic::FsoGroupStart(n, channels);
    const int64_t count = generic::FsoGroupStart(n + 1, channels) - first;
    const int sign = transpose ? -1 : 1;
    const int64_t dy = sign * generic::FsoOffsetOf(n).dy, dx = sign * generic::FsoOffsetOf(n).dx;
    const int64_t height = rows - std::abs(dy), width = cols - std::abs(dx);
    if (count == 0 || height <= 0 || width <= 0) continue;
    const auto window = [&](const at::Tensor& t, int64_t y, int64_t x) {
      return t.narrow(1, std::max<int64_t>(y, 0), height)
          .narrow(2, std::max<int64_t>(x, 0), width)
          .narrow(3, first, count);
    };
    window(shifted, dy, dx).copy_(window(maps, -dy, -dx));
  }
  return shifted;
}

// Mean over each 2 x 2 block, shifted, minus the mean; at full size. Even sides.
at::Tensor BlockTerm(const at::Tensor& maps, bool transpose) {
  const int64_t b = maps.size(0), h = maps.size(1) / 2, w = maps.size(2) / 2, c = maps.size(3);
  const at::Tensor means = maps.reshape({b, h, 2, w, 2, c}).mean({2, 4});
  const at::Tensor term = ShiftChannels(means, transpose) - means;
  return term.view({b, h, 1, w, 1, c}).expand({b, h, 2, w, 2, c}).reshape(maps.sizes());
}

at::Tensor Shift(const at::Tensor& x, int64_t height, int64_t width, bool transpose) {
  TORCH_CHECK(x.dim() == 3 && height >= 1 && width >= 1 && x.size(1) == height * width,
              "fso_shift: ", x.sizes(), " is no grid of ", height, " x ", width);
  const int64_t b = x.size(0), c = x.size(2);
  const at::Tensor z = x.reshape({b, height, width, c});
  const at::Tensor s = ShiftChannels(z, transpose);
  if (height % 2 == 0 && width % 2 == 0) {
    return (z * 1.25 + (s + BlockTerm(z, transpose)) * 0.25).view(x.sizes());
  }
  const int64_t rows = height + height % 2, cols = width + width % 2;
  const auto planes = [](const at::Tensor& t) { return t.permute({0, 3, 1, 2}); };
  const auto tokens = [](const at::Tensor& t) { return t.permute({0, 2, 3, 1}); };
  const at::Tensor even =
      transpose ? tokens(at::upsample_bilinear2d_backward(planes(z).contiguous(), {height, width},
                                                          {b, c, rows, cols}, false))
                : at::constant_pad_nd(z, {0, 0, 0, cols - width, 0, rows - height});
  const at::Tensor wavelet = even + BlockTerm(even, transpose) * 0.5;
  const at::Tensor resized =
      transpose ? wavelet.narrow(1, 0, height).narrow(2, 0, width)
                : tokens(at::upsample_bilinear2d(planes(wavelet), {height, width}, false));
  return (z * 0.75 + s * 0.25 + resized * 0.5).reshape(x.sizes());
}

// x moved so that pixel p holds pixel p + (dy, dx), zeros from outside.
at::Tensor Neighbour(const at::Tensor& padded, int64_t dy, int64_t dx, int64_t rows, int64_t cols) {
  return padded.narrow(2, 1 + dy, rows).narrow(3, 1 + dx, cols);
}

// Tap m of the kernels, repeated over the channels of each group: [B, C, H, W].
at::Tensor Tap(const at::Tensor& kernel, int64_t m) {
  const int64_t b = kernel.size(0), g = kernel.size(1) / kTaps, h = kernel.size(2),
                w = kernel.size(3);
  return kernel.view({b, g, kTaps, h, w})
      .select(2, m)
      .unsqueeze(2)
      .expand({b, g, kGroup, h, w})
      .reshape({b, g * kGroup, h, w});
}

}  // namespace

at::Tensor ComposedFsoShift(const at::Tensor& x, int64_t height, int64_t width) {
  return Shift(x, height, width, false);
}
at::Tensor ComposedFsoShiftBackward(const at::Tensor& grad, int64_t height, int64_t width) {
  return Shift(grad, height, width, true);
}

at::Tensor ComposedSka(const at::Tensor& x, const at::Tensor& kernel) {
  TORCH_CHECK(x.dim() == 4 && x.size(1) % kGroup == 0 && kernel.dim() == 4 &&
                  kernel.size(1) == x.size(1) / kGroup * kTaps,
              "ska: ", x.sizes(), " and a kernel of ", kernel.sizes(), " do not fit");
  const at::Tensor padded = at::constant_pad_nd(x, {1, 1, 1, 1}), taps = kernel.contiguous();
  at::Tensor sum = at::zeros_like(x);
  for (int64_t m = 0; m < kTaps; ++m) {
    sum.addcmul_(Neighbour(padded, m / 3 - 1, m % 3 - 1, x.size(2), x.size(3)), Tap(taps, m));
  }
  return sum;
}

std::tuple<at::Tensor, at::Tensor> ComposedSkaBackward(const at::Tensor& grad, const at::Tensor& x,
                                                       const at::Tensor& kernel) {
  const int64_t b = x.size(0), c = x.size(1), h = x.size(2), w = x.size(3);
  const at::Tensor padded = at::constant_pad_nd(x, {1, 1, 1, 1}), taps = kernel.contiguous();
  at::Tensor gx = at::zeros_like(x);
  std::vector<at::Tensor> gw;
  for (int64_t m = 0; m < kTaps; ++m) {
    const int64_t dy = m / 3 - 1, dx = m % 3 - 1;
    gw.push_back(
        (grad * Neighbour(padded, dy, dx, h, w)).reshape({b, c / kGroup, kGroup, h, w}).sum(2));
    const at::Tensor back = at::constant_pad_nd(grad * Tap(taps, m), {1, 1, 1, 1});
    gx.add_(Neighbour(back, -dy, -dx, h, w));
  }
  return {gx, at::stack(gw, 2).view(kernel.sizes())};
}

std::tuple<at::Tensor, at::Tensor> ComposedHaarForward(const at::Tensor& image) {
  TORCH_CHECK(image.dim() == 4 && image.size(2) % 2 == 0 && image.size(3) % 2 == 0,
              "haar: the image must be [B, C, H, W] with even H and W, got ", image.sizes());
  const auto corner = [&](int64_t y, int64_t x) {
    return image.slice(2, y, image.size(2), 2).slice(3, x, image.size(3), 2);
  };
  const at::Tensor p = corner(0, 0), q = corner(0, 1), r = corner(1, 0), s = corner(1, 1);
  const at::Tensor high =
      at::stack({p + q - r - s, p - q + r - s, p - q - r + s}, 2).flatten(1, 2) * 0.5;
  return {(p + q + r + s) * 0.5, high};
}

at::Tensor ComposedHaarInverse(const at::Tensor& low, const at::Tensor& high) {
  const int64_t b = low.size(0), c = low.size(1), h = low.size(2), w = low.size(3);
  TORCH_CHECK(high.numel() == 3 * low.numel(), "haar: bands of ", low.sizes(), " and ",
              high.sizes(), " do not fit");
  const at::Tensor bands = high.reshape({b, c, 3, h, w});
  const at::Tensor lh = bands.select(2, 0), hl = bands.select(2, 1), hh = bands.select(2, 2);
  at::Tensor image = at::empty({b, c, 2 * h, 2 * w}, low.options());
  const auto corner = [&](int64_t y, int64_t x) {
    return image.slice(2, y, 2 * h, 2).slice(3, x, 2 * w, 2);
  };
  corner(0, 0).copy_((low + lh + hl + hh) * 0.5);
  corner(0, 1).copy_((low + lh - hl - hh) * 0.5);
  corner(1, 0).copy_((low - lh + hl - hh) * 0.5);
  corner(1, 1).copy_((low - lh - hl + hh) * 0.5);
  return image;
}

TORCH_LIBRARY_IMPL(avocet, CUDA, library) {
  library.impl("fso_shift", &ComposedFsoShift);
  library.impl("fso_shift_backward", &ComposedFsoShiftBackward);
  library.impl("ska", &ComposedSka);
  library.impl("ska_backward", &ComposedSkaBackward);
  library.impl("haar_forward", &ComposedHaarForward);
  library.impl("haar_inverse", &ComposedHaarInverse);
}

}  // namespace avocet::kernels

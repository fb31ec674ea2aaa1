// SPDX-License-Identifier: Apache-2.0
// Fused convolution blocks and the stem against LibTorch's convolutions in double.
#include "kernels/local_block.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include "kernels/stem_cpu.h"

namespace avocet::kernels {
namespace {

AlignedBuffer<float> Buffer(const at::Tensor& values) {
  const at::Tensor flat = values.to(at::kFloat).contiguous();
  AlignedBuffer<float> buffer(flat.numel());
  std::copy_n(flat.const_data_ptr<float>(), flat.numel(), buffer.data());
  return buffer;
}

// [..., C] -> [..., padded C].
at::Tensor Pad(const at::Tensor& x) {
  return at::constant_pad_nd(x, {0, PaddedChannels(x.size(-1)) - x.size(-1)});
}

PackedLinear Pack(const at::Tensor& weight, const at::Tensor& bias) {
  const at::Tensor w = weight.contiguous(), b = bias.contiguous();
  return {w.size(1), w.size(0), w.const_data_ptr<double>(),
          std::vector<double>(b.const_data_ptr<double>(), b.const_data_ptr<double>() + b.numel())};
}

struct BlockCase {
  int64_t rows, cols, in, middle, out;
  int kernel, stride;
  bool expand, add_centre, add, relu;
};

class LocalBlockTest : public testing::TestWithParam<BlockCase> {};

TEST_P(LocalBlockTest, IsThreeConvolutionsForAnyNumberOfThreads) {
  const BlockCase& c = GetParam();
  at::manual_seed(3);
  const auto draw = [](at::IntArrayRef shape) {  // exact in float32
    return at::randn(shape, at::kFloat).to(at::kDouble);
  };
  const int64_t in = c.expand ? c.in : c.middle, k = c.kernel;
  const at::Tensor x = draw({c.rows, c.cols, in});
  const at::Tensor expand = draw({c.middle, in}) / 4, expand_bias = draw({c.middle});
  const at::Tensor taps = draw({c.middle, 1, k, k}) / 8, taps_bias = draw({c.middle});
  const at::Tensor project = draw({c.out, c.middle}) / 4, project_bias = draw({c.out});

  LocalBlock block;
  if (c.expand) block.expand = Pack(expand, expand_bias);
  block.channels = c.middle, block.kernel = k, block.stride = c.stride;
  block.weight = Buffer(Pad(taps.view({c.middle, k * k}).t()));
  block.bias = Buffer(Pad(taps_bias));
  block.add_centre = c.add_centre;
  block.project = Pack(project, project_bias);
  if (c.relu) block.activation = LinearActivation::kRelu;

  // The definition.
  at::Tensor h = x.permute({2, 0, 1}).unsqueeze(0);
  if (c.expand) h = at::relu(at::conv2d(h, expand.view({c.middle, in, 1, 1}), expand_bias));
  at::Tensor want =
      at::silu(at::conv2d(h, taps, taps_bias, c.stride, block.Padding(), 1, /*groups=*/c.middle));
  if (c.add_centre) want = want + h;
  want = at::conv2d(want, project.view({c.out, c.middle, 1, 1}), project_bias);
  if (c.relu) want = at::relu(want);
  want = want[0].permute({1, 2, 0});
  ASSERT_EQ(want.size(0), block.Out(c.rows));
  ASSERT_EQ(want.size(1), block.Out(c.cols));
  const at::Tensor add = draw(want.sizes());
  if (c.add) want = want + add;

  const int64_t border = block.Padding();
  const at::Tensor image =
      (c.expand ? Pad(x) : at::constant_pad_nd(Pad(x), {0, 0, border, border})).to(at::kFloat);
  const at::Tensor added = Pad(add).to(at::kFloat);
  const int before = at::get_num_threads();
  at::Tensor first;
  for (const int threads : {1, 2, 4}) {
    at::set_num_threads(threads);
    at::Tensor y = at::full(added.sizes(), NAN, at::kFloat);
    LocalBlockCall call;
    call.rows = c.rows, call.cols = c.cols;
    call.scratch = image.stride(0);
    call.source = [&](int64_t row, float* scratch) {
      const float* from = image.const_data_ptr<float>() + row * image.stride(0);
      if (!c.expand) return PixelRow{from, image.stride(1)};
      std::copy_n(from, image.stride(0), scratch);
      return PixelRow{scratch, image.stride(1)};
    };
    if (c.add) call.add = added.const_data_ptr<float>();
    call.y = y.mutable_data_ptr<float>();
    RunLocalBlock(block, call);
    if (!first.defined()) first = y;
    EXPECT_TRUE(at::equal(y, first)) << threads;
  }
  at::set_num_threads(before);
  const double error =
      (first.narrow(2, 0, c.out).to(at::kDouble) - want).abs().max().item<double>() /
      want.abs().max().item<double>();
  std::printf("  %.1e of the largest value\n", error);
  EXPECT_LE(error, 2e-6);
  EXPECT_EQ(first.narrow(2, c.out, first.size(2) - c.out).abs().sum().item<double>(), 0);
}

INSTANTIATE_TEST_SUITE_P(
    Shapes, LocalBlockTest,
    testing::Values(BlockCase{1, 1, 5, 7, 3, 5, 1, true, true, true, false},
                    BlockCase{3, 9, 24, 20, 24, 5, 1, true, true, true, false},
                    BlockCase{17, 23, 20, 33, 10, 5, 2, true, false, false, false},
                    BlockCase{16, 16, 12, 48, 20, 5, 2, true, false, false, false},
                    BlockCase{13, 11, 16, 24, 8, 9, 1, true, false, false, true},
                    BlockCase{2, 130, 8, 16, 24, 9, 1, true, false, false, true},
                    BlockCase{40, 6, 8, 40, 16, 5, 1, false, true, true, false},
                    BlockCase{1, 30, 8, 16, 16, 5, 1, false, false, false, true}));

TEST(Stem, IsTwoConvolutionsAndTheirSums) {
  at::manual_seed(5);
  for (const auto& [rows, cols] : {std::pair<int64_t, int64_t>{1, 1}, {7, 45}, {20, 32}}) {
    const at::Tensor image = at::randn({3, rows, cols}), expand = at::randn({3, 3, 1, 1}),
                     expand_bias = at::randn({3}), taps = at::randn({3, 1, 5, 5}) / 5,
                     bias = at::randn({3});
    StemRow stem;
    stem.rows = rows, stem.cols = cols;
    const at::Tensor middle = at::zeros({3, rows + 4, cols + 4});
    const at::Tensor y = at::full({rows, cols, kStemPixel}, NAN, at::kFloat);
    stem.y = y.mutable_data_ptr<float>();
    for (int n = 0; n < 3; ++n) {
      stem.planes[n] = image[n].const_data_ptr<float>();
      stem.middle[n] = middle[n].mutable_data_ptr<float>();
      stem.expand_bias[n] = expand_bias[n].item<float>();
      stem.bias[n] = bias[n].item<float>();
      for (int m = 0; m < 3; ++m) stem.expand[n][m] = expand[n][m].item<float>();
      std::copy_n(taps[n].const_data_ptr<float>(), 25, stem.weight[n].data());
    }
    std::array<double, 3> sums{};
    for (int64_t r = 0; r < rows; ++r) SelectStemCpuKernels().expand(stem, r);
    for (int64_t r = 0; r < rows; ++r) {
      double part[3];
      SelectStemCpuKernels().depthwise(stem, r, part);
      for (int n = 0; n < 3; ++n) sums[n] += part[n];
    }
    const auto d = [](const at::Tensor& t) { return t.to(at::kDouble); };
    const at::Tensor h = at::relu(at::conv2d(d(image).unsqueeze(0), d(expand), d(expand_bias)));
    const at::Tensor want = at::silu(at::conv2d(h, d(taps), d(bias), 1, 2, 1, 3))[0];
    EXPECT_LE((d(y).narrow(2, 0, 3) - want.permute({1, 2, 0})).abs().max().item<double>(), 3e-6);
    EXPECT_EQ(y.select(2, 3).abs().sum().item<double>(), 0);
    for (int n = 0; n < 3; ++n) {
      EXPECT_NEAR(sums[n], want[n].sum().item<double>(), 1e-6 * want[n].abs().sum().item<double>());
    }
  }
}

}  // namespace
}  // namespace avocet::kernels

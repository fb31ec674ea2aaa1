// SPDX-License-Identifier: Apache-2.0
// The operators of the frozen RWKV-UNet against plain loops in double: matrix products with their
// epilogues, depthwise convolution with SiLU, LayerNorm with gates, q-shift with its mixes,
// bilinear resizing.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>
#include <random>

#include "kernels/linear_cpu.h"
#include "kernels/silu_depthwise_cpu.h"
#include "kernels/token_cpu.h"

namespace avocet::kernels {
namespace {

using Floats = AlignedBuffer<float>;

class InferenceOperators : public testing::Test {
 protected:
  double Draw() { return normal_(random_); }
  int64_t Between(int64_t low, int64_t high) {
    return std::uniform_int_distribution<int64_t>(low, high)(random_);
  }
  // [rows, padded channels], zeros beyond the last channel.
  Floats Rows(int64_t rows, int64_t channels) {
    const int64_t padded = PaddedChannels(channels);
    Floats x(rows * padded);
    for (int64_t n = 0; n < rows * padded; ++n) {
      if (n % padded < channels) x[n] = static_cast<float>(Draw());
    }
    return x;
  }

  std::mt19937_64 random_{7};
  std::normal_distribution<double> normal_;
};

double Sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

float RoundedToBFloat16(float value) {
  const int exponent = value == 0 ? 0 : std::ilogb(value);
  const double unit = std::ldexp(1.0, exponent - 7);
  return static_cast<float>(std::nearbyint(value / unit) * unit);
}

// ---- matrix products

struct LinearCase {
  int64_t rows, in, out;
  LinearActivation activation;
  bool add;
};

// Largest error relative to the sum of the products' magnitudes.
double LinearError(const LinearCase& c, bool bfloat16, const std::vector<double>& weight,
                   const std::vector<double>& bias, const Floats& x, const Floats& add) {
  const PackedLinear linear(c.in, c.out, weight.data(), bias, bfloat16);
  const int64_t padded = PaddedChannels(c.out), x_stride = PaddedChannels(c.in);
  Floats y(c.rows * padded);
  for (int64_t n = 0; n < y.size(); ++n) y[n] = 1e30f;
  LinearArgs args;
  args.rows = c.rows;
  args.x = x.data(), args.x_stride = x_stride;
  args.y = y.data(), args.y_stride = padded;
  args.activation = c.activation;
  if (c.add) args.add = add.data(), args.add_stride = padded;
  RunLinear(linear, args);
  double worst = 0;
  for (int64_t r = 0; r < c.rows; ++r) {
    for (int64_t n = 0; n < padded; ++n) {
      double want = n < c.out ? static_cast<float>(bias[n]) : 0, size = std::abs(want) + 1e-6;
      for (int64_t k = 0; n < c.out && k < c.in; ++k) {
        float a = x[r * x_stride + k], b = static_cast<float>(weight[n * c.in + k]);
        if (bfloat16) a = RoundedToBFloat16(a), b = RoundedToBFloat16(b);
        want += double{a} * b;
        size += std::abs(double{a} * b);
      }
      if (c.activation != LinearActivation::kNone) want = std::max(0.0, want);
      if (c.activation == LinearActivation::kSquaredRelu) size *= 2 * want + 1e-3, want *= want;
      if (c.add) want += add[r * padded + n], size += std::abs(add[r * padded + n]);
      const double error = std::abs(y[r * padded + n] - want) / size;
      worst = std::max(worst, error);
      if (!(error < 1e-6)) {
        ADD_FAILURE() << c.rows << " x " << c.in << " x " << c.out << ": y[" << r << "][" << n
                      << "] = " << y[r * padded + n] << ", not " << want;
        return worst;
      }
    }
  }
  return worst;
}

TEST_F(InferenceOperators, LinearIsTheDefinition) {
  double worst[2] = {};
  for (int n = 0; n < 120; ++n) {
    const LinearCase c{Between(1, 40), Between(1, 150), Between(1, 150),
                       static_cast<LinearActivation>(n % 3), n % 2 == 0};
    std::vector<double> weight(c.in * c.out), bias(c.out);
    for (double& w : weight) w = Draw();
    for (double& b : bias) b = Draw();
    const Floats x = Rows(c.rows, c.in), add = Rows(c.rows, c.out);
    worst[0] = std::max(worst[0], LinearError(c, false, weight, bias, x, add));
    if (HasFastBFloat16()) {
      worst[1] = std::max(worst[1], LinearError(c, true, weight, bias, x, add));
    }
  }
  std::printf("  %s: float32 %.1e, bfloat16 %.1e of the products' sizes\n",
              SelectLinearCpuKernels().isa, worst[0], worst[1]);
}

TEST_F(InferenceOperators, RowsOfALinearDoNotDependOnTheirCompany) {
  const int64_t in = 70, out = 90, rows = 37, padded = PaddedChannels(out);
  std::vector<double> weight(in * out);
  for (double& w : weight) w = Draw();
  const Floats x = Rows(rows, in);
  for (const bool bfloat16 : {false, true}) {
    if (bfloat16 && !HasFastBFloat16()) continue;
    const PackedLinear linear(in, out, weight.data(), {}, bfloat16);
    Floats all(rows * padded), one(padded);
    LinearArgs args;
    args.x_stride = PaddedChannels(in), args.y_stride = padded;
    args.rows = rows, args.x = x.data(), args.y = all.data();
    RunLinear(linear, args);
    for (int64_t r = 0; r < rows; ++r) {
      args.rows = 1, args.x = x.data() + r * args.x_stride, args.y = one.data();
      RunLinear(linear, args);
      ASSERT_EQ(std::memcmp(one.data(), all.data() + r * padded, padded * sizeof(float)), 0) << r;
    }
  }
}

// ---- depthwise convolution

TEST_F(InferenceOperators, DepthwiseWithSiluIsTheDefinition) {
  double worst = 0;
  for (int n = 0; n < 60; ++n) {
    SiluDepthwiseRows a;
    a.kernel = n % 2 ? 9 : 5, a.stride = n % 4 < 2 ? 1 : 2, a.add_centre = n % 3 == 0;
    a.channels = 16 * Between(1, 4), a.rows = Between(1, 4), a.cols = Between(1, 30);
    const int64_t under = (a.cols - 1) * a.stride + a.kernel;
    const int64_t lines = (a.rows - 1) * a.stride + a.kernel;
    const Floats x = Rows(lines * under, a.channels),
                 weight = Rows(a.kernel * a.kernel, a.channels), bias = Rows(1, a.channels);
    Floats y(a.rows * a.cols * a.channels);
    for (int64_t k = 0; k < lines; ++k) a.lines[k] = x.data() + k * under * a.channels;
    a.weight = weight.data(), a.bias = bias.data(), a.y = y.data();
    SelectSiluDepthwiseCpuKernels().rows(a);
    for (int64_t pixel = 0; pixel < a.rows * a.cols; ++pixel) {
      const int64_t row = pixel / a.cols, col = pixel % a.cols;
      for (int64_t c = 0; c < a.channels; ++c) {
        const auto at = [&](int64_t ky, int64_t kx) {
          return double{a.lines[row * a.stride + ky][(col * a.stride + kx) * a.channels + c]};
        };
        double sum = bias[c], size = 1 + std::abs(sum);
        for (int64_t ky = 0; ky < a.kernel; ++ky) {
          for (int64_t kx = 0; kx < a.kernel; ++kx) {
            const double product = at(ky, kx) * weight[(ky * a.kernel + kx) * a.channels + c];
            sum += product;
            size += std::abs(product);
          }
        }
        double want = sum * Sigmoid(sum);
        if (a.add_centre) want += at(a.kernel / 2, a.kernel / 2);
        worst = std::max(worst, std::abs(want - y[pixel * a.channels + c]) / size);
      }
    }
  }
  std::printf("  %s: %.1e of the products' sizes\n", SelectSiluDepthwiseCpuKernels().isa, worst);
  EXPECT_LE(worst, 6e-7);
}

// ---- tokens

TEST_F(InferenceOperators, NormWithGatesIsTheDefinition) {
  double worst = 0;
  for (int n = 0; n < 96; ++n) {
    const int64_t channels = Between(1, 200), rows = Between(1, 5);
    const int64_t padded = PaddedChannels(channels);
    Floats x = Rows(rows, channels);
    const Floats before = Rows(rows, channels), after = Rows(rows, channels),
                 add = Rows(rows, channels), weight = Rows(1, channels), bias = Rows(1, channels);
    if (n % 5 == 0) {  // a mean far from zero
      for (int64_t i = 0; i < rows * padded; ++i) x[i] += i % padded < channels ? 20.0f : 0.0f;
    }
    Floats y(rows * padded);
    NormRows a;
    a.rows = rows, a.channels = channels, a.eps = n % 2 ? 1e-5f : 1e-6f;
    a.x = x.data(), a.weight = weight.data(), a.bias = bias.data(), a.y = y.data();
    if (n & 1) a.gate_before = before.data();
    if (n & 2) a.gate_after = after.data();
    if (n & 4) a.add = add.data();
    SelectTokenCpuKernels().norm(a);
    for (int64_t r = 0; r < rows; ++r) {
      std::vector<double> t(channels);
      double mean = 0, variance = 0;
      for (int64_t c = 0; c < channels; ++c) {
        t[c] = x[r * padded + c] * (n & 1 ? Sigmoid(before[r * padded + c]) : 1.0);
        mean += t[c] / channels;
      }
      for (const double value : t) variance += (value - mean) * (value - mean) / channels;
      for (int64_t c = 0; c < channels; ++c) {
        double want = (t[c] - mean) / std::sqrt(variance + a.eps) * weight[c] + bias[c];
        if (n & 2) want *= Sigmoid(after[r * padded + c]);
        if (n & 4) want += add[r * padded + c];
        if (channels >= 8) {  // of few equal values the quotient amplifies rounding
          worst = std::max(worst, std::abs(want - y[r * padded + c]));
        }
      }
      for (int64_t c = channels; c < padded; ++c) EXPECT_EQ(y[r * padded + c], 0) << channels;
    }
  }
  std::printf("  %s: %.1e\n", SelectTokenCpuKernels().isa, worst);
  EXPECT_LE(worst, 2e-5);
}

TEST_F(InferenceOperators, SigmoidGateHoldsItsEnds) {
  // LayerNorm of a row with weight 0 and bias 1 is 1: what remains is the gate.
  const float gates[16] = {0,    -0.0f, 1e-8f, -1e-8f, 5,      -5,    20,       -20,
                           88.f, -86.f, -88.f, 1e30f,  -1e30f, 700.f, INFINITY, -INFINITY};
  Floats x(16), gate(16), zero(16), one(16), y(16);
  for (int n = 0; n < 16; ++n) gate[n] = gates[n], one[n] = 1, x[n] = static_cast<float>(n);
  NormRows a;
  a.rows = 1, a.channels = 16, a.x = x.data(), a.gate_after = gate.data();
  a.weight = zero.data(), a.bias = one.data(), a.y = y.data();
  SelectTokenCpuKernels().norm(a);
  for (int n = 0; n < 16; ++n) {
    EXPECT_NEAR(y[n], Sigmoid(gates[n]), 3e-7 * Sigmoid(gates[n]) + 2e-38) << gates[n];
  }
  gate[3] = NAN;
  SelectTokenCpuKernels().norm(a);
  EXPECT_TRUE(std::isnan(y[3]));
}

TEST_F(InferenceOperators, QShiftWithMixesIsTheDefinition) {
  double worst = 0;
  for (int n = 0; n < 60; ++n) {
    QShiftMix a;
    a.rows = Between(1, 6), a.cols = Between(1, 7), a.channels = Between(1, 130);
    a.mixes = n % 3 + 1;
    const int64_t padded = PaddedChannels(a.channels), tokens = a.rows * a.cols;
    a.first = Between(0, tokens - 1), a.count = Between(1, tokens - a.first);
    const Floats x = Rows(tokens, a.channels), keep = Rows(3, a.channels);
    Floats y[3];
    a.x = x.data();
    for (int m = 0; m < a.mixes; ++m) {
      y[m] = Floats(a.count * padded);
      a.keep[m] = keep.data() + m * padded, a.y[m] = y[m].data();
    }
    SelectTokenCpuKernels().mix(a);
    const int64_t quarters[4] = {a.channels / 4, a.channels / 2, a.channels * 3 / 4, a.channels};
    for (int64_t t = 0; t < a.count; ++t) {
      const int64_t row = (a.first + t) / a.cols, col = (a.first + t) % a.cols;
      for (int64_t c = 0; c < padded; ++c) {
        const auto at = [&](int64_t r, int64_t k) {
          return r < 0 || k < 0 || r >= a.rows || k >= a.cols
                     ? 0.0
                     : double{x[(r * a.cols + k) * padded + c]};
        };
        const double shifted = c < quarters[0]   ? at(row, col - 1)
                               : c < quarters[1] ? at(row, col + 1)
                               : c < quarters[2] ? at(row - 1, col)
                                                 : at(row + 1, col);
        for (int m = 0; m < a.mixes; ++m) {
          const double mu = keep[m * padded + c];
          const double want = c < a.channels ? at(row, col) * mu + shifted * (1 - mu) : 0;
          worst = std::max(worst, std::abs(want - y[m][t * padded + c]));
        }
      }
    }
  }
  std::printf("  %s: %.1e\n", SelectTokenCpuKernels().isa, worst);
  EXPECT_LE(worst, 4e-6);
}

TEST_F(InferenceOperators, BilinearIsTheDefinition) {
  double worst = 0;
  for (int n = 0; n < 60; ++n) {
    BilinearRow a;
    const int64_t factors[4] = {2, 4, 1, 3};
    a.rows = Between(1, 8), a.cols = Between(1, 8), a.channels = 16 * Between(1, 2);
    a.out_rows = a.rows * factors[n % 4], a.out_cols = a.cols * factors[n % 4];
    if (n % 2) std::swap(a.rows, a.out_rows), std::swap(a.cols, a.out_cols);
    a.x_stride = a.channels + 16, a.y_stride = a.channels + 32;
    a.row = Between(0, a.out_rows - 1);
    const Floats x = Rows(a.rows * a.cols, a.x_stride);
    Floats y(a.out_cols * a.y_stride);
    a.x = x.data(), a.y = y.data();
    SelectTokenCpuKernels().bilinear(a);
    const auto source = [](int64_t at, int64_t in, int64_t out) {
      return std::clamp((at + 0.5) * in / out - 0.5, 0.0, in - 1.0);
    };
    const double r = source(a.row, a.rows, a.out_rows);
    for (int64_t col = 0; col < a.out_cols; ++col) {
      const double k = source(col, a.cols, a.out_cols);
      for (int64_t c = 0; c < a.channels; ++c) {
        double want = 0;
        for (int64_t i = 0; i < a.rows; ++i) {
          for (int64_t j = 0; j < a.cols; ++j) {
            want += std::max(0.0, 1 - std::abs(i - r)) * std::max(0.0, 1 - std::abs(j - k)) *
                    x[(i * a.cols + j) * a.x_stride + c];
          }
        }
        worst = std::max(worst, std::abs(want - y[col * a.y_stride + c]));
      }
      for (int64_t c = a.channels; c < a.y_stride; ++c) EXPECT_EQ(y[col * a.y_stride + c], 0);
    }
  }
  std::printf("  %s: %.1e\n", SelectTokenCpuKernels().isa, worst);
  EXPECT_LE(worst, 3e-6);
}

TEST_F(InferenceOperators, DoubledPlaneIsTheBilinearResize) {
  double worst = 0;
  for (int n = 0; n < 30; ++n) {
    const int64_t rows = Between(1, 9), cols = Between(1, 40);
    Floats plane(rows * cols), pixels(rows * cols * 16), want(2 * cols * 16);
    for (int64_t i = 0; i < plane.size(); ++i) {
      plane[i] = pixels[i * 16] = static_cast<float>(Draw());
    }
    for (int64_t row = 0; row < 2 * rows; ++row) {
      Floats line(cols + 2), y(2 * cols);
      DoubledRow a;
      a.rows = rows, a.cols = cols, a.x = plane.data(), a.row = row;
      a.line = line.data(), a.y = y.data();
      SelectTokenCpuKernels().doubled(a);
      BilinearRow b;
      b.rows = rows, b.cols = cols, b.channels = b.x_stride = b.y_stride = 16;
      b.x = pixels.data(), b.out_rows = 2 * rows, b.out_cols = 2 * cols, b.row = row;
      b.y = want.data();
      SelectTokenCpuKernels().bilinear(b);
      for (int64_t c = 0; c < 2 * cols; ++c) {
        worst = std::max(worst, std::abs(double{y[c]} - want[c * 16]));
      }
    }
  }
  EXPECT_LE(worst, 1e-6);
}

}  // namespace
}  // namespace avocet::kernels

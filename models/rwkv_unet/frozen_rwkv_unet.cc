// SPDX-License-Identifier: Apache-2.0
#include "models/rwkv_unet/frozen_rwkv_unet.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "app/base/error.h"
#include "kernels/bi_wkv.h"
#include "kernels/token_cpu.h"

namespace avocet::models {
namespace {

using kernels::BilinearRow;
using kernels::LinearActivation;
using kernels::LinearArgs;
using kernels::NormRows;
using kernels::PackedLinear;
using kernels::PaddedChannels;
using kernels::QShiftMix;
using kernels::ThreadScratch;

// Slots 0 to 4 of ThreadScratch belong to the kernels.
constexpr int kFirstSlot = 5, kSecondSlot = 6, kThirdSlot = 7;
constexpr int64_t kBandTokens = 392;  // of 576 channels: half of a second-level cache

at::Tensor Floats(at::IntArrayRef shape) { return at::empty(shape, at::kFloat); }

NormRows NormArgs(const FrozenNorm& norm, int64_t rows, const float* x, float* y) {
  NormRows args;
  args.rows = rows, args.channels = norm.channels, args.eps = norm.eps;
  args.x = x, args.y = y;
  args.weight = norm.weight.data(), args.bias = norm.bias.data();
  return args;
}

void Linear(const PackedLinear& linear, int64_t rows, const float* x, float* y,
            LinearActivation activation = LinearActivation::kNone) {
  LinearArgs args;
  args.rows = rows, args.activation = activation;
  args.x = x, args.x_stride = PaddedChannels(linear.in());
  args.y = y, args.y_stride = linear.padded_out();
  RunLinear(linear, args);
}

// Bands of whole rows, of kBandTokens tokens and at least one for each thread.
template <typename F>
void ForBands(int64_t rows, int64_t cols, const F& run) {
  const int64_t threads = at::get_num_threads();
  const int64_t tall = std::max<int64_t>(1, kBandTokens / cols);
  const int64_t bands =
      std::min(rows, ((rows + tall - 1) / tall + threads - 1) / threads * threads);
  at::parallel_for(0, bands, 1, [&](int64_t begin, int64_t end) {
    for (int64_t band = begin; band < end; ++band) {
      const int64_t first = rows * band / bands;
      run(first, rows * (band + 1) / bands - first);
    }
  });
}

void Resize(int64_t rows, int64_t cols, const float* x, int64_t x_stride, int64_t channels,
            int64_t out_rows, int64_t out_cols, int64_t row, float* y, int64_t y_stride) {
  BilinearRow args;
  args.rows = rows, args.cols = cols, args.x = x, args.x_stride = x_stride;
  args.channels = channels, args.out_rows = out_rows, args.out_cols = out_cols, args.row = row;
  args.y = y, args.y_stride = y_stride;
  kernels::SelectTokenCpuKernels().bilinear(args);
}

}  // namespace

FrozenRwkvUnet::Grid::Grid(int64_t rows, int64_t cols, int64_t channels)
    : rows(rows),
      cols(cols),
      stride(PaddedChannels(channels)),
      data(Floats({rows, cols, PaddedChannels(channels)})) {}

FrozenRwkvUnet::FrozenRwkvUnet(const std::vector<RwkvUnetBlock>& blocks,
                               const ParameterStore& parameters, Precision precision) {
  const c10::InferenceMode inference;
  const Freezer freezer(parameters, precision == Precision::kBFloat16);
  stem_ = freezer.Stem(blocks[0], blocks[1]);
  for (size_t n = 1; n < blocks.size(); ++n) blocks_.push_back(freezer.Block(blocks[n]));
  mixer_ = freezer.Mixer();
  for (int stage = 1; stage <= 4; ++stage) decoders_[stage - 1] = freezer.Decoder(stage);
  head_ = freezer.Head();
}

// planes: [1 or 3, H, W]. The stem and the first block of stage 1.
FrozenRwkvUnet::Grid FrozenRwkvUnet::Stem(const at::Tensor& planes) const {
  const int64_t rows = planes.size(1), cols = planes.size(2);
  const int64_t border = kernels::kStemKernel / 2;
  kernels::StemRow row = stem_.row;
  row.rows = rows, row.cols = cols;
  const at::Tensor middle =
      at::zeros({kernels::kStemPlanes, rows + 2 * border, cols + 2 * border}, at::kFloat);
  for (int n = 0; n < kernels::kStemPlanes; ++n) {
    row.planes[n] = planes[planes.size(0) == 1 ? 0 : n].const_data_ptr<float>();
    row.middle[n] = middle[n].mutable_data_ptr<float>();
  }
  const at::Tensor pixels = Floats({rows, cols, kernels::kStemPixel});
  row.y = pixels.mutable_data_ptr<float>();
  const kernels::StemCpuKernels& kernel = kernels::SelectStemCpuKernels();
  std::vector<std::array<double, kernels::kStemPlanes>> sums(rows);
  at::parallel_for(0, rows, 16, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) kernel.expand(row, r);
  });
  at::parallel_for(0, rows, 16, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) kernel.depthwise(row, r, sums[r].data());
  });

  std::array<double, 3> means{}, reduced{};
  for (const auto& sum : sums) {
    for (int n = 0; n < 3; ++n) means[n] += sum[n] / static_cast<double>(rows * cols);
  }
  const auto sigmoid = [](double x) { return 1 / (1 + std::exp(-x)); };
  for (int n = 0; n < 3; ++n) {
    double value = stem_.reduce_bias[n];
    for (int m = 0; m < 3; ++m) value += stem_.reduce[n][m] * means[m];
    reduced[n] = value * sigmoid(value);
  }
  at::Tensor excite = at::empty({3}, at::kDouble);
  for (int n = 0; n < 3; ++n) {
    double value = stem_.excite_bias[n];
    for (int m = 0; m < 3; ++m) value += stem_.excite[n][m] * reduced[m];
    excite.mutable_data_ptr<double>()[n] = sigmoid(value);
  }
  const at::Tensor weight = (stem_.expand * excite).contiguous();
  const double* bias = stem_.expand_bias.const_data_ptr<double>();
  const PackedLinear expand(3, weight.size(0), weight.const_data_ptr<double>(),
                            {bias, bias + weight.size(0)});

  const kernels::LocalBlock& block = blocks_[0].local;
  Grid y(block.Out(rows), block.Out(cols), block.project.out());
  kernels::LocalBlockCall call;
  call.rows = rows, call.cols = cols;
  call.source = [&](int64_t r, float*) {
    return kernels::PixelRow{row.y + r * cols * kernels::kStemPixel, kernels::kStemPixel};
  };
  call.expand = &expand;
  call.y = y.At(0);
  RunLocalBlock(block, call);
  return y;
}

// The expansion, SpatialMix and its residual; the result has two pixels of zeros on the left and
// right of each row.
FrozenRwkvUnet::Grid FrozenRwkvUnet::Attention(const FrozenBlock& block, const Grid& x,
                                               WkvMode mode) const {
  const FrozenAttention& mix = block.mix;
  const kernels::TokenCpuKernels& tokens = kernels::SelectTokenCpuKernels();
  const int64_t rows = x.rows, cols = x.cols, channels = block.expand.out();
  Grid h(rows, cols, channels);
  const int64_t stride = h.stride, row_floats = cols * stride;
  ForBands(rows, cols, [&](int64_t first, int64_t count) {
    float* normed = ThreadScratch(kFirstSlot, count * cols * x.stride);
    tokens.norm(NormArgs(block.input_norm, count * cols, x.At(first), normed));
    Linear(block.expand, count * cols, normed, h.At(first), LinearActivation::kRelu);
  });

  const auto map = [&](int n, int64_t first, int64_t count, float* mixed, float* y) {
    QShiftMix args;
    args.rows = rows, args.cols = cols, args.channels = channels, args.x = h.At(0);
    args.first = first * cols, args.count = count * cols;
    args.mixes = 1, args.keep[0] = mix.keep[n].data(), args.y[0] = mixed;
    tokens.mix(args);
    Linear(mix.maps[n], count * cols, mixed, y);
  };
  Grid key(rows, cols, channels), value(rows, cols, channels);
  ForBands(rows, cols, [&](int64_t first, int64_t count) {
    float* mixed = ThreadScratch(kFirstSlot, count * row_floats);
    map(0, first, count, mixed, key.At(first));
    map(1, first, count, mixed, value.At(first));
  });

  const auto flat = [&](const Grid& grid) { return grid.data.view({1, rows * cols, stride}); };
  const auto total = static_cast<double>(rows * cols);
  const at::Tensor wkv = kernels::BiWkv(mix.decay / total, mix.first / total, flat(key),
                                        flat(value), static_cast<int64_t>(mode));

  const int64_t border = block.local.Padding();
  Grid y(rows, cols + 2 * border, channels);
  const float* values = wkv.const_data_ptr<float>();
  ForBands(rows, cols, [&](int64_t first, int64_t count) {
    float* gated = ThreadScratch(kFirstSlot, count * row_floats);
    float* out = ThreadScratch(kSecondSlot, count * row_floats);
    map(2, first, count, gated, out);  // the gate, while it is needed
    NormRows norm = NormArgs(mix.key_norm, count * cols, values + first * row_floats, gated);
    norm.gate_after = out;
    tokens.norm(norm);
    Linear(mix.output, count * cols, gated, out);
    for (int64_t r = 0; r < count; ++r) {
      float* to = y.At(first + r);
      std::memset(to, 0, border * stride * sizeof(float));
      std::memset(to + border * stride + row_floats, 0, border * stride * sizeof(float));
      NormRows add = NormArgs(mix.norm, cols, out + r * row_floats, to + border * stride);
      add.add = h.At(first + r);
      tokens.norm(add);
    }
  });
  return y;
}

FrozenRwkvUnet::Grid FrozenRwkvUnet::Block(const FrozenBlock& block, const Grid& x,
                                           WkvMode mode) const {
  const kernels::LocalBlock& local = block.local;
  Grid y(local.Out(x.rows), local.Out(x.cols), local.project.out());
  kernels::LocalBlockCall call;
  call.rows = x.rows, call.cols = x.cols;
  call.y = y.At(0);
  if (block.residual) call.add = x.At(0);
  Grid mixed;
  if (block.attention) {
    mixed = Attention(block, x, mode);
    call.source = [&](int64_t row, float*) {
      return kernels::PixelRow{mixed.At(row), mixed.stride};
    };
  } else if (block.input_norm.channels > 0) {
    call.scratch = x.cols * x.stride;
    call.source = [&](int64_t row, float* scratch) {
      kernels::SelectTokenCpuKernels().norm(NormArgs(block.input_norm, x.cols, x.At(row), scratch));
      return kernels::PixelRow{scratch, x.stride};
    };
  } else {
    call.source = [&](int64_t row, float*) { return kernels::PixelRow{x.At(row), x.stride}; };
  }
  RunLocalBlock(local, call);
  return y;
}

std::array<FrozenRwkvUnet::Grid, 3> FrozenRwkvUnet::Mix(const Grid& enc3, const Grid& enc2,
                                                        const Grid& enc1) const {
  const kernels::TokenCpuKernels& tokens = kernels::SelectTokenCpuKernels();
  const int64_t rows = enc1.rows, cols = enc1.cols, part = mixer_.part, channels = 3 * part;
  // Projections at the inputs' own resolution: they commute with the enlargement.
  const Grid* inputs[2] = {&enc3, &enc2};
  Grid projected[2];
  for (int n = 0; n < 2; ++n) {
    const Grid& in = *inputs[n];
    projected[n] = Grid(in.rows, in.cols, part);
    ForBands(in.rows, in.cols, [&](int64_t first, int64_t count) {
      Linear(mixer_.projections[n], count * in.cols, in.At(first), projected[n].At(first));
    });
  }
  Grid z(rows, cols, channels);
  ForBands(rows, cols, [&](int64_t first, int64_t count) {
    for (int64_t row = first; row < first + count; ++row) {
      for (int n = 0; n < 2; ++n) {
        const Grid& from = projected[n];
        Resize(from.rows, from.cols, from.At(0), from.stride, part, rows, cols, row,
               z.At(row) + n * part, z.stride);
      }
      LinearArgs args;
      args.rows = cols, args.x = enc1.At(row), args.x_stride = enc1.stride;
      args.y = z.At(row) + 2 * part, args.y_stride = z.stride;
      RunLinear(mixer_.projections[2], args);
    }
  });

  constexpr int64_t kGroup = 4;  // rows of one row at 1/8 resolution
  std::array<Grid, 3> parts = {Grid(enc3.rows, enc3.cols, part), Grid(enc2.rows, enc2.cols, part),
                               Grid(rows, cols, part)};
  at::parallel_for(0, rows / kGroup, 1, [&](int64_t begin, int64_t end) {
    const int64_t hidden = mixer_.key.padded_out();
    float* mixed = ThreadScratch(kFirstSlot, cols * (2 * channels + hidden));
    float* gate = mixed + cols * channels;
    float* wide = gate + cols * channels;
    float* out = ThreadScratch(kSecondSlot, kGroup * cols * channels);
    float* receptance = ThreadScratch(kThirdSlot, cols * channels);
    for (int64_t group = begin; group < end; ++group) {
      for (int64_t r = 0; r < kGroup; ++r) {
        const int64_t row = group * kGroup + r;
        QShiftMix mix;
        mix.rows = rows, mix.cols = cols, mix.channels = channels, mix.x = z.At(0);
        mix.first = row * cols, mix.count = cols, mix.mixes = 2;
        mix.keep[0] = mixer_.keep[0].data(), mix.keep[1] = mixer_.keep[1].data();
        mix.y[0] = mixed, mix.y[1] = gate;
        tokens.mix(mix);
        Linear(mixer_.key, cols, mixed, wide, LinearActivation::kSquaredRelu);
        tokens.norm(NormArgs(mixer_.key_norm, cols, wide, wide));
        Linear(mixer_.value, cols, wide, mixed);
        Linear(mixer_.receptance, cols, gate, receptance);
        NormRows norm = NormArgs(mixer_.norm, cols, mixed, out + r * cols * channels);
        norm.gate_before = receptance;
        norm.add = z.At(row);
        tokens.norm(norm);
      }
      Resize(kGroup, cols, out, channels, part, 1, enc3.cols, 0, parts[0].At(group), part);
      for (int64_t r = 0; r < 2; ++r) {
        Resize(kGroup, cols, out + part, channels, part, 2, enc2.cols, r,
               parts[1].At(2 * group + r), part);
      }
      float* to = parts[2].At(group * kGroup);
      for (int64_t n = 0; n < kGroup * cols; ++n) {
        std::memcpy(to + n * part, out + n * channels + 2 * part, part * sizeof(float));
      }
    }
  });
  return parts;
}

FrozenRwkvUnet::Grid FrozenRwkvUnet::Decode(int stage, const Grid& x, const Grid* skip) const {
  const kernels::LocalBlock& local = decoders_[stage - 1];
  const int64_t factor = skip == nullptr ? 1 : 2;
  kernels::LocalBlockCall call;
  call.rows = factor * x.rows, call.cols = factor * x.cols;
  Grid y(call.rows, call.cols, local.project.out());
  call.y = y.At(0);
  if (skip == nullptr) {
    call.source = [&](int64_t row, float*) { return kernels::PixelRow{x.At(row), x.stride}; };
  } else {
    const int64_t both = x.stride + skip->stride;
    call.scratch = call.cols * both;
    call.source = [&, both](int64_t row, float* scratch) {
      Resize(x.rows, x.cols, x.At(0), x.stride, x.stride, call.rows, call.cols, row, scratch, both);
      const float* from = skip->At(row);
      for (int64_t n = 0; n < call.cols; ++n) {
        std::memcpy(scratch + n * both + x.stride, from + n * skip->stride,
                    skip->stride * sizeof(float));
      }
      return kernels::PixelRow{scratch, both};
    };
  }
  RunLocalBlock(local, call);
  return y;
}

// The last convolution runs before the last enlargement.
at::Tensor FrozenRwkvUnet::Head(const Grid& x) const {
  const int64_t classes = head_.out(), stride = head_.padded_out();
  const at::Tensor planes = Floats({1, classes, x.rows, x.cols});
  float* to = planes.mutable_data_ptr<float>();
  ForBands(x.rows, x.cols, [&](int64_t first, int64_t count) {
    const int64_t pixels = count * x.cols;
    float* scratch = ThreadScratch(kFirstSlot, pixels * stride);
    Linear(head_, pixels, x.At(first), scratch);
    for (int64_t c = 0; c < classes; ++c) {
      float* plane = to + (c * x.rows + first) * x.cols;
      for (int64_t n = 0; n < pixels; ++n) plane[n] = scratch[n * stride + c];
    }
  });
  const at::Tensor logits = Floats({1, classes, 2 * x.rows, 2 * x.cols});
  float* out = logits.mutable_data_ptr<float>();
  at::parallel_for(0, classes * 2 * x.rows, 16, [&](int64_t begin, int64_t end) {
    for (int64_t n = begin; n < end; ++n) {
      kernels::DoubledRow row;
      row.rows = x.rows, row.cols = x.cols;
      row.x = to + n / (2 * x.rows) * x.rows * x.cols, row.row = n % (2 * x.rows);
      row.line = ThreadScratch(kFirstSlot, x.cols + 2);
      row.y = out + n * 2 * x.cols;
      kernels::SelectTokenCpuKernels().doubled(row);
    }
  });
  return logits;
}

at::Tensor FrozenRwkvUnet::Logits(const at::Tensor& planes, WkvMode mode) const {
  Grid x = Stem(planes);
  std::array<Grid, 5> outputs;
  outputs[1] = x;
  for (size_t n = 1; n < blocks_.size(); ++n) {
    x = Block(blocks_[n], x, mode);
    outputs[blocks_[n].stage] = x;
  }
  const std::array<Grid, 3> parts = Mix(outputs[3], outputs[2], outputs[1]);
  x = Decode(1, x, nullptr);
  for (int stage = 2; stage <= 4; ++stage) x = Decode(stage, x, &parts[stage - 2]);
  return Head(x);
}

at::Tensor FrozenRwkvUnet::Forward(const at::Tensor& image, WkvMode mode) const {
  const c10::InferenceMode inference;
  const at::Tensor planes = image.contiguous();
  std::vector<at::Tensor> logits;
  for (int64_t n = 0; n < planes.size(0); ++n) logits.push_back(Logits(planes[n], mode));
  return logits.size() == 1 ? logits[0] : at::cat(logits);
}

}  // namespace avocet::models

// SPDX-License-Identifier: Apache-2.0
#include "kernels/local_block.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <cstring>

#include "kernels/silu_depthwise_cpu.h"

namespace avocet::kernels {
namespace {

// Slots of ThreadScratch; 0 belongs to RunLinear.
constexpr int kRingSlot = 1, kMiddleSlot = 2, kSourceSlot = 3, kZeroSlot = 4;
constexpr int64_t kRingBytes = 1 << 20;  // half of a second-level cache
constexpr int64_t kProjectedPixels = 448;

// Input lines of the depthwise convolution, made as they are needed.
class Lines {
 public:
  Lines(const LocalBlock& block, const LocalBlockCall& call, int64_t count, int64_t first)
      : block_(block),
        call_(call),
        expand_(call.expand != nullptr ? *call.expand : block.expand),
        padded_(PaddedChannels(block.channels)),
        width_(call.cols + 2 * block.Padding()),
        count_(count),
        next_(std::max<int64_t>(0, first)) {
    zeros_ = ThreadScratch(kZeroSlot, width_ * padded_);
    std::memset(zeros_, 0, width_ * padded_ * sizeof(float));
    scratch_ = ThreadScratch(kSourceSlot, std::max<int64_t>(1, call.scratch));
    if (expand_.empty()) return;
    ring_ = ThreadScratch(kRingSlot, count * width_ * padded_);
    const int64_t border = block.Padding() * padded_;
    for (int64_t n = 0; n < count; ++n) {
      std::memset(ring_ + n * width_ * padded_, 0, border * sizeof(float));
      std::memset(ring_ + (n + 1) * width_ * padded_ - border, 0, border * sizeof(float));
    }
  }

  // Lines up to `end` exclusively; the last `count` of them stay.
  void MakeUpTo(int64_t end) {
    if (expand_.empty()) return;
    for (end = std::min(end, call_.rows); next_ < end; ++next_) {
      const PixelRow row = call_.source(next_, scratch_);
      LinearArgs args;
      args.rows = call_.cols;
      args.x = row.x, args.x_stride = row.stride;
      args.y = ring_ + (next_ % count_ * width_ + block_.Padding()) * padded_;
      args.y_stride = padded_;
      args.activation = LinearActivation::kRelu;
      RunLinear(expand_, args);
    }
  }

  const float* Line(int64_t row) {
    if (row < 0 || row >= call_.rows) return zeros_;
    if (expand_.empty()) return call_.source(row, scratch_).x;
    return ring_ + row % count_ * width_ * padded_;
  }

 private:
  const LocalBlock& block_;
  const LocalBlockCall& call_;
  const PackedLinear& expand_;
  const int64_t padded_, width_, count_;
  int64_t next_;
  float* ring_ = nullptr;
  float* zeros_;
  float* scratch_;
};

}  // namespace

void RunLocalBlock(const LocalBlock& block, const LocalBlockCall& call) {
  const SiluDepthwiseCpuKernels& depthwise = SelectSiluDepthwiseCpuKernels();
  const int64_t padded = PaddedChannels(block.channels), padding = block.Padding();
  const int64_t out_rows = block.Out(call.rows), out_cols = block.Out(call.cols);
  const int64_t line_bytes = (call.cols + 2 * padding) * padded * sizeof(float);
  const int64_t fitting = (kRingBytes / line_bytes - block.kernel) / block.stride + 1;
  const int64_t group = std::clamp<int64_t>((kProjectedPixels + out_cols - 1) / out_cols, 1,
                                            std::clamp<int64_t>(fitting, 1, kMaxDepthwiseRows));
  at::parallel_for(0, out_rows, 1, [&](int64_t begin, int64_t end) {
    Lines lines(block, call, block.kernel + (group - 1) * block.stride,
                begin * block.stride - padding);
    float* middle = ThreadScratch(kMiddleSlot, group * out_cols * padded);
    for (int64_t first = begin; first < end; first += group) {
      const int64_t count = std::min(group, end - first);
      lines.MakeUpTo((first + count - 1) * block.stride - padding + block.kernel);
      SiluDepthwiseRows rows;
      rows.channels = padded, rows.kernel = block.kernel, rows.stride = block.stride;
      rows.rows = count, rows.cols = out_cols;
      for (int64_t k = 0; k < block.kernel + (count - 1) * block.stride; ++k) {
        rows.lines[k] = lines.Line(first * block.stride - padding + k);
      }
      rows.weight = block.weight.data(), rows.bias = block.bias.data();
      rows.add_centre = block.add_centre;
      rows.y = middle;
      depthwise.rows(rows);
      LinearArgs args;
      args.rows = count * out_cols;
      args.x = middle, args.x_stride = padded;
      args.y_stride = block.project.padded_out();
      args.y = call.y + first * out_cols * args.y_stride;
      args.activation = block.activation;
      if (call.add != nullptr) {
        args.add = call.add + first * out_cols * args.y_stride, args.add_stride = args.y_stride;
      }
      RunLinear(block.project, args);
    }
  });
}

}  // namespace avocet::kernels

// SPDX-License-Identifier: Apache-2.0
// The official source as it is, once for each row length that its networks compile it for.
#include "tests/gpu/official_wkv.h"

#include <assert.h>
#include <cuda_runtime.h>
#include <stdio.h>

#define Tmax 1024
namespace official_1024 {
#include AVOCET_OFFICIAL_WKV
}
#undef Tmax
#define Tmax 65536
namespace official_65536 {
#include AVOCET_OFFICIAL_WKV
}

namespace avocet::test {
namespace {

// The official functions take pointers to what they only read as pointers to anything.
float* Any(const float* p) { return const_cast<float*>(p); }

}  // namespace

void OfficialForward(int64_t batch, int64_t tokens, int64_t channels, const float* w,
                     const float* u, const float* k, const float* v, float* y) {
  const auto forward = tokens <= 1024 ? official_1024::cuda_forward : official_65536::cuda_forward;
  forward(static_cast<int>(batch), static_cast<int>(tokens), static_cast<int>(channels), Any(w),
          Any(u), Any(k), Any(v), y);
}

void OfficialBackward(int64_t batch, int64_t tokens, int64_t channels, const float* w,
                      const float* u, const float* k, const float* v, const float* g, float* gw,
                      float* gu, float* gk, float* gv) {
  const auto backward =
      tokens <= 1024 ? official_1024::cuda_backward : official_65536::cuda_backward;
  const size_t bytes = static_cast<size_t>(batch * tokens * channels) * sizeof(float);
  cudaMemsetAsync(gk, 0, bytes, nullptr);
  cudaMemsetAsync(gv, 0, bytes, nullptr);
  backward(static_cast<int>(batch), static_cast<int>(tokens), static_cast<int>(channels), Any(w),
           Any(u), Any(k), Any(v), Any(g), gw, gu, gk, gv);
}

}  // namespace avocet::test

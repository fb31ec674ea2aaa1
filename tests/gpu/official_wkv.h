// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace avocet::test {

// The official kernels, where the build was given their source (-DAVOCET_OFFICIAL_WKV=FILE.cu, as
// published with RWKV-UNet or FS-RWKV; never part of this repository). On the default stream.
void OfficialForward(int64_t batch, int64_t tokens, int64_t channels, const float* w,
                     const float* u, const float* k, const float* v, float* y);
// gw, gu: [B, C]. gk and gv are cleared first, as the official Python code does.
void OfficialBackward(int64_t batch, int64_t tokens, int64_t channels, const float* w,
                      const float* u, const float* k, const float* v, const float* g, float* gw,
                      float* gu, float* gk, float* gv);

}  // namespace avocet::test

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/core/Tensor.h>

#include "kernels/bi_wkv.h"

namespace avocet::kernels {

// What every device's kernel asks of its arguments; throws c10::Error naming the offending value.
inline void CheckBiWkv(const at::Tensor& w, const at::Tensor& u, const at::Tensor& k,
                       const at::Tensor& v, int64_t split, bool official_gradient) {
  TORCH_CHECK(k.dim() == 3, "bi_wkv: k must be [B, T, C], got ", k.sizes());
  TORCH_CHECK(v.sizes() == k.sizes(), "bi_wkv: v must have the shape of k, ", k.sizes(), ", got ",
              v.sizes());
  TORCH_CHECK(k.size(1) >= 1, "bi_wkv: at least one token is needed, got shape ", k.sizes());
  const int64_t channels = k.size(2);
  TORCH_CHECK(w.dim() == 1 && w.size(0) == channels, "bi_wkv: w must be [", channels, "], got ",
              w.sizes());
  TORCH_CHECK(u.dim() == 1 && u.size(0) == channels, "bi_wkv: u must be [", channels, "], got ",
              u.sizes());
  const bool half = k.scalar_type() == at::kHalf || k.scalar_type() == at::kBFloat16;
  for (const at::Tensor* other : {&w, &u, &v}) {
    TORCH_CHECK(other->scalar_type() == k.scalar_type() ||
                    (half && other != &v && other->scalar_type() == at::kFloat),
                "bi_wkv: w, u, k and v must have one type (w and u may be float32 beside half "
                "precision), got ",
                other->scalar_type(), " beside ", k.scalar_type());
    TORCH_CHECK(other->device() == k.device(), "bi_wkv: w, u, k and v must be on one device, got ",
                other->device(), " beside ", k.device());
  }
  TORCH_CHECK(split == kWkvExact || split == kWkvOfficial32 || split == kWkvOfficial64,
              "bi_wkv: split must be 0 (exact), 32 or 64 (official kernels), got ", split);
  TORCH_CHECK(!official_gradient || split != 0,
              "bi_wkv: official_gradient needs split 32 or 64, got split 0");
}

}  // namespace avocet::kernels

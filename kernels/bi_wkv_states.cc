// SPDX-License-Identifier: Apache-2.0
#include "kernels/bi_wkv_states.h"

#include <ATen/ATen.h>
#include <torch/library.h>

#include <vector>

#include "kernels/bi_wkv.h"
#include "kernels/bi_wkv_check.h"

namespace avocet::kernels {
namespace {

at::ScalarType StateType(const at::Tensor& k) {
  return k.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
}

void CheckBorder(const std::optional<WkvBorder>& border, const char* side, const at::Tensor& k) {
  if (!border) return;
  const std::vector<int64_t> wanted{k.size(0), k.size(2)};
  for (const at::Tensor* x : {&border->log_weight, &border->value}) {
    TORCH_CHECK(x->sizes() == at::IntArrayRef(wanted), "bi_wkv: the ", side, " border must be ",
                at::IntArrayRef(wanted), ", got ", x->sizes());
    TORCH_CHECK(x->scalar_type() == StateType(k), "bi_wkv: the ", side, " border must be ",
                StateType(k), ", got ", x->scalar_type());
    TORCH_CHECK(x->device() == k.device(), "bi_wkv: the ", side, " border must be on ", k.device(),
                ", got ", x->device());
  }
}

// The row as its neighbour sees it, over a distance of 0, 1, ... tokens from the border between.
WkvBorder Summary(const at::Tensor& w, const at::Tensor& k, const at::Tensor& v, bool to_the_left,
                  const std::optional<WkvBorder>& behind) {
  CheckBiWkv(w, w, k, v, kWkvExact, false);
  CheckBorder(behind, to_the_left ? "right" : "left", k);
  const auto type = StateType(k);
  const int64_t tokens = k.size(1);
  at::Tensor distance = at::arange(tokens, k.options().dtype(type)).view({1, tokens, 1});
  if (!to_the_left) distance = distance.flip(1);
  const at::Tensor decay = w.to(type);
  at::Tensor weights = k.to(type) - decay * distance, values = v.to(type);
  if (behind) {
    weights = at::cat({weights, (behind->log_weight - decay * tokens).unsqueeze(1)}, 1);
    values = at::cat({values, behind->value.unsqueeze(1)}, 1);
  }
  return {at::logsumexp(weights, 1), (at::softmax(weights, 1) * values).sum(1)};
}

std::optional<WkvBorder> BorderOf(const std::optional<at::Tensor>& log_weight,
                                  const std::optional<at::Tensor>& value, const char* side) {
  TORCH_CHECK(log_weight.has_value() == value.has_value(), "bi_wkv: the ", side,
              " border needs both its log_weight and its value, got one");
  if (!log_weight) return {};
  return WkvBorder{*log_weight, *value};
}

at::Tensor Between(const at::Tensor& w, const at::Tensor& u, const at::Tensor& k,
                   const at::Tensor& v, const std::optional<at::Tensor>& left_log_weight,
                   const std::optional<at::Tensor>& left_value,
                   const std::optional<at::Tensor>& right_log_weight,
                   const std::optional<at::Tensor>& right_value) {
  return BiWkvBetween(w, u, k, v, BorderOf(left_log_weight, left_value, "left"),
                      BorderOf(right_log_weight, right_value, "right"));
}

std::tuple<at::Tensor, at::Tensor> Border(const at::Tensor& w, const at::Tensor& k,
                                          const at::Tensor& v, bool to_the_left,
                                          const std::optional<at::Tensor>& log_weight,
                                          const std::optional<at::Tensor>& value) {
  const WkvBorder border =
      Summary(w, k, v, to_the_left, BorderOf(log_weight, value, to_the_left ? "right" : "left"));
  return {border.log_weight, border.value};
}

}  // namespace

at::Tensor BiWkvBetween(const at::Tensor& w, const at::Tensor& u, const at::Tensor& k,
                        const at::Tensor& v, const std::optional<WkvBorder>& left,
                        const std::optional<WkvBorder>& right) {
  CheckBiWkv(w, u, k, v, kWkvExact, false);
  CheckBorder(left, "left", k);
  CheckBorder(right, "right", k);
  if (!left && !right) return BiWkv(w, u, k, v);
  // A border is a token. Its own output is not wanted, and others see it at the right distance.
  const auto type = StateType(k);
  std::vector<at::Tensor> keys, values;
  if (left) {
    keys.push_back(left->log_weight.unsqueeze(1));
    values.push_back(left->value.unsqueeze(1));
  }
  keys.push_back(k.to(type));
  values.push_back(v.to(type));
  if (right) {
    keys.push_back(right->log_weight.unsqueeze(1));
    values.push_back(right->value.unsqueeze(1));
  }
  return BiWkv(w.to(type), u.to(type), at::cat(keys, 1), at::cat(values, 1))
      .narrow(1, left ? 1 : 0, k.size(1))
      .to(k.scalar_type());
}

WkvBorder WkvToTheRight(const at::Tensor& w, const at::Tensor& k, const at::Tensor& v,
                        const std::optional<WkvBorder>& left) {
  return Summary(w, k, v, false, left);
}

WkvBorder WkvToTheLeft(const at::Tensor& w, const at::Tensor& k, const at::Tensor& v,
                       const std::optional<WkvBorder>& right) {
  return Summary(w, k, v, true, right);
}

// Compositions of differentiable operators: one definition for all devices and for autograd.
TORCH_LIBRARY_FRAGMENT(avocet, library) {
  library.def(
      "bi_wkv_between(Tensor w, Tensor u, Tensor k, Tensor v, Tensor? left_log_weight=None,"
      " Tensor? left_value=None, Tensor? right_log_weight=None, Tensor? right_value=None) ->"
      " Tensor");
  library.def(
      "bi_wkv_border(Tensor w, Tensor k, Tensor v, bool to_the_left, Tensor? log_weight=None,"
      " Tensor? value=None) -> (Tensor, Tensor)");
}
TORCH_LIBRARY_IMPL(avocet, CompositeImplicitAutograd, library) {
  library.impl("bi_wkv_between", &Between);
  library.impl("bi_wkv_border", &Border);
}

}  // namespace avocet::kernels

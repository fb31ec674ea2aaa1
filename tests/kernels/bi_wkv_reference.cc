// SPDX-License-Identifier: Apache-2.0
#include "tests/kernels/bi_wkv_reference.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace avocet::test {
namespace {

// log-free weight of token i in output t, divided by e^{k_i}, and its derivative by w.
struct Weight {
  double value, by_w;
};

Weight ExactWeight(double w, double u, int64_t t, int64_t i) {
  if (i == t) return {std::exp(u), 0};
  const double distance = std::abs(t - i) - 1;
  return {std::exp(-w * distance), -distance * std::exp(-w * distance)};
}

Weight OfficialWeight(double w, double u, int64_t t, int64_t i, int64_t length) {
  const int64_t s = t / length * length;
  const auto decayed = [w](double distance) {
    return Weight{std::exp(-w * distance), -distance * std::exp(-w * distance)};
  };
  Weight result{0, 0};
  if (i < s) {
    result = decayed(t - i);
  } else if (i < t) {
    result = decayed(t - 1 - i);
  } else if (i == t) {
    result = {std::exp(u), 0};
  } else {
    result = decayed(i - t);
  }
  if (i > s && i <= t) {  // the residue of tokens that have left the future sum
    const double n = t - i;
    result.value += (1 - std::exp(w)) * std::exp(w * n);
    result.by_w += n * std::exp(w * n) - (n + 1) * std::exp(w * (n + 1));
  }
  return result;
}

}  // namespace

WkvReference ReferenceWkv(double w, double u, const std::vector<double>& k,
                          const std::vector<double>& v, const std::vector<double>& g, int64_t split,
                          bool official_gradient) {
  const int64_t n = k.size();
  const int64_t length = split ? (n + split - 1) / split : 1;
  const double shift = *std::max_element(k.begin(), k.end());
  std::vector<double> e(n);
  for (int64_t i = 0; i < n; ++i) e[i] = std::exp(k[i] - shift);
  const auto weight = [&](int64_t t, int64_t i) {
    return split ? OfficialWeight(w, u, t, i, length) : ExactWeight(w, u, t, i);
  };

  // The normaliser of the official epsilon follows the kernel's running maxima.
  std::vector<double> normaliser(n, -std::numeric_limits<double>::infinity());
  if (split) {
    double o1 = 0, o2 = 0;
    for (int64_t t = 0; t < n; ++t) {
      if (t % length == 0) {
        o1 = o2 = -1e38;
        for (int64_t i = t; i < n; ++i) o1 = std::max(o1, k[i] - w * (i - t));
        for (int64_t i = 0; i < t; ++i) o2 = std::max(o2, k[i] - w * (t - i));
      } else {
        o1 = std::max(o1 + w, k[t] + w);
        o2 = std::max(o2 - w, k[t - 1]);
      }
      normaliser[t] = std::max({o1, o2, u + k[t]});
    }
  }

  WkvReference r;
  r.y.resize(n);
  std::vector<double> den(n);
  for (int64_t t = 0; t < n; ++t) {
    double num = 0;
    for (int64_t i = 0; i < n; ++i) {
      const double a = weight(t, i).value * e[i];
      num += a * v[i];
      den[t] += a;
    }
    if (split) den[t] += 1e-6 * std::exp(normaliser[t] - shift);
    r.y[t] = num / den[t];
  }
  if (g.empty()) return r;
  r.gk.assign(n, 0);
  r.gv.assign(n, 0);
  for (int64_t t = 0; t < n; ++t) {
    const double p = g[t] / den[t];
    r.gu += p * std::exp(u) * e[t] * (v[t] - r.y[t]);
    for (int64_t i = 0; i < n; ++i) {
      const Weight own = weight(t, i);
      const double a = (official_gradient ? ExactWeight(w, u, t, i).value : own.value) * e[i];
      r.gv[i] += p * a;
      r.gk[i] += p * a * (v[i] - r.y[t]);
      r.gw += p * own.by_w * e[i] * (v[i] - r.y[t]);
    }
  }
  return r;
}

}  // namespace avocet::test

// SPDX-License-Identifier: Apache-2.0
#include "models/preprocess/scipy_zoom.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <type_traits>

#include "app/base/error.h"

namespace avocet::preprocess {
namespace {

constexpr int64_t kPrepad = 12;  // samples added on each side before filtering, as SciPy does
constexpr int64_t kCval = -1;    // tap that takes `cval`

// What happens along one axis: for each output sample the taps and their weights.
struct AxisPlan {
  int64_t n_in = 0;
  int64_t n_out = 0;
  int64_t pad = 0;
  int taps = 1;
  bool filter = false;
  bool half_sample = false;    // symmetry of the filter at the ends
  std::vector<int64_t> index;  // n_out * taps, into the padded line; kCval
  std::vector<double> weight;
  std::vector<uint8_t> outside;  // 1: the whole output sample is cval
};

// Coordinate outside [0, n - 1] brought inside; x itself when it is inside.
double MapCoordinate(double x, int64_t n, ZoomBoundary boundary) {
  const double last = static_cast<double>(n - 1);
  if (x >= 0 && x <= last) return x;
  switch (boundary) {
    case ZoomBoundary::kConstant:
    case ZoomBoundary::kGridConstant:
    case ZoomBoundary::kNearest:  // the taps are clamped, not the coordinate
      return x;
    case ZoomBoundary::kMirror: {
      if (n <= 1) return 0;
      const double period = 2 * last;
      x = std::abs(x);
      x -= period * std::floor(x / period);
      return x > last ? period - x : x;
    }
    case ZoomBoundary::kReflect: {
      const double size = static_cast<double>(n);
      const double period = 2 * size;
      double from_edge = std::abs(x + 0.5);
      from_edge -= period * std::floor(from_edge / period);
      if (from_edge > size) from_edge = period - from_edge;
      return from_edge - 0.5;
    }
  }
  return x;
}

// A tap outside the (padded) line of n samples.
int64_t MapTap(int64_t index, int64_t n, ZoomBoundary boundary) {
  if (index >= 0 && index < n) return index;
  switch (boundary) {
    case ZoomBoundary::kGridConstant:
      return kCval;
    case ZoomBoundary::kNearest:
      return index < 0 ? 0 : n - 1;
    case ZoomBoundary::kReflect: {
      const int64_t period = 2 * n;
      index = ((index % period) + period) % period;
      return index < n ? index : period - 1 - index;
    }
    case ZoomBoundary::kConstant:  // the spline goes on as a mirror image
    case ZoomBoundary::kMirror:
      break;
  }
  if (n == 1) return 0;
  const int64_t period = 2 * n - 2;
  index = ((index % period) + period) % period;
  return index < n ? index : period - index;
}

AxisPlan MakePlan(int64_t n_in, int64_t n_out, const ZoomOptions& options) {
  AxisPlan plan;
  plan.n_in = n_in;
  plan.n_out = n_out;
  plan.taps = options.order + 1;
  plan.filter = options.prefilter && options.order > 1;
  plan.half_sample =
      options.boundary == ZoomBoundary::kNearest || options.boundary == ZoomBoundary::kReflect;
  if (plan.filter && (options.boundary == ZoomBoundary::kNearest ||
                      options.boundary == ZoomBoundary::kGridConstant))
    plan.pad = kPrepad;
  plan.index.resize(static_cast<size_t>(n_out * plan.taps));
  plan.weight.resize(plan.index.size());
  plan.outside.assign(static_cast<size_t>(n_out), 0);

  double step = 1;
  if (options.grid_mode) {
    step = static_cast<double>(n_in) / static_cast<double>(n_out);
  } else if (n_out > 1) {
    step = static_cast<double>(n_in - 1) / static_cast<double>(n_out - 1);
  }
  const int64_t padded = n_in + 2 * plan.pad;
  for (int64_t j = 0; j < n_out; ++j) {
    double x = options.grid_mode ? (static_cast<double>(j) + 0.5) * step - 0.5
                                 : static_cast<double>(j) * step;
    if (options.boundary == ZoomBoundary::kConstant) {
      if (x < 0 || x > static_cast<double>(n_in - 1)) {
        plan.outside[j] = 1;
        continue;
      }
    }
    x = MapCoordinate(x + static_cast<double>(plan.pad), padded, options.boundary);
    int64_t* index = plan.index.data() + j * plan.taps;
    double* weight = plan.weight.data() + j * plan.taps;
    if (options.order == 0) {
      index[0] = MapTap(static_cast<int64_t>(std::floor(x + 0.5)), padded, options.boundary);
      weight[0] = 1;
      continue;
    }
    const double floor = std::floor(x);
    const double f = x - floor;
    const double g = 1 - f;
    const int64_t start = static_cast<int64_t>(floor) - options.order / 2;
    if (options.order == 1) {
      weight[0] = g;
      weight[1] = f;
    } else {
      weight[0] = g * g * g / 6;
      weight[1] = (f * f * (f - 2) * 3 + 4) / 6;
      weight[2] = (g * g * (g - 2) * 3 + 4) / 6;
      weight[3] = 1 - weight[0] - weight[1] - weight[2];
    }
    for (int t = 0; t < plan.taps; ++t) index[t] = MapTap(start + t, padded, options.boundary);
  }
  return plan;
}

// Lines are handled in groups of kLanes side by side, sample x of lane c at line[x * kLanes + c],
// so that the recursive filter, which is a chain along the line, is vectorised across lines.
constexpr int kLanes = 16;

void FilterLines(double* line, int64_t n, bool half_sample) {
  if (n <= 1) return;
  const double pole = std::sqrt(3.0) - 2.0;
  constexpr double kGain = 6.0;
  for (int64_t x = 0; x < n * kLanes; ++x) line[x] *= kGain;
  // Powers of the pole beyond the 64th are below the last bit of any sum (0.27^64 = 3e-37).
  const int64_t terms = n > 80 ? 64 : n;
  double first[kLanes];
  if (half_sample) {
    // Sum over the signal reflected about the edge before sample 0: s(-1-m) = s(m), period 2n. In
    // the last term SciPy takes the sum so far in the place of sample 0 (a factor of z^(2n-1),
    // visible only on short lines); followed, because the vectors are the judge.
    const double period = std::pow(pole, static_cast<double>(n));
    const double* last = line + (n - 1) * kLanes;
    double sum[kLanes];
    for (int c = 0; c < kLanes; ++c) sum[c] = line[c] + period * last[c];
    double near = pole;
    for (int64_t x = 1; x < terms; ++x) {
      const double* forward = line + x * kLanes;
      const double* backward = line + (n - 1 - x) * kLanes;
      if (x == n - 1) backward = sum;
      for (int c = 0; c < kLanes; ++c) sum[c] += near * (forward[c] + period * backward[c]);
      near *= pole;
    }
    const double scale = pole / (1 - period * period);
    for (int c = 0; c < kLanes; ++c) first[c] = line[c] + scale * sum[c];
  } else {
    // Mirror about sample 0: period 2n - 2.
    const double* last = line + (n - 1) * kLanes;
    const double to_last = std::pow(pole, static_cast<double>(n - 1));
    for (int c = 0; c < kLanes; ++c) first[c] = line[c] + to_last * last[c];
    double near = pole;
    double far = std::pow(pole, static_cast<double>(2 * n - 3));
    for (int64_t x = 1; x < std::min(terms, n - 1); ++x) {
      const double w = near + far;
      for (int c = 0; c < kLanes; ++c) first[c] += w * line[x * kLanes + c];
      near *= pole;
      far /= pole;
    }
    const double scale = 1 / (1 - std::pow(pole, static_cast<double>(2 * n - 2)));
    for (int c = 0; c < kLanes; ++c) first[c] *= scale;
  }
  for (int c = 0; c < kLanes; ++c) line[c] = first[c];
  for (int64_t x = 1; x < n; ++x) {
    double* s = line + x * kLanes;
    for (int c = 0; c < kLanes; ++c) s[c] += pole * s[c - kLanes];
  }
  double* last = line + (n - 1) * kLanes;
  if (half_sample) {
    for (int c = 0; c < kLanes; ++c) last[c] *= pole / (pole - 1);
  } else {
    const double scale = pole / (pole * pole - 1);
    for (int c = 0; c < kLanes; ++c) last[c] = scale * (last[c] + pole * last[c - kLanes]);
  }
  for (int64_t x = n - 2; x >= 0; --x) {
    double* s = line + x * kLanes;
    for (int c = 0; c < kLanes; ++c) s[c] = pole * (s[c + kLanes] - s[c]);
  }
}

// One axis of an array seen as [outer][n_in][inner] -> [outer][n_out][inner].
template <typename In>
void ApplyAxis(const In* in, int64_t outer, int64_t inner, const AxisPlan& plan,
               const ZoomOptions& options, double* out) {
  const int64_t padded = plan.n_in + 2 * plan.pad;
  std::vector<double> line(static_cast<size_t>(padded * kLanes));
  const int64_t columns = outer * inner;
  for (int64_t q = 0; q < columns; q += kLanes) {
    const int lanes = static_cast<int>(std::min<int64_t>(kLanes, columns - q));
    int64_t from[kLanes], to[kLanes];
    for (int c = 0; c < lanes; ++c) {
      const int64_t o = (q + c) / inner, i = (q + c) % inner;
      from[c] = o * plan.n_in * inner + i;
      to[c] = o * plan.n_out * inner + i;
    }
    // Not told by `from` alone: lines of one sample lie side by side only until they are zoomed.
    const bool side_by_side =
        from[lanes - 1] - from[0] == lanes - 1 && to[lanes - 1] - to[0] == lanes - 1;
    if (lanes < kLanes) std::fill(line.begin(), line.end(), 0.0);
    for (int64_t x = 0; x < plan.n_in; ++x) {
      double* s = line.data() + (x + plan.pad) * kLanes;
      if (side_by_side) {
        const In* source = in + from[0] + x * inner;
        for (int c = 0; c < lanes; ++c) s[c] = static_cast<double>(source[c]);
      } else {
        for (int c = 0; c < lanes; ++c) s[c] = static_cast<double>(in[from[c] + x * inner]);
      }
    }
    for (int64_t x = 0; x < plan.pad; ++x) {
      double* low = line.data() + x * kLanes;
      double* high = line.data() + (padded - 1 - x) * kLanes;
      const double* first = line.data() + plan.pad * kLanes;
      const double* last = line.data() + (plan.pad + plan.n_in - 1) * kLanes;
      for (int c = 0; c < kLanes; ++c) {
        const bool constant = options.boundary == ZoomBoundary::kGridConstant;
        low[c] = constant ? options.cval : first[c];
        high[c] = constant ? options.cval : last[c];
      }
    }
    if (plan.filter) FilterLines(line.data(), padded, plan.half_sample);
    for (int64_t j = 0; j < plan.n_out; ++j) {
      double value[kLanes] = {};
      if (!plan.outside[j]) {
        for (int t = 0; t < plan.taps; ++t) {
          const double w = plan.weight[j * plan.taps + t];
          const int64_t index = plan.index[j * plan.taps + t];
          if (index == kCval) {
            for (int c = 0; c < kLanes; ++c) value[c] += w * options.cval;
          } else {
            const double* s = line.data() + index * kLanes;
            for (int c = 0; c < kLanes; ++c) value[c] += w * s[c];
          }
        }
      }
      if (side_by_side) {
        std::copy(value, value + lanes, out + to[0] + j * inner);
      } else {
        for (int c = 0; c < lanes; ++c) out[to[c] + j * inner] = value[c];
      }
    }
  }
}

template <typename T>
T ConvertTo(double value) {
  if constexpr (std::is_floating_point_v<T>) {
    return static_cast<T>(value);
  } else {
    const double rounded = value > 0 ? std::floor(value + 0.5) : std::ceil(value - 0.5);
    const double low = static_cast<double>(std::numeric_limits<T>::lowest());
    const double high = static_cast<double>(std::numeric_limits<T>::max());
    if (!(rounded > low)) return std::numeric_limits<T>::lowest();
    if (rounded >= high) return std::numeric_limits<T>::max();
    return static_cast<T>(rounded);
  }
}

int64_t Product(const std::vector<int64_t>& shape) {
  int64_t n = 1;
  for (const int64_t s : shape) n *= s;
  return n;
}

// Order 0 copies samples, so that 64-bit labels survive.
template <typename T>
void CopyNearest(const T* input, const std::vector<int64_t>& shape,
                 const std::vector<AxisPlan>& plans, double cval, T* out) {
  int64_t in_size[3] = {1, 1, 1};
  const AxisPlan* plan[3] = {nullptr, nullptr, nullptr};
  const size_t skip = 3 - shape.size();
  for (size_t a = 0; a < shape.size(); ++a) {
    in_size[skip + a] = shape[a];
    plan[skip + a] = &plans[a];
  }
  const auto count = [&](int a) { return plan[a] ? plan[a]->n_out : 1; };
  const auto source = [&](int a, int64_t j) {
    if (!plan[a]) return int64_t{0};
    return plan[a]->outside[j] ? kCval : plan[a]->index[j];
  };
  const T outside = ConvertTo<T>(cval);
  for (int64_t z = 0; z < count(0); ++z) {
    const int64_t sz = source(0, z);
    for (int64_t y = 0; y < count(1); ++y) {
      const int64_t sy = source(1, y);
      const T* row = sz < 0 || sy < 0 ? nullptr : input + (sz * in_size[1] + sy) * in_size[2];
      for (int64_t x = 0; x < count(2); ++x) {
        const int64_t sx = source(2, x);
        *out++ = row == nullptr || sx < 0 ? outside : row[sx];
      }
    }
  }
}

template <typename T>
void ZoomWithPlans(const T* input, std::vector<int64_t> shape, const std::vector<AxisPlan>& plans,
                   const ZoomOptions& options, T* output) {
  if (options.order == 0) {
    CopyNearest(input, shape, plans, options.cval, output);
    return;
  }
  std::vector<double> current, next;
  for (size_t a = 0; a < plans.size(); ++a) {
    int64_t outer = 1, inner = 1;
    for (size_t b = 0; b < a; ++b) outer *= shape[b];
    for (size_t b = a + 1; b < shape.size(); ++b) inner *= shape[b];
    next.resize(static_cast<size_t>(outer * plans[a].n_out * inner));
    if (a == 0) {
      ApplyAxis(input, outer, inner, plans[a], options, next.data());
    } else {
      ApplyAxis(current.data(), outer, inner, plans[a], options, next.data());
    }
    shape[a] = plans[a].n_out;
    std::swap(current, next);
  }
  // Samples outside on any axis are cval, whatever the other axes say.
  const size_t last = plans.size() - 1;
  const int64_t columns = plans[last].n_out;
  const int64_t rows = Product(shape) / std::max<int64_t>(columns, 1);
  const T outside = ConvertTo<T>(options.cval);
  for (int64_t r = 0; r < rows; ++r) {
    bool row_outside = false;
    int64_t rest = r;
    for (size_t a = last; a-- > 0;) {
      row_outside = row_outside || plans[a].outside[rest % shape[a]];
      rest /= shape[a];
    }
    for (int64_t x = 0; x < columns; ++x)
      output[r * columns + x] =
          row_outside || plans[last].outside[x] ? outside : ConvertTo<T>(current[r * columns + x]);
  }
}

}  // namespace

int64_t ZoomedSize(int64_t size, double factor) {
  const double product = static_cast<double>(size) * factor;
  const double rounded = std::nearbyint(product);  // half to even in the default rounding mode
  if (!(rounded >= 0 && rounded < 2147483648.0))
    throw OptionError("zoom factor " + std::to_string(factor) + " turns a side of " +
                      std::to_string(size) + " into a size that cannot be; choose another factor");
  return static_cast<int64_t>(rounded);
}

template <typename T>
ZoomResult<T> Zoom(const T* input, const std::vector<int64_t>& shape,
                   const std::vector<double>& factors, const ZoomOptions& options) {
  if (options.order != 0 && options.order != 1 && options.order != 3)
    throw OptionError("zoom order " + std::to_string(options.order) + " is not one of 0, 1, 3");
  if (shape.empty() || shape.size() > 3 || shape.size() != factors.size())
    throw OptionError("zoom needs one to three axes and one factor an axis");
  for (const int64_t n : shape)
    if (n < 1) throw OptionError("zoom cannot resample an empty array");
  ZoomResult<T> result;
  std::vector<AxisPlan> plans;
  bool identity = options.prefilter;
  for (size_t a = 0; a < shape.size(); ++a) {
    result.shape.push_back(ZoomedSize(shape[a], factors[a]));
    identity = identity && factors[a] == 1;
  }
  result.data.resize(static_cast<size_t>(Product(result.shape)));
  if (identity) {
    std::copy(input, input + result.data.size(), result.data.begin());
    return result;
  }
  if (result.data.empty()) return result;
  for (size_t a = 0; a < shape.size(); ++a)
    plans.push_back(MakePlan(shape[a], result.shape[a], options));
  ZoomWithPlans(input, shape, plans, options, result.data.data());
  return result;
}

void Zoom2D(const float* input, int64_t rows, int64_t columns, int64_t out_rows,
            int64_t out_columns, float* output) {
  if (rows == out_rows && columns == out_columns) {
    std::memcpy(output, input, sizeof(float) * static_cast<size_t>(rows * columns));
    return;
  }
  const ZoomOptions options;
  ZoomWithPlans(input, {rows, columns},
                {MakePlan(rows, out_rows, options), MakePlan(columns, out_columns, options)},
                options, output);
}

template <typename T>
void Zoom2DNearest(const T* input, int64_t rows, int64_t columns, int64_t out_rows,
                   int64_t out_columns, T* output) {
  ZoomOptions options;
  options.order = 0;
  CopyNearest(input, {rows, columns},
              {MakePlan(rows, out_rows, options), MakePlan(columns, out_columns, options)},
              options.cval, output);
}

// NOLINTBEGIN(bugprone-macro-parentheses): T is a type
#define AVOCET_ZOOM_TYPE(T)                                                                      \
  template ZoomResult<T> Zoom(const T*, const std::vector<int64_t>&, const std::vector<double>&, \
                              const ZoomOptions&);                                               \
  template void Zoom2DNearest(const T*, int64_t, int64_t, int64_t, int64_t, T*);
AVOCET_ZOOM_TYPE(float)
AVOCET_ZOOM_TYPE(double)
AVOCET_ZOOM_TYPE(uint8_t)
AVOCET_ZOOM_TYPE(int8_t)
AVOCET_ZOOM_TYPE(uint16_t)
AVOCET_ZOOM_TYPE(int16_t)
AVOCET_ZOOM_TYPE(uint32_t)
AVOCET_ZOOM_TYPE(int32_t)
AVOCET_ZOOM_TYPE(int64_t)
#undef AVOCET_ZOOM_TYPE
// NOLINTEND(bugprone-macro-parentheses)

}  // namespace avocet::preprocess

// SPDX-License-Identifier: Apache-2.0
#include "models/checkpoint/convert.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "app/base/error.h"

namespace avocet::models {
namespace {

// A small IEEE 754 format of 1 sign bit, `exponent_bits` and `fraction_bits`.
template <int exponent_bits, int fraction_bits>
struct SmallFloat {
  static constexpr int kBias = (1 << (exponent_bits - 1)) - 1;
  static constexpr uint16_t kInfinity = ((1u << exponent_bits) - 1) << fraction_bits;

  static uint16_t FromDouble(double value) {
    const uint16_t sign = std::signbit(value) ? 0x8000 : 0;
    if (std::isnan(value)) return sign | kInfinity | (1u << (fraction_bits - 1));
    if (std::isinf(value)) return sign | kInfinity;
    const double magnitude = std::fabs(value);
    if (magnitude == 0) return sign;
    int exponent = 0;
    std::frexp(magnitude, &exponent);  // magnitude = f * 2^exponent, f in [0.5, 1)
    // Below the smallest normal number the spacing no longer shrinks.
    const int scale = std::max(exponent - 1, 1 - kBias) - fraction_bits;
    const double units = std::ldexp(magnitude, -scale);  // exact: a power of two
    double rounded = std::floor(units);
    const double rest = units - rounded;
    if (rest > 0.5 || (rest == 0.5 && std::fmod(rounded, 2) != 0)) rounded += 1;
    // Units counted from the spacing of this binade; a carry moves into the exponent by itself.
    const auto steps = static_cast<uint64_t>(rounded);
    const int biased = scale + fraction_bits + kBias;  // 1 for subnormals and the first binade
    const uint64_t bits = (static_cast<uint64_t>(biased - 1) << fraction_bits) + steps;
    return sign | static_cast<uint16_t>(std::min<uint64_t>(bits, kInfinity));
  }

  static double ToDouble(uint16_t bits) {
    const double sign = bits & 0x8000 ? -1 : 1;
    const int exponent = (bits & 0x7fff) >> fraction_bits;
    const int fraction = bits & ((1 << fraction_bits) - 1);
    if (exponent == (1 << exponent_bits) - 1) {
      return fraction ? std::numeric_limits<double>::quiet_NaN()
                      : sign * std::numeric_limits<double>::infinity();
    }
    if (exponent == 0) return sign * std::ldexp(fraction, 1 - kBias - fraction_bits);
    return sign * std::ldexp(fraction + (1 << fraction_bits), exponent - kBias - fraction_bits);
  }
};

using Float16 = SmallFloat<5, 10>;
using BFloat16 = SmallFloat<8, 7>;

template <typename T>
T ElementAt(const StoredTensor& tensor, size_t i) {
  T value;
  std::memcpy(&value, tensor.data.data() + i * sizeof value, sizeof value);
  return value;
}

double DoubleAt(const StoredTensor& tensor, size_t i) {
  switch (tensor.type) {
    case TensorType::kFloat64:
      return ElementAt<double>(tensor, i);
    case TensorType::kFloat32:
      return ElementAt<float>(tensor, i);
    case TensorType::kFloat16:
      return Float16::ToDouble(ElementAt<uint16_t>(tensor, i));
    case TensorType::kBFloat16:
      return BFloat16::ToDouble(ElementAt<uint16_t>(tensor, i));
    case TensorType::kInt64:
      return static_cast<double>(ElementAt<int64_t>(tensor, i));
    case TensorType::kInt32:
      return ElementAt<int32_t>(tensor, i);
    case TensorType::kInt16:
      return ElementAt<int16_t>(tensor, i);
    case TensorType::kInt8:
      return ElementAt<int8_t>(tensor, i);
    case TensorType::kUInt8:
    case TensorType::kBool:
      return ElementAt<uint8_t>(tensor, i);
  }
  throw ModelError("unknown tensor type");
}

template <typename T>
void Store(std::vector<std::byte>& data, size_t i, T value) {
  std::memcpy(data.data() + i * sizeof value, &value, sizeof value);
}

size_t Count(const StoredTensor& tensor) { return tensor.data.size() / SizeOf(tensor.type); }

}  // namespace

uint16_t Float16FromDouble(double value) { return Float16::FromDouble(value); }
uint16_t BFloat16FromDouble(double value) { return BFloat16::FromDouble(value); }
double DoubleFromFloat16(uint16_t bits) { return Float16::ToDouble(bits); }
double DoubleFromBFloat16(uint16_t bits) { return BFloat16::ToDouble(bits); }

std::vector<double> ToDoubles(const StoredTensor& tensor) {
  std::vector<double> values(Count(tensor));
  for (size_t i = 0; i < values.size(); ++i) values[i] = DoubleAt(tensor, i);
  return values;
}

StoredTensor ConvertFloat(const StoredTensor& tensor, TensorType type, int64_t* overflowed) {
  if (!IsFloating(tensor.type) || !IsFloating(type)) {
    throw ModelError(std::string("a tensor of type ") + NameOf(tensor.type) +
                     " is not converted to " + NameOf(type));
  }
  *overflowed = 0;
  if (tensor.type == type) return tensor;
  StoredTensor out;
  out.type = type;
  out.shape = tensor.shape;
  const size_t count = Count(tensor);
  out.data.resize(count * SizeOf(type));
  for (size_t i = 0; i < count; ++i) {
    const double value = DoubleAt(tensor, i);
    bool infinite = false;
    switch (type) {
      case TensorType::kFloat64:
        Store(out.data, i, value);
        break;
      case TensorType::kFloat32: {
        // A double beyond the range of float must not be cast (undefined); rounding is to nearest,
        // so half a unit above the largest float is where infinity begins.
        constexpr double kLimit = 0x1.ffffffp127;
        float narrow = 0;
        if (std::fabs(value) >= kLimit) {
          narrow = std::copysign(std::numeric_limits<float>::infinity(),
                                 static_cast<float>(std::signbit(value) ? -1 : 1));
        } else {
          narrow = static_cast<float>(value);
        }
        infinite = std::isinf(narrow);
        Store(out.data, i, narrow);
        break;
      }
      case TensorType::kFloat16: {
        const uint16_t bits = Float16::FromDouble(value);
        infinite = (bits & 0x7fff) == Float16::kInfinity;
        Store(out.data, i, bits);
        break;
      }
      default: {
        const uint16_t bits = BFloat16::FromDouble(value);
        infinite = (bits & 0x7fff) == BFloat16::kInfinity;
        Store(out.data, i, bits);
        break;
      }
    }
    if (infinite && std::isfinite(value)) ++*overflowed;
  }
  return out;
}

ValueSummary Summarise(const StoredTensor& tensor) {
  ValueSummary summary;
  bool any = false;
  const size_t count = Count(tensor);
  for (size_t i = 0; i < count; ++i) {
    const double value = DoubleAt(tensor, i);
    if (std::isnan(value)) {
      ++summary.nan;
    } else if (std::isinf(value)) {
      ++summary.infinite;
    } else {
      summary.min = any ? std::min(summary.min, value) : value;
      summary.max = any ? std::max(summary.max, value) : value;
      any = true;
    }
  }
  return summary;
}

}  // namespace avocet::models

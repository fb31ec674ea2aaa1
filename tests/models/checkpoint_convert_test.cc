// SPDX-License-Identifier: Apache-2.0
#include "models/checkpoint/convert.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <random>

#include "app/base/error.h"

namespace avocet::models {
namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();

StoredTensor Floats(const std::vector<float>& values) {
  StoredTensor tensor;
  tensor.shape = {static_cast<int64_t>(values.size())};
  tensor.data.resize(values.size() * 4);
  std::memcpy(tensor.data.data(), values.data(), tensor.data.size());
  return tensor;
}

TEST(Float16, EveryNumberSurvives) {
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    const double value = DoubleFromFloat16(static_cast<uint16_t>(bits));
    if (std::isnan(value)) {
      EXPECT_TRUE(std::isnan(DoubleFromFloat16(Float16FromDouble(value))));
    } else {
      ASSERT_EQ(Float16FromDouble(value), bits) << value;
    }
    const double brain = DoubleFromBFloat16(static_cast<uint16_t>(bits));
    if (!std::isnan(brain)) {
      ASSERT_EQ(BFloat16FromDouble(brain), bits) << brain;
    }
  }
}

// Between each pair of neighbours: below the middle goes down, above goes up, the middle to even.
TEST(Float16, RoundsToNearestEven) {
  for (uint32_t bits = 0; bits < 0x7bff; ++bits) {
    const double low = DoubleFromFloat16(static_cast<uint16_t>(bits));
    const double high = DoubleFromFloat16(static_cast<uint16_t>(bits + 1));
    const double middle = (low + high) / 2;
    ASSERT_EQ(Float16FromDouble(std::nextafter(middle, low)), bits);
    ASSERT_EQ(Float16FromDouble(std::nextafter(middle, high)), bits + 1);
    ASSERT_EQ(Float16FromDouble(middle), bits + (bits & 1));
    ASSERT_EQ(Float16FromDouble(-middle), 0x8000 + bits + (bits & 1));
  }
}

TEST(Float16, KnownBits) {
  EXPECT_EQ(Float16FromDouble(1.0), 0x3c00);
  EXPECT_EQ(Float16FromDouble(-2.0), 0xc000);
  EXPECT_EQ(Float16FromDouble(65504), 0x7bff);
  EXPECT_EQ(Float16FromDouble(65519.99), 0x7bff);
  EXPECT_EQ(Float16FromDouble(65520), 0x7c00);
  EXPECT_EQ(Float16FromDouble(0x1p-24), 0x0001);
  EXPECT_EQ(Float16FromDouble(0x1p-25), 0x0000);
  EXPECT_EQ(Float16FromDouble(0x1.8p-25), 0x0001);
  EXPECT_EQ(Float16FromDouble(0x1p-14), 0x0400);
  EXPECT_EQ(Float16FromDouble(kInf), 0x7c00);
  EXPECT_EQ(Float16FromDouble(-0.0), 0x8000);
  EXPECT_EQ(Float16FromDouble(1e300), 0x7c00);
  EXPECT_EQ(Float16FromDouble(5e-324), 0x0000);
  EXPECT_EQ(BFloat16FromDouble(1.0), 0x3f80);
  EXPECT_EQ(BFloat16FromDouble(3.140625), 0x4049);
  EXPECT_EQ(BFloat16FromDouble(1 + 0x1p-8), 0x3f80);
  EXPECT_EQ(BFloat16FromDouble(1 + 0x3p-8), 0x3f82);
  EXPECT_EQ(BFloat16FromDouble(3.4e38), 0x7f80);
}

TEST(ConvertFloat, OneRoundingFromDouble) {
  // Through float this would round twice: first to the middle of two float16 numbers, then to even.
  const double value = 1 + 0x1p-11 + 0x1p-40;
  EXPECT_EQ(Float16FromDouble(static_cast<double>(static_cast<float>(value))), 0x3c00);
  StoredTensor tensor;
  tensor.type = TensorType::kFloat64;
  tensor.data.resize(8);
  std::memcpy(tensor.data.data(), &value, 8);
  int64_t overflowed = -1;
  const StoredTensor half = ConvertFloat(tensor, TensorType::kFloat16, &overflowed);
  uint16_t bits = 0;
  std::memcpy(&bits, half.data.data(), 2);
  EXPECT_EQ(bits, 0x3c01);
  EXPECT_EQ(overflowed, 0);
}

TEST(ConvertFloat, CountsOverflowButNotInfinity) {
  int64_t overflowed = 0;
  const StoredTensor tensor =
      Floats({1, -70000, std::numeric_limits<float>::infinity(), 1e30f, std::nanf("")});
  const StoredTensor half = ConvertFloat(tensor, TensorType::kFloat16, &overflowed);
  EXPECT_EQ(overflowed, 2);
  EXPECT_EQ(half.shape, tensor.shape);
  const std::vector<double> values = ToDoubles(half);
  EXPECT_EQ(values[0], 1);
  EXPECT_EQ(values[1], -kInf);
  EXPECT_TRUE(std::isnan(values[4]));
  ConvertFloat(tensor, TensorType::kBFloat16, &overflowed);
  EXPECT_EQ(overflowed, 0);
}

TEST(ConvertFloat, RefusesIntegers) {
  StoredTensor tensor;
  tensor.type = TensorType::kInt64;
  tensor.data.resize(8);
  int64_t overflowed = 0;
  EXPECT_THROW(ConvertFloat(tensor, TensorType::kFloat16, &overflowed), ModelError);
}

TEST(ConvertFloat, FloatAndBackIsExactForHalf) {
  std::mt19937 random(7);
  std::normal_distribution<float> normal;
  std::vector<float> values(1000);
  for (float& value : values) {
    value = static_cast<float>(DoubleFromFloat16(Float16FromDouble(normal(random))));
  }
  int64_t overflowed = 0;
  const StoredTensor start = Floats(values);
  const StoredTensor half = ConvertFloat(start, TensorType::kFloat16, &overflowed);
  EXPECT_TRUE(ConvertFloat(half, TensorType::kFloat32, &overflowed).data == start.data);
}

TEST(Summarise, CountsAndRange) {
  const ValueSummary summary =
      Summarise(Floats({3, std::nanf(""), -2, std::numeric_limits<float>::infinity(), 0}));
  EXPECT_EQ(summary.nan, 1);
  EXPECT_EQ(summary.infinite, 1);
  EXPECT_EQ(summary.min, -2);
  EXPECT_EQ(summary.max, 3);
}

}  // namespace
}  // namespace avocet::models

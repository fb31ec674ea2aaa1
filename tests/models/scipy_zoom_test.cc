// SPDX-License-Identifier: Apache-2.0
#include "models/preprocess/scipy_zoom.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "app/base/error.h"
#include "tests/models/metrics/parity_support.h"
#include "tests/support/test_support.h"

namespace avocet {
namespace {

using namespace preprocess;

std::vector<double> Line(const std::vector<double>& in, int64_t n_out, int order) {
  ZoomOptions options;
  options.order = order;
  const double factor = static_cast<double>(n_out) / static_cast<double>(in.size());
  const auto out = Zoom(in.data(), {static_cast<int64_t>(in.size())}, {factor}, options);
  EXPECT_EQ(out.shape[0], n_out);
  return out.data;
}

void ExpectLine(const std::vector<double>& actual, const std::vector<double>& expected) {
  ASSERT_EQ(actual.size(), expected.size());
  for (size_t n = 0; n < actual.size(); ++n) EXPECT_NEAR(actual[n], expected[n], 6e-10) << n;
}

// rwkv_unet.md, B.2.
TEST(ScipyZoom, OneAxis) {
  const std::vector<double> squares{0, 1, 4, 9, 16, 25};
  ExpectLine(Line(squares, 4, 3), {0, 2.745879851, 10.806308701, 25});
  ExpectLine(Line(squares, 9, 3), {0, 0.397633822, 1.546800239, 3.496654456, 6.363636364,
                                   9.660305772, 13.652063397, 20.412025269, 25});
  ExpectLine(Line(squares, 11, 3), {0, 0.255980861, 1, 2.220095694, 4, 6.363636364, 9, 11.825358852,
                                    16, 21.834928230, 25});
  ExpectLine(Line(squares, 4, 0), {0, 4, 9, 25});
  ExpectLine(Line(squares, 9, 0), {0, 1, 1, 4, 9, 9, 16, 16, 25});
  ExpectLine(Line(squares, 11, 0), {0, 1, 1, 4, 4, 9, 9, 16, 16, 25, 25});
  ExpectLine(Line({0, 1, 2, 3}, 8, 1), {0, 3. / 7, 6. / 7, 9. / 7, 12. / 7, 15. / 7, 18. / 7, 3});
}

// The strict out-of-range test in double: which sizes lose their last sample.
TEST(ScipyZoom, LastSampleOutOfRange) {
  const std::set<int> down{63,  115, 116, 124, 125, 229, 230, 231, 232, 247, 248, 249,
                           457, 459, 461, 463, 476, 478, 480, 493, 495, 497, 510, 512};
  for (int n = 60; n <= 700; ++n) {
    const std::vector<uint8_t> ones(static_cast<size_t>(n), 1);
    std::vector<uint8_t> out(224);
    Zoom2DNearest(ones.data(), int64_t{1}, n, 1, 224, out.data());
    EXPECT_EQ(out[222], 1) << n;
    EXPECT_EQ(out[223], down.count(n) ? 0 : 1) << n;
  }
  const std::vector<uint8_t> ones(224, 1);
  for (const int n : {74, 216, 218, 576, 699}) {
    std::vector<uint8_t> out(static_cast<size_t>(n));
    Zoom2DNearest(ones.data(), int64_t{1}, int64_t{224}, 1, n, out.data());
    EXPECT_EQ(out.back(), 0) << n;
  }
  std::vector<uint8_t> out(512);
  Zoom2DNearest(ones.data(), int64_t{1}, int64_t{224}, 1, 512, out.data());
  EXPECT_EQ(out.back(), 1);
}

TEST(ScipyZoom, SliceAgreesWithGeneralZoom) {
  std::vector<float> image(37 * 41);
  for (size_t n = 0; n < image.size(); ++n)
    image[n] = std::sin(0.37f * static_cast<float>(n * n % 101));
  std::vector<float> slice(56 * 29);
  Zoom2D(image.data(), 37, 41, 56, 29, slice.data());
  const auto general = Zoom(image.data(), {37, 41}, {56. / 37, 29. / 41});
  EXPECT_EQ(general.shape, (std::vector<int64_t>{56, 29}));
  EXPECT_EQ(general.data, slice);
  std::vector<float> same(image.size());
  Zoom2D(image.data(), 37, 41, 37, 41, same.data());
  EXPECT_EQ(same, image);
}

// Axes of one sample that grow: every column is repeated.
TEST(ScipyZoom, OneSampleGrows) {
  const std::vector<double> column{5, 6, 8, 9};
  for (const int order : {0, 1, 3}) {
    ZoomOptions options;
    options.order = order;
    const auto out = Zoom(column.data(), {4, 1}, {1.0, 3.0}, options);
    ASSERT_EQ(out.shape, (std::vector<int64_t>{4, 3}));
    for (int n = 0; n < 12; ++n)
      EXPECT_NEAR(out.data[n], column[n / 3], 1e-13) << order << " " << n;
  }
}

TEST(ScipyZoom, SizesRoundHalfToEven) {
  EXPECT_EQ(ZoomedSize(5, 0.5), 2);
  EXPECT_EQ(ZoomedSize(7, 0.5), 4);
  EXPECT_THROW(ZoomedSize(7, NAN), OptionError);
  EXPECT_THROW(ZoomedSize(7, -1), OptionError);
}

TEST(ScipyZoom, IntegersAreRoundedAndClipped) {
  // The spline of an impulse undershoots below 0, and overshoots above 255 between two high
  // samples.
  const std::vector<uint8_t> impulse{0, 0, 0, 255, 255, 0, 0, 0};
  const auto out = Zoom(impulse.data(), {8}, {2.5});
  EXPECT_EQ(*std::max_element(out.data.begin(), out.data.end()), 255);
  EXPECT_EQ(*std::min_element(out.data.begin(), out.data.end()), 0);
}

TEST(ScipyZoom, RefusesWhatItDoesNotDo) {
  const double x[2] = {0, 1};
  ZoomOptions options;
  options.order = 2;
  EXPECT_THROW(Zoom(x, {2}, {2.0}, options), OptionError);
  EXPECT_THROW(Zoom(x, {2}, {2.0, 1.0}), OptionError);
  EXPECT_THROW(Zoom(x, {0}, {2.0}), OptionError);
}

template <typename T>
void CheckVector(const nlohmann::json& entry, const test::SafeTensor& in,
                 const test::SafeTensor& out, const ZoomOptions& options) {
  const std::string id = entry.at("id");
  const std::vector<double> factors = entry.at("zoom");
  const auto input = in.As<T>();
  const auto expected = out.As<T>();
  const auto actual = Zoom(input.data(), in.shape, factors, options);
  ASSERT_EQ(actual.shape, out.shape) << id;
  std::set<int64_t> halves;
  for (const auto& at : entry.value("outputs_at_a_half", nlohmann::json::array())) {
    int64_t linear = 0;
    if (at.is_array())
      for (size_t a = 0; a < at.size(); ++a) linear = linear * out.shape[a] + at[a].get<int64_t>();
    else
      linear = at.get<int64_t>();
    halves.insert(linear);
  }
  double range = 0;
  for (const T v : expected) range = std::max(range, std::abs(static_cast<double>(v)));
  for (size_t n = 0; n < expected.size(); ++n) {
    const double e = static_cast<double>(expected[n]), a = static_cast<double>(actual.data[n]);
    double allowed = 0;
    if (std::is_same_v<T, double> && options.order > 0) allowed = 1e-13 * range;
    if (std::is_same_v<T, float> && options.order > 0)
      allowed = std::nextafter(std::abs(static_cast<float>(e)), INFINITY) -
                std::abs(static_cast<float>(e)) + 1e-13 * range;
    if (std::is_integral_v<T> && halves.count(static_cast<int64_t>(n))) allowed = 1;
    ASSERT_LE(std::abs(a - e), allowed) << id << " [" << n << "]: got " << a << ", expected " << e;
  }
}

TEST(ScipyZoom, AllVectors) {
  const auto folder = test::SharedData("parity/metrics/zoom");
  if (folder.empty()) GTEST_SKIP() << "no ../shared";
  const test::SafeTensors vectors(folder / "vectors.safetensors");
  const auto cases = test::ReadJson(folder / "manifest.json").at("cases");
  for (const auto& entry : cases) {
    const std::string id = entry.at("id"), dtype = entry.at("dtype"), mode = entry.at("mode");
    ZoomOptions options;
    options.order = entry.at("order");
    options.cval = entry.at("cval");
    options.prefilter = entry.at("prefilter");
    options.grid_mode = entry.at("grid_mode");
    options.boundary = mode == "nearest"         ? ZoomBoundary::kNearest
                       : mode == "mirror"        ? ZoomBoundary::kMirror
                       : mode == "reflect"       ? ZoomBoundary::kReflect
                       : mode == "grid-constant" ? ZoomBoundary::kGridConstant
                                                 : ZoomBoundary::kConstant;
    const auto in = vectors.Get(id + ".in"), out = vectors.Get(id + ".out");
    if (dtype == "float64") CheckVector<double>(entry, in, out, options);
    if (dtype == "float32") CheckVector<float>(entry, in, out, options);
    if (dtype == "uint8") CheckVector<uint8_t>(entry, in, out, options);
    if (dtype == "uint16") CheckVector<uint16_t>(entry, in, out, options);
    if (dtype == "int16") CheckVector<int16_t>(entry, in, out, options);
    if (dtype == "int32") CheckVector<int32_t>(entry, in, out, options);
    if (dtype == "int64") CheckVector<int64_t>(entry, in, out, options);
  }
  EXPECT_GE(cases.size(), 190u);
}

}  // namespace
}  // namespace avocet

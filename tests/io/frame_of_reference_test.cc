// SPDX-License-Identifier: Apache-2.0
#include "io/frame_of_reference.h"

#include <gtest/gtest.h>

namespace avocet::io {
namespace {

TEST(FrameOfReference, EveryPairOfStatements) {
  const struct {
    SpaceIdentity mask, image;
    SpaceMatch match;
    bool comparable;
  } kCases[] = {
      {{"1", {"a"}}, {"1", {"a"}}, SpaceMatch::kSame, true},
      {{"1", {"a", "b"}}, {"1", {"b"}}, SpaceMatch::kSame, true},
      {{"1", {"a"}}, {"1", {"b"}}, SpaceMatch::kOtherSeries, true},
      {{"1", {}}, {"1", {"b"}}, SpaceMatch::kSame, true},
      {{"1", {"a"}}, {"2", {"a"}}, SpaceMatch::kOtherFrame, false},
      {{"1", {"a"}}, {"2", {"b"}}, SpaceMatch::kOtherFrame, false},
      {{"1", {}}, {"2", {}}, SpaceMatch::kOtherFrame, false},
      {{"", {"a"}}, {"1", {"a"}}, SpaceMatch::kSame, true},
      {{"1", {"a"}}, {"", {"a"}}, SpaceMatch::kSame, true},
      {{"", {"a"}}, {"1", {"b"}}, SpaceMatch::kUnrelated, false},
      {{"1", {"a"}}, {"", {"b"}}, SpaceMatch::kUnrelated, false},
      {{"", {"a"}}, {"", {"b"}}, SpaceMatch::kUnrelated, false},
      {{"", {}}, {"1", {"b"}}, SpaceMatch::kUnknown, true},
      {{"1", {}}, {"", {"b"}}, SpaceMatch::kUnknown, true},
      {{"1", {"a"}}, {"", {}}, SpaceMatch::kUnknown, true},
  };
  for (const auto& item : kCases) {
    SCOPED_TRACE(DescribeMismatch(item.mask, item.image));
    EXPECT_EQ(CompareSpaces(item.mask, item.image), item.match);
    EXPECT_EQ(IsComparable(item.match), item.comparable);
  }
}

TEST(FrameOfReference, AMismatchNamesBothSides) {
  const std::string text = DescribeMismatch({"1.2", {"1.3", "1.4"}}, {"", {"1.5"}});
  for (const char* part : {"1.2", "1.3", "1 more", "1.5", "no frame of reference"})
    EXPECT_NE(text.find(part), std::string::npos) << text;
}

}  // namespace
}  // namespace avocet::io

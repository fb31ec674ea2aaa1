// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <functional>
#include <vector>

#include "tests/support/test_support.h"

namespace avocet::test {
namespace {

std::vector<std::function<void()>>& Seeders() {
  static std::vector<std::function<void()>> all;
  return all;
}

// A test gives the same numbers whatever ran before it in its program.
class SeedEachTest : public testing::EmptyTestEventListener {
  void OnTestStart(const testing::TestInfo&) override {
    std::srand(1);
    for (const auto& seed : Seeders()) seed();
  }
};

}  // namespace

void SeedBeforeEachTest(std::function<void()> seed) { Seeders().push_back(std::move(seed)); }

}  // namespace avocet::test

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  testing::UnitTest::GetInstance()->listeners().Append(new avocet::test::SeedEachTest);
  const int failed = RUN_ALL_TESTS();
  const auto* unit = testing::UnitTest::GetInstance();
  if (failed == 0) {
    std::error_code ignored;
    std::filesystem::remove_all(
        std::filesystem::temp_directory_path() / ("avocet_test_" + std::to_string(getpid())),
        ignored);
  }
  // ctest shows a program whose every test was skipped as skipped, not as passed.
  if (failed == 0 && unit->successful_test_count() == 0 && unit->skipped_test_count() > 0)
    return 77;
  return failed;
}

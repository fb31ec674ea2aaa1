// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace avocet::test {

// tests/data and data/ of the checkout.
std::filesystem::path TestData(const std::string& relative);
std::filesystem::path ShippedData(const std::string& relative);

// ../shared/<relative>; empty when the folder is not there. Tests over it begin with
//   const auto folder = SharedData("parity/rwkv_unet"); if (folder.empty()) GTEST_SKIP();
std::filesystem::path SharedData(const std::string& relative);

// A folder of its own for the running test, removed when the test passed.
std::filesystem::path TemporaryFolder();

// The built `avocet` binary, for tests that start it themselves.
std::filesystem::path AvocetBinary();

// `seed` is called before each test: it resets a generator of random numbers.
void SeedBeforeEachTest(std::function<void()> seed);

struct CommandResult {
  int exit_code = -1;
  std::string out;
  std::string err;
};
// Runs the built `avocet` binary with `arguments` (no shell).
CommandResult RunAvocet(const std::vector<std::string>& arguments, double timeout_seconds = 240);

}  // namespace avocet::test

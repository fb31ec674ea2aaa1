// SPDX-License-Identifier: Apache-2.0
#pragma once

// What the tests against ../shared/parity/fs_rwkv have in common.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>

#include "models/fs_rwkv/load_fs_rwkv.h"
#include "tests/support/test_support.h"

namespace avocet::models {

class FsRwkvParity : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = test::SharedData("parity/fs_rwkv");
    if (folder_.empty()) GTEST_SKIP() << "../shared/parity is not here";
  }

  static at::Tensor Tensor(const TensorFile& file, const std::string& name) {
    const StoredTensor* stored = file.Find(name);
    if (stored == nullptr) throw std::runtime_error("no tensor " + name);
    return ToTensor(*stored);
  }
  TensorFile File(const std::string& name) const { return ReadTensorFile(folder_ / name); }
  nlohmann::json Json(const std::string& name) const {
    return nlohmann::json::parse(std::ifstream(folder_ / name));
  }

  std::filesystem::path folder_;
};

inline double MaxDifference(const at::Tensor& got, const at::Tensor& want) {
  EXPECT_EQ(got.sizes(), want.sizes());
  if (got.sizes() != want.sizes()) return 1e30;
  return (got.detach().to(at::kDouble) - want.to(at::kDouble)).abs().max().item<double>();
}

// Relative to the largest entry of `want`.
inline double RelativeDifference(const at::Tensor& got, const at::Tensor& want) {
  return MaxDifference(got, want) /
         std::max(1e-30, want.to(at::kDouble).abs().max().item<double>());
}

}  // namespace avocet::models

// SPDX-License-Identifier: Apache-2.0
#include "app/core/doctor.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>

#include "app/core/shipped.h"
#include "tests/app/random_model.h"
#include "tests/support/test_support.h"

namespace avocet::core {
namespace {
namespace fs = std::filesystem;

class Environment {
 public:
  Environment(const char* name, const std::string& value) : name_(name) {
    setenv(name, value.c_str(), 1);
  }
  ~Environment() { unsetenv(name_); }

 private:
  const char* name_;
};

TEST(Doctor, ReportsMachineEngineAndModels) {
  const fs::path good = test::WriteRandomModel(test::ExampleCard(), "good.safetensors");
  std::ofstream(good.parent_path() / "broken.safetensors") << "not a model";
  const Environment models("AVOCET_MODELS", "/nowhere:" + good.parent_path().string());
  const auto result = test::RunAvocet({"doctor", "--json", "-q"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const auto json = nlohmann::json::parse(result.out);
  EXPECT_GE(json["cpu"]["usable_cores"].get<int>(), 1);
  EXPECT_GT(json["memory_bytes"]["installed"].get<int64_t>(), int64_t{1} << 28);
  EXPECT_EQ(json["engine"]["usable"], true);
  EXPECT_EQ(json["engine"]["libtorch"].get<std::string>().rfind("2.11.0", 0), 0u);
  if (!json["gpu"]["usable"].get<bool>()) {
    EXPECT_NE(json["gpu"]["reason"], "");
  }
  EXPECT_EQ(json["temporary_folder"]["error"], "");
  std::map<std::string, nlohmann::json> found;
  for (const auto& model : json["models"]) {
    found[fs::path(model["file"].get<std::string>()).filename()] = model;
  }
  ASSERT_EQ(found.count("good.safetensors"), 1u);
  EXPECT_EQ(found["good.safetensors"]["error"], "");
  EXPECT_NE(found["good.safetensors"]["summary"].get<std::string>().find("rwkv-unet T"),
            std::string::npos);
  EXPECT_NE(found["broken.safetensors"]["error"], "");
}

TEST(Doctor, WorksWithoutTheEngineAndSaysWhy) {
  const Environment engine("AVOCET_ENGINE", "/nowhere/libavocet_engine.so");
  const auto text = test::RunAvocet({"doctor"});
  EXPECT_EQ(text.exit_code, static_cast<int>(ExitCode::kDevice));
  EXPECT_NE(text.out.find("NOT USABLE"), std::string::npos);
  EXPECT_NE(text.out.find("/nowhere/libavocet_engine.so"), std::string::npos);
  EXPECT_NE(text.out.find("cores"), std::string::npos);
  const auto json = nlohmann::json::parse(test::RunAvocet({"doctor", "--json"}).out);
  EXPECT_EQ(json["engine"]["usable"], false);
}

TEST(Shipped, FindsModelsByNameAndSaysWhereItLooked) {
  const fs::path file = test::WriteRandomModel(test::ExampleCard(), "mine.safetensors");
  const Environment models("AVOCET_MODELS", file.parent_path().string());
  EXPECT_EQ(FindModel(file), file);
  EXPECT_EQ(FindModel("mine"), fs::canonical(file));
  EXPECT_EQ(FindModel("mine.safetensors"), fs::canonical(file));
  try {
    FindModel("yours");
    FAIL();
  } catch (const IoError& error) {
    EXPECT_NE(std::string(error.what()).find(fs::canonical(file.parent_path()).string()),
              std::string::npos);
  }
  EXPECT_THROW(FindModel(file.parent_path()), IoError);
}

}  // namespace
}  // namespace avocet::core

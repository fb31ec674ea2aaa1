// SPDX-License-Identifier: Apache-2.0
#include "tests/support/test_support.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <thread>

namespace avocet::test {
namespace fs = std::filesystem;
namespace {

fs::path FromEnvironment(const char* name) {
  const char* value = std::getenv(name);
  return value ? fs::path(value) : fs::path();
}

fs::path SourceDir() {
  const fs::path folder = FromEnvironment("AVOCET_SOURCE_DIR");
  return folder.empty() ? fs::path(AVOCET_DEFAULT_SOURCE_DIR) : folder;
}

std::string Slurp(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

}  // namespace

fs::path TestData(const std::string& relative) { return SourceDir() / "tests/data" / relative; }
fs::path ShippedData(const std::string& relative) { return SourceDir() / "data" / relative; }

fs::path SharedData(const std::string& relative) {
  fs::path folder = FromEnvironment("AVOCET_SHARED_DIR");
  if (folder.empty()) folder = SourceDir() / "../shared";
  const fs::path path = folder / relative;
  return fs::exists(path) ? fs::canonical(path) : fs::path();
}

fs::path TemporaryFolder() {
  const auto* info = testing::UnitTest::GetInstance()->current_test_info();
  std::string name = info ? std::string(info->test_suite_name()) + "." + info->name() : "none";
  for (char& c : name) {
    if (c == '/') c = '_';
  }
  const fs::path folder =
      fs::temp_directory_path() / ("avocet_test_" + std::to_string(getpid())) / name;
  fs::create_directories(folder);
  return folder;
}

fs::path AvocetBinary() {
  const fs::path binary = FromEnvironment("AVOCET_BINARY");
  return binary.empty() ? fs::path(AVOCET_DEFAULT_BINARY) : binary;
}

CommandResult RunAvocet(const std::vector<std::string>& arguments, double timeout_seconds) {
  const fs::path binary = AvocetBinary();
  const fs::path folder = TemporaryFolder();
  const fs::path out = folder / ".stdout";
  const fs::path err = folder / ".stderr";
  std::vector<std::string> owned{binary.string()};
  owned.insert(owned.end(), arguments.begin(), arguments.end());
  std::vector<char*> argv;
  for (auto& argument : owned) argv.push_back(argument.data());
  argv.push_back(nullptr);

  const pid_t child = fork();
  if (child == 0) {
    const int out_fd = open(out.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    const int err_fd = open(err.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    dup2(out_fd, 1);
    dup2(err_fd, 2);
    execv(argv[0], argv.data());
    _exit(127);
  }
  CommandResult result;
  const auto deadline =
      std::chrono::steady_clock::now() + std::chrono::duration<double>(timeout_seconds);
  int status = 0;
  while (waitpid(child, &status, WNOHANG) == 0) {
    if (std::chrono::steady_clock::now() > deadline) {
      kill(child, SIGKILL);
      waitpid(child, &status, 0);
      break;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  result.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  result.out = Slurp(out);
  result.err = Slurp(err);
  return result;
}

}  // namespace avocet::test

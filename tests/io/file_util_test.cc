// SPDX-License-Identifier: Apache-2.0
#include "io/file_util.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "io/volume_io.h"
#include "tests/io/io_test_util.h"
#include "tests/support/test_support.h"

namespace avocet::io {
namespace {

namespace fs = std::filesystem;
using test::CountEntries;
using test::ExpectError;
using test::Slurp;
using test::Spill;
using test::TemporaryFolder;

// Runs `f` in a child with its own limits and user; true when it threw an IoError that names all
// `parts`. (The limits of the test process itself must not change.)
template <typename F>
bool ChildThrows(F&& f, const std::vector<std::string>& parts) {
  const pid_t child = fork();
  if (child == 0) {
    int code = 1;
    try {
      f();
    } catch (const IoError& error) {
      code = 0;
      for (const auto& part : parts) {
        if (std::string(error.what()).find(part) == std::string::npos) code = 2;
      }
      if (code == 2) std::fprintf(stderr, "%s\n", error.what());
    } catch (...) {
      code = 3;
    }
    _exit(code);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

void LimitFileSize(rlim_t bytes) {
  signal(SIGXFSZ, SIG_IGN);
  const struct rlimit limit = {bytes, bytes};
  setrlimit(RLIMIT_FSIZE, &limit);
}

// Vectors of FIPS 180-4's examples (NIST CAVP) and lengths around the block of 64 bytes.
TEST(Sha256, KnownVectors) {
  EXPECT_EQ(Sha256OfBytes(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(Sha256OfBytes("abc"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(Sha256OfBytes("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  EXPECT_EQ(Sha256OfBytes(std::string(1000000, 'a')),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(Sha256, FileEqualsBytes) {
  const fs::path path = TemporaryFolder() / "x";
  for (const size_t size : {55, 56, 63, 64, 65, 262143, 262144, 262145}) {
    std::string content(size, 'x');
    for (size_t i = 0; i < size; ++i) content[i] = static_cast<char>(i * 31);
    Spill(path, content);
    EXPECT_EQ(Sha256OfFile(path), Sha256OfBytes(content)) << size;
  }
  ExpectError([&] { Sha256OfFile(TemporaryFolder() / "none"); }, {"none"});
  ExpectError([&] { Sha256OfFile(TemporaryFolder()); }, {"folder"});
}

TEST(AtomicFile, AppearsOnlyOnCommit) {
  const fs::path folder = TemporaryFolder();
  const fs::path target = folder / "out.txt";
  Spill(target, "old");
  {
    AtomicFile file(target);
    file.Write("new");
    EXPECT_EQ(file.temporary_path().extension(), ".txt");
    EXPECT_EQ(file.temporary_path().parent_path(), folder);
    EXPECT_EQ(Slurp(target), "old");
  }
  EXPECT_EQ(Slurp(target), "old");
  EXPECT_EQ(CountEntries(folder), 1U);
  AtomicFile file(target);
  file.Write("new");
  file.Commit();
  EXPECT_EQ(Slurp(target), "new");
  EXPECT_EQ(CountEntries(folder), 1U);
}

TEST(AtomicFile, LibrariesMayWriteTheTemporary) {
  const fs::path target = TemporaryFolder() / "out.png";
  AtomicFile file(target);
  fs::remove(file.temporary_path());
  Spill(file.temporary_path(), "by a library");
  file.Commit();
  EXPECT_EQ(Slurp(target), "by a library");
}

TEST(AtomicFile, KeepsPermissionsAndLinks) {
  const fs::path folder = TemporaryFolder();
  Spill(folder / "real", "old");
  fs::permissions(folder / "real", fs::perms::owner_read | fs::perms::owner_write);
  fs::create_symlink("real", folder / "link");
  WriteFileAtomically(folder / "link", "new");
  EXPECT_TRUE(fs::is_symlink(folder / "link"));
  EXPECT_EQ(Slurp(folder / "real"), "new");
  EXPECT_EQ(fs::status(folder / "real").permissions(),
            fs::perms::owner_read | fs::perms::owner_write);
}

TEST(AtomicFile, LongNamesWork) {
  const fs::path target = TemporaryFolder() / (std::string(250, 'n') + ".nii");
  WriteFileAtomically(target, "x");
  EXPECT_EQ(Slurp(target), "x");
}

TEST(AtomicFile, RefusesWhatIsNoFile) {
  const fs::path folder = TemporaryFolder();
  ExpectError([&] { AtomicFile file(folder); }, {folder.string(), "folder"});
  ExpectError([&] { AtomicFile file(folder / "no" / "x.nii"); }, {"x.nii", "No such file"});
  Spill(folder / "plain", "");
  ExpectError([&] { AtomicFile file(folder / "plain" / "x.nii"); }, {"x.nii", "Not a directory"});
  ExpectError([&] { AtomicFile file("/dev/null"); }, {"/dev/null", "ordinary"});
}

TEST(AtomicFile, UnwritableFolder) {
  const fs::path folder = TemporaryFolder() / "locked";
  fs::create_directory(folder);
  fs::permissions(folder, fs::perms::owner_read | fs::perms::owner_exec);
  EXPECT_TRUE(ChildThrows(
      [&] {
        // Root may write anywhere, so the child becomes another user.
        if (geteuid() == 0 && (fs::permissions(folder, fs::perms(0555)), seteuid(65534)) != 0) {
          _exit(9);
        }
        WriteFileAtomically(folder / "x.nii", "x");
      },
      {"x.nii", "Permission denied", "choose"}));
  EXPECT_EQ(CountEntries(folder), 0U);
  fs::permissions(folder, fs::perms::owner_all);
}

TEST(AtomicFile, FullDiskLeavesNothing) {
  const fs::path folder = TemporaryFolder();
  Spill(folder / "x.nii", "old");
  EXPECT_TRUE(ChildThrows(
      [&] {
        LimitFileSize(1000);
        WriteFileAtomically(folder / "x.nii", std::string(5000, 'x'));
      },
      {"x.nii", "File too large", "free some space"}));
  EXPECT_EQ(CountEntries(folder), 1U);
  EXPECT_EQ(Slurp(folder / "x.nii"), "old");
}

TEST(AtomicFile, FullDiskWhileWritingVolumes) {
  Geometry geometry;
  geometry.size = {64, 64, 16};
  Volume volume = Volume::Zeros(geometry, VoxelType::kUInt8);
  uint32_t state = 1;
  for (auto& byte : volume.data)
    byte = static_cast<std::byte>((state = state * 1664525 + 1013904223) >> 24);
  for (const char* name : {"x.nii", "x.nii.gz", "x.hdr", "x.img"}) {
    const fs::path folder = TemporaryFolder() / (std::string("of_") + name);
    fs::create_directory(folder);
    EXPECT_TRUE(ChildThrows(
        [&] {
          LimitFileSize(20000);
          WriteVolume(volume, folder / name);
        },
        {"x.", "free some space"}))
        << name;
    EXPECT_EQ(CountEntries(folder), 0U) << name;
  }
}

TEST(ReadTextFile, WholeContentWithinLimit) {
  const fs::path path = TemporaryFolder() / "x.json";
  const std::string content = std::string("a\0b", 3) + std::string(200000, 'z');
  Spill(path, content);
  EXPECT_EQ(ReadTextFile(path), content);
  EXPECT_EQ(ReadTextFile(path, content.size()), content);
  ExpectError([&] { ReadTextFile(path, content.size() - 1); }, {"x.json", "larger"});
  ExpectError([&] { ReadTextFile(TemporaryFolder()); }, {"folder"});
  ExpectError([&] { ReadTextFile(TemporaryFolder() / "none"); }, {"none", "No such file"});
  ExpectError([&] { ReadTextFile("/dev/zero", 1000); }, {"/dev/zero", "larger"});
}

}  // namespace
}  // namespace avocet::io

// SPDX-License-Identifier: Apache-2.0
// Drives a fuzz target without libFuzzer: every seed as it is, and each with some random damage.
//   replay [--rounds N] [--only NAME] SEED...
// Seeds are files and folders; what is gzip is also tried unpacked, so that damage reaches what is
// inside. Damage depends on the seed's name and the round alone, so that a failure can be repeated;
// what was tried last is left in /dev/shm/avocet_fuzz_<pid>. Memory is limited: a size that is
// believed before it is checked fails. AVOCET_FUZZ_FACTOR=50 in the environment: more rounds.
#include <sys/resource.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <random>
#include <sstream>
#include <vector>

#include "tests/fuzz/fuzz_target.h"

namespace {

namespace fs = std::filesystem;
using avocet::fuzz::Outcomes;

char g_now[300];  // what runs, for the last words

void LastWords(int) {
  static const char kBefore[] = "replay: stopped in ";
  ssize_t ignored = write(2, kBefore, sizeof kBefore - 1);
  ignored = write(2, g_now, std::strlen(g_now));
  (void)ignored;
  std::signal(SIGABRT, SIG_DFL);
  std::abort();
}

struct Seed {
  std::string name;
  std::string bytes;
};

// The first 16 MB of a gzip file's content; "" when it is none or damaged.
std::string Gunzip(const std::string& packed) {
  if (packed.compare(0, 2, "\x1f\x8b") != 0) return "";
  z_stream stream = {};
  if (inflateInit2(&stream, 16 + MAX_WBITS) != Z_OK) return "";
  std::string out(size_t{16} << 20, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(packed.data()));
  stream.avail_in = static_cast<uInt>(packed.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  inflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  inflateEnd(&stream);
  return out;
}

void Load(const fs::path& path, std::vector<Seed>& seeds) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  seeds.push_back({path.filename().string(), text.str()});
  const std::string inner = Gunzip(seeds.back().bytes);
  if (!inner.empty()) seeds.push_back({path.filename().string() + " unpacked", inner});
}

std::string Damaged(std::string bytes, std::mt19937& random) {
  static constexpr const char* kWords[] = {"-1", "0",  "nan", "1e308", "99999999999",
                                           "(",  "\n", "=",   "\\",    "../x"};
  static constexpr uint64_t kNumbers[] = {0,
                                          1,
                                          2,
                                          0xff,
                                          0x7fff,
                                          0x8000,
                                          0xffff,
                                          0x10000,
                                          0x7fffffff,
                                          0x80000000,
                                          0xffffffff,
                                          0x7f800000,
                                          0x7fc00000,
                                          0xfffee000,
                                          0xe000fffe,
                                          0xe0ddfffe,
                                          ~uint64_t{0},
                                          uint64_t{1} << 62,
                                          uint64_t{1} << 63};
  const auto below = [&](size_t n) { return n == 0 ? 0 : static_cast<size_t>(random()) % n; };
  for (size_t edit = below(4) + 1; edit > 0 && !bytes.empty(); --edit) {
    // Headers are hit oftener than voxels.
    static constexpr size_t kHeads[] = {64, 400, 3000, SIZE_MAX};
    const size_t at = below(std::min(bytes.size(), kHeads[below(4)]));
    switch (below(6)) {
      case 0:
        bytes[at] = static_cast<char>(bytes[at] ^ 1 << below(8));
        break;
      case 1:
        bytes[at] = static_cast<char>(below(256));
        break;
      case 2: {
        const uint64_t number = kNumbers[below(std::size(kNumbers))];
        const size_t width = std::min(size_t{1} << below(4), bytes.size());
        std::memcpy(bytes.data() + std::min(at, bytes.size() - width), &number, width);
        break;
      }
      case 3:
        bytes.insert(at, kWords[below(std::size(kWords))]);
        break;
      case 4: {  // bytes of elsewhere
        const size_t from = below(bytes.size());
        const size_t count = std::min(1 + below(32), bytes.size() - std::max(at, from));
        std::memmove(bytes.data() + at, bytes.data() + from, count);
        break;
      }
      default:
        bytes.erase(at, 1 + below(4));
    }
  }
  if (below(6) == 0) bytes.resize(below(bytes.size()) + (bytes.empty() ? 0 : 1));
  return bytes;
}

// FNV-1a; std::hash is another one in each library.
uint32_t HashOf(const std::string& text) {
  uint32_t hash = 2166136261U;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 16777619U;
  return hash;
}

void Try(const std::string& bytes) {
  LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
}

}  // namespace

int main(int argc, char** argv) {
  int rounds = 100;
  std::string only;
  std::vector<Seed> seeds;
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    if (argument == "--rounds" && i + 1 < argc) {
      rounds = std::atoi(argv[++i]);
    } else if (argument == "--only" && i + 1 < argc) {
      only = argv[++i];
    } else if (fs::is_directory(argument)) {
      for (const auto& entry : fs::recursive_directory_iterator(argument)) {
        if (entry.is_regular_file() && entry.path().filename() != "README.md") {
          Load(entry.path(), seeds);
        }
      }
    } else if (fs::exists(argument)) {
      Load(argument, seeds);
    } else {
      std::fprintf(stderr, "replay: the seed '%s' is not there\n", argv[i]);
      return 2;
    }
  }
  std::sort(seeds.begin(), seeds.end(), [](const Seed& a, const Seed& b) {
    return std::make_pair(a.name, a.bytes) < std::make_pair(b.name, b.bytes);
  });
  if (const char* factor = std::getenv("AVOCET_FUZZ_FACTOR")) {
    rounds *= std::max(1, std::atoi(factor));
  }
#ifndef __SANITIZE_ADDRESS__
  const struct rlimit memory = {size_t{1} << 30, size_t{1} << 30};
  setrlimit(RLIMIT_AS, &memory);
#endif
  std::signal(SIGABRT, LastWords);
  long runs = 0;
  for (const Seed& seed : seeds) {
    if (!only.empty() && seed.name != only) continue;
    for (int round = 0; round <= rounds; ++round) {
      std::snprintf(g_now, sizeof g_now, "'%s', round %d\n", seed.name.c_str(), round);
      std::mt19937 random(HashOf(seed.name) + static_cast<uint32_t>(round));
      Try(round == 0 ? seed.bytes : Damaged(seed.bytes, random));
      ++runs;
    }
  }
  std::printf("%ld inputs of %zu seeds: %ld read, %ld refused\n", runs, seeds.size(),
              static_cast<long>(Outcomes().read), static_cast<long>(Outcomes().refused));
  if (Outcomes().read == 0 || Outcomes().refused == 0) {
    std::fprintf(stderr, "replay: only one outcome was seen; the seeds test nothing\n");
    return 1;
  }
  return 0;
}

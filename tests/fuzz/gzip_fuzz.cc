// SPDX-License-Identifier: Apache-2.0
// The fast way through libdeflate against the plain one through zlib: the same bytes, or both
// refuse (but for two codes that are the same to the fast one, see below). The input is packed
// first in a way that its first bytes choose, and damaged in one place, because libFuzzer does not
// find checksums.
#include <algorithm>
#include <cstring>

#include "io/byte_source.h"
#include "io/deflate.h"
#include "tests/fuzz/fuzz_target.h"

namespace {

using namespace avocet;

struct Outcome {
  bool refused = false;
  std::vector<std::byte> bytes;
  bool more = false;
};

// `step` 0: all that is asked for in one call, as readers of images do; otherwise in small ones,
// which never go through libdeflate.
Outcome Read(const std::filesystem::path& path, size_t head, uint64_t size, size_t step) {
  Outcome outcome;
  outcome.refused = !fuzz::Attempt([&] {
    io::ByteSource source(path);
    source.Append(outcome.bytes, head);
    if (step == 0) {
      source.Append(outcome.bytes, size);
    } else {
      std::vector<std::byte> block(step);
      for (uint64_t left = size; left > 0;) {
        const size_t got = source.Read(block.data(), std::min<uint64_t>(step, left));
        if (got == 0) break;
        outcome.bytes.insert(outcome.bytes.end(), block.begin(),
                             block.begin() + static_cast<ptrdiff_t>(got));
        left -= got;
      }
    }
    outcome.more = source.Finish(4096);
  });
  return outcome;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::Feed feed(data, size);
  const unsigned members = feed.Below(4);
  const unsigned repeats = 1 + feed.Below(8) * 200;
  const size_t head = feed.Word() % 2000;
  const unsigned damage = feed.Byte();
  const size_t where = feed.Word();
  const std::string_view rest = feed.Rest();
  std::string content;
  for (unsigned i = 0; i < repeats && content.size() < (size_t{160} << 10); ++i) content += rest;
  std::string packed;
  if (members == 0) packed = rest;
  const size_t part = content.size() / std::max(1U, members) + 1;
  for (size_t at = 0; members > 0 && at < content.size(); at += part) {
    packed += io::DeflateBytes(content.data() + at, std::min(part, content.size() - at),
                               io::Deflate::kGzip);
  }
  if (packed.empty()) return 0;
  if (damage & 1) packed[where % packed.size()] ^= static_cast<char>(1 << (damage >> 5));
  if (damage & 2) packed.resize(1 + where % packed.size());
  if (damage & 4) packed += std::string(where % 600, '\0');
  if (damage & 8) packed += io::DeflateBytes("more", 4, io::Deflate::kGzip);
  const auto path = fuzz::WriteInput("x.gz", packed);
  // What the header claims: the truth, or a bit beside it.
  uint64_t claim = content.size() - std::min(head, content.size());
  if (damage & 16) claim += where % 200000;
  claim += uint64_t{1} << 16;
  if (!(damage & 16)) claim -= uint64_t{1} << 16;
  const Outcome fast = Read(path, head, claim, 0);
  const Outcome plain = Read(path, head, claim, 50000);
  if (fast.refused && !plain.refused) fuzz::Abort("the fast way refuses what the plain one reads");
  if (!fast.refused && plain.refused) {
    // libdeflate takes the two length codes that RFC 1951 reserves for 258, zlib refuses them. The
    // checksum was right, so the bytes must be; members that were cut off are missing.
    const std::string truth = content + "more";
    if (members > 0 && (fast.bytes.size() > truth.size() ||
                        std::memcmp(fast.bytes.data(), truth.data(), fast.bytes.size()) != 0)) {
      fuzz::Abort("the fast way reads what the plain one refuses, and wrongly");
    }
    return 0;
  }
  if (!fast.refused && (fast.bytes != plain.bytes || fast.more != plain.more)) {
    fuzz::Abort("two ways give different bytes");
  }
  return 0;
}

// SPDX-License-Identifier: Apache-2.0
#include <openssl/evp.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <memory>
#include <vector>

#include "app/base/error.h"
#include "io/file_util.h"

namespace avocet::io {
namespace {

// OpenSSL's SHA-256 (libcrypto). Its functions fail only when memory is short.
class Sha256 {
 public:
  Sha256() : context_(EVP_MD_CTX_new(), &EVP_MD_CTX_free) {
    Require(context_ && EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr) == 1);
  }
  void Update(const void* bytes, size_t size) {
    Require(EVP_DigestUpdate(context_.get(), bytes, size) == 1);
  }
  std::string Finish() {
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int length = 0;
    Require(EVP_DigestFinal_ex(context_.get(), digest, &length) == 1);
    static constexpr char kHex[] = "0123456789abcdef";
    std::string text;
    for (unsigned int i = 0; i < length; ++i) {
      text += kHex[digest[i] >> 4];
      text += kHex[digest[i] & 15];
    }
    return text;
  }

 private:
  static void Require(bool done) {
    if (!done) throw IoError("not enough memory to compute a SHA-256 hash; close other programs");
  }
  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context_;
};

void AddFile(const std::filesystem::path& path, Sha256& hash) {
  std::error_code error;
  if (std::filesystem::is_directory(path, error)) {
    throw IoError("cannot read '" + path.string() + "': it is a folder, not a file");
  }
  std::ifstream in(path, std::ios::binary);
  if (!in) throw IoError("cannot open '" + path.string() + "': " + std::strerror(errno));
  std::vector<char> block(size_t{1} << 18);
  while (in) {
    in.read(block.data(), static_cast<std::streamsize>(block.size()));
    hash.Update(block.data(), static_cast<size_t>(in.gcount()));
  }
  if (in.bad()) throw IoError("cannot read '" + path.string() + "' to its end");
}

}  // namespace

std::string Sha256OfBytes(std::string_view bytes) {
  Sha256 hash;
  hash.Update(bytes.data(), bytes.size());
  return hash.Finish();
}

std::string Sha256OfFile(const std::filesystem::path& path) { return Sha256OfFiles({path}); }

std::string Sha256OfFiles(const std::vector<std::filesystem::path>& paths) {
  Sha256 hash;
  for (const auto& path : paths) AddFile(path, hash);
  return hash.Finish();
}

}  // namespace avocet::io

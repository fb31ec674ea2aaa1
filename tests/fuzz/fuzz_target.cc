// SPDX-License-Identifier: Apache-2.0
#include "tests/fuzz/fuzz_target.h"

#include <unistd.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <fstream>

namespace avocet::fuzz {
namespace fs = std::filesystem;

Tally& Outcomes() {
  static Tally tally;
  return tally;
}

void Abort(const std::string& what) {
  std::fprintf(stderr, "fuzz target: %s\n", what.c_str());
  std::abort();
}

const fs::path& Folder() {
  static const fs::path folder = [] {
    const fs::path base = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : fs::temp_directory_path();
    const fs::path made = base / ("avocet_fuzz_" + std::to_string(getpid()));
    fs::create_directories(made);
    std::atexit([] {
      std::error_code ignored;
      fs::remove_all(Folder(), ignored);
    });
    return made;
  }();
  return folder;
}

fs::path WriteInput(const std::string& name, std::string_view bytes) {
  const fs::path path = Folder() / name;
  std::ofstream out(path, std::ios::binary | std::ios::trunc);
  out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  return path;
}

namespace {

bool IsPrintable(const std::string& text) {
  for (const char c : text) {
    if (static_cast<unsigned char>(c) < 32 || c == 127) return false;
  }
  return true;
}

}  // namespace

void CheckMessage(const std::string& message, const fs::path& folder) {
  if (message.empty()) Abort("an error without a message");
  if (!IsPrintable(message)) Abort("a message with control characters: " + message);
  if (message.size() > 1000) Abort("an endless message: " + message);
  if (message.find(folder.string()) == message.npos) {
    Abort("a message that does not name the file: " + message);
  }
}

void CheckVolume(const io::Volume& volume, uint64_t most_bytes) {
  const io::Geometry& g = volume.geometry;
  for (int axis = 0; axis < 3; ++axis) {
    if (g.size[axis] < 1) Abort("a volume without voxels");
    if (!std::isfinite(g.spacing[axis]) || !(g.spacing[axis] > 0)) Abort("a spacing that is none");
    if (!std::isfinite(g.origin[axis])) Abort("an origin that is none");
  }
  for (const double cosine : g.direction) {
    if (!(std::abs(cosine) <= 1.0000001)) Abort("a direction that is none");
  }
  if (g.OrientationLetters().size() != 3) Abort("no orientation letters");
  if (volume.components < 1 || volume.frames < 1) Abort("no components or frames");
  if (volume.data.size() != static_cast<size_t>(volume.ValueCount()) * io::SizeOf(volume.type)) {
    Abort("a buffer of another length than the size asks for");
  }
  if (volume.data.size() > most_bytes) Abort("more voxels than the file can hold");
  if (!std::isfinite(volume.scaling.slope) || volume.scaling.slope == 0 ||
      !std::isfinite(volume.scaling.inter)) {
    Abort("a scaling that is none");
  }
  for (const std::string& note : volume.notes) {
    if (!IsPrintable(note)) Abort("a note with control characters: " + note);
  }
  if (!volume.source) return;
  for (const auto& [name, value] : volume.source->Fields()) {
    if (!IsPrintable(name + value)) Abort("a field with control characters: " + name);
  }
}

}  // namespace avocet::fuzz

// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstring>
#include <string_view>

#include "app/base/error.h"
#include "io/deflate.h"
#include "io/dicom_instance.h"
#include "io/dicom_syntax.h"

namespace avocet::io::dicom {
namespace {

[[noreturn]] void Fail(const Instance& instance, const std::string& what) {
  throw IoError("cannot read '" + instance.path.string() + "': " + what);
}

size_t FrameSamples(const PixelFormat& f) {
  return static_cast<size_t>(f.rows) * f.columns * f.samples;
}

// The fragments of one frame, joined. PS3.5 A.4: a frame is one fragment or, by the offset table,
// several; a single frame is all of them.
std::string PackedFrame(const Instance& instance, const ByteStore& store, int frame) {
  const PixelLocation& p = instance.pixels;
  const size_t frames = static_cast<size_t>(instance.frame_count);
  const size_t wanted = static_cast<size_t>(frame);
  size_t first = 0, last = 0;  // fragments [first, last)
  if (frames == 1) {
    last = p.fragments.size();
  } else if (p.fragments.size() == frames) {
    first = wanted;
    last = wanted + 1;
  } else {
    if (p.frame_offsets.size() != frames) {
      Fail(instance, "its frames cannot be told apart: " + std::to_string(p.fragments.size()) +
                         " fragments, " + std::to_string(frames) + " frames and no offset table");
    }
    // Offsets count from the first byte of the first fragment's item tag.
    const uint64_t origin = p.fragments[0].first - 8;
    const auto find = [&](uint64_t offset) {
      const auto at = std::lower_bound(p.fragments.begin(), p.fragments.end(), offset,
                                       [&](const auto& fragment, uint64_t wanted_offset) {
                                         return fragment.first - 8 - origin < wanted_offset;
                                       });
      if (at == p.fragments.end() || at->first - 8 - origin != offset) {
        Fail(instance, "its offset table does not fit its compressed pixel data");
      }
      return static_cast<size_t>(at - p.fragments.begin());
    };
    first = find(p.frame_offsets[wanted]);
    last = wanted + 1 < frames ? find(p.frame_offsets[wanted + 1]) : p.fragments.size();
    if (last <= first) Fail(instance, "its offset table does not fit its compressed pixel data");
  }
  uint64_t total = 0;
  for (size_t i = first; i < last; ++i) total += p.fragments[i].second;
  std::string packed(static_cast<size_t>(total), '\0');
  size_t at = 0;
  for (size_t i = first; i < last; ++i) {
    store.Read(p.fragments[i].first, packed.data() + at, p.fragments[i].second);
    at += p.fragments[i].second;
  }
  return packed;
}

template <typename T>
void SwapAll(std::vector<std::byte>& bytes) {
  for (size_t at = 0; at + sizeof(T) <= bytes.size(); at += sizeof(T)) {
    std::reverse(bytes.begin() + static_cast<ptrdiff_t>(at),
                 bytes.begin() + static_cast<ptrdiff_t>(at + sizeof(T)));
  }
}

void UnpackBits(const Instance& instance, const ByteStore& store, int frame,
                std::vector<std::byte>& out) {
  // Frames follow each other without padding to whole bytes (PS3.5 8.1.1).
  const size_t samples = FrameSamples(instance.format);
  const uint64_t first_bit = static_cast<uint64_t>(frame) * samples;
  const uint64_t from = first_bit / 8, to = (first_bit + samples + 7) / 8;
  std::string bits(static_cast<size_t>(to - from), '\0');
  store.Read(instance.pixels.offset + from, bits.data(), bits.size());
  out.resize(samples);
  for (size_t i = 0; i < samples; ++i) {
    const uint64_t bit = first_bit % 8 + i;
    out[i] = std::byte{static_cast<unsigned char>(
        static_cast<unsigned char>(bits[static_cast<size_t>(bit / 8)]) >> bit % 8 & 1)};
  }
}

void ReadNative(const Instance& instance, const ByteStore& store, int frame,
                std::vector<std::byte>& out) {
  const PixelFormat& f = instance.format;
  if (f.allocated == 1) return UnpackBits(instance, store, frame, out);
  uint64_t size = FrameSamples(f) * static_cast<size_t>(f.allocated / 8);
  const bool subsampled = f.photometric == "YBR_FULL_422";
  if (subsampled) size = size / 3 * 2;
  const uint64_t start = static_cast<uint64_t>(frame) * size;
  out.resize(static_cast<size_t>(size));
  if (instance.big_endian && f.allocated == 8 && instance.pixels.words) {
    // Bytes in 16-bit words, most significant first: pairs change places.
    const uint64_t from = start / 2 * 2;
    const uint64_t to = std::min((start + size + 1) / 2 * 2, instance.pixels.length);
    std::vector<std::byte> words(static_cast<size_t>(to - from));
    store.Read(instance.pixels.offset + from, words.data(), words.size());
    for (size_t i = 0; i + 1 < words.size(); i += 2) std::swap(words[i], words[i + 1]);
    std::copy_n(words.begin() + static_cast<ptrdiff_t>(start - from), size, out.begin());
  } else {
    store.Read(instance.pixels.offset + start, out.data(), out.size());
    if (instance.big_endian) {
      if (f.allocated == 16) SwapAll<uint16_t>(out);
      if (f.allocated == 32) SwapAll<uint32_t>(out);
      if (f.allocated == 64) SwapAll<uint64_t>(out);
    }
  }
  if (subsampled) {  // two pixels: Y Y Cb Cr
    std::vector<std::byte> full(FrameSamples(f), std::byte{0});
    for (size_t i = 0; i + 4 <= out.size() && i / 2 * 3 + 6 <= full.size(); i += 4) {
      std::byte* to = full.data() + i / 2 * 3;
      to[0] = out[i];
      to[3] = out[i + 1];
      to[1] = to[4] = out[i + 2];
      to[2] = to[5] = out[i + 3];
    }
    out = std::move(full);
  }
}

// Bytes of one frame that is not packed, bits in bytes.
size_t FrameBytes(const PixelFormat& f) {
  const size_t samples = FrameSamples(f);
  if (f.allocated == 1) return (samples + 7) / 8;
  return samples * static_cast<size_t>(f.allocated / 8);
}

// The values of a frame that stands alone, little endian; `packed` may end in a byte of padding.
std::string UnpackedFrame(const PixelFormat& f, std::string_view packed,
                          std::vector<std::byte>& out) {
  const size_t wanted = FrameBytes(f);
  if (f.photometric == "YBR_FULL_422") return "it has subsampled colours in frames of their own";
  if (packed.size() < wanted || packed.size() > wanted + 1) {
    return "a frame of it has " + std::to_string(packed.size()) + " bytes, its header describes " +
           std::to_string(wanted);
  }
  if (f.allocated == 1) {
    out.resize(FrameSamples(f));
    for (size_t i = 0; i < out.size(); ++i) {
      out[i] = std::byte{
          static_cast<unsigned char>(static_cast<unsigned char>(packed[i / 8]) >> i % 8 & 1)};
    }
    return "";
  }
  const auto* bytes = reinterpret_cast<const std::byte*>(packed.data());
  out.assign(bytes, bytes + wanted);
  return "";
}

std::string InflatedFrame(const PixelFormat& f, const std::string& packed,
                          std::vector<std::byte>& out) {
  std::string bytes(FrameBytes(f), '\0');
  const Inflated all =
      InflateAtOnce(reinterpret_cast<const std::byte*>(packed.data()), packed.size(), Deflate::kRaw,
                    reinterpret_cast<std::byte*>(bytes.data()), bytes.size());
  if (!all.ok || all.produced != bytes.size()) {
    return "a deflated frame of it is damaged or of another size than its header says";
  }
  return UnpackedFrame(f, bytes, out);
}

void Interleave(const PixelFormat& f, std::vector<std::byte>& out) {
  const size_t pixels = static_cast<size_t>(f.rows) * f.columns;
  std::vector<std::byte> mixed(out.size());
  for (size_t i = 0; i < pixels; ++i) {
    for (size_t s = 0; s < 3; ++s) mixed[i * 3 + s] = out[s * pixels + i];
  }
  out = std::move(mixed);
}

// PS3.3 C.7.6.3.1.2 (the full-range conversion of BT.601), inverted.
void RgbFromYbr(std::vector<std::byte>& out) {
  const auto clamp = [](double v) {
    return std::byte{static_cast<unsigned char>(std::clamp(v + 0.5, 0.0, 255.0))};
  };
  for (size_t i = 0; i + 3 <= out.size(); i += 3) {
    const double y = std::to_integer<int>(out[i]);
    const double b = std::to_integer<int>(out[i + 1]) - 128;
    const double r = std::to_integer<int>(out[i + 2]) - 128;
    out[i] = clamp(y + 1.402 * r);
    out[i + 1] = clamp(y - 0.344136 * b - 0.714136 * r);
    out[i + 2] = clamp(y + 1.772 * b);
  }
}

// Keeps BitsStored bits below HighBit and extends the sign. Bits above a negative value that
// continue its sign are not dirt.
template <typename U, typename S>
bool CleanBits(const PixelFormat& f, std::vector<std::byte>& out) {
  const int down = f.high_bit + 1 - f.stored;
  const int up = static_cast<int>(sizeof(U) * 8) - f.stored;
  auto* values = reinterpret_cast<U*>(out.data());
  const size_t count = out.size() / sizeof(U);
  bool changed = false;
  for (size_t i = 0; i < count; ++i) {
    const U raw = values[i];
    const U left = static_cast<U>(static_cast<U>(raw >> down) << up);
    const U clean =
        f.is_signed ? static_cast<U>(static_cast<S>(left) >> up) : static_cast<U>(left >> up);
    changed |= clean != raw;
    values[i] = clean;
  }
  return changed;
}

void ApplyPalette(const PixelFormat& f, std::vector<std::byte>& out) {
  const size_t pixels = static_cast<size_t>(f.rows) * f.columns;
  std::vector<std::byte> colours(pixels * 3);
  for (size_t i = 0; i < pixels; ++i) {
    int value = 0;
    if (f.allocated == 16) {
      uint16_t raw;
      std::memcpy(&raw, out.data() + 2 * i, 2);
      value = f.is_signed ? static_cast<int16_t>(raw) : raw;
    } else {
      value = std::to_integer<int>(out[i]);
      if (f.is_signed) value = static_cast<int8_t>(value);
    }
    const int last = static_cast<int>(f.palette.size()) - 1;
    const auto& colour =
        f.palette[static_cast<size_t>(std::clamp(value - f.palette_first, 0, last))];
    for (size_t c = 0; c < 3; ++c) colours[3 * i + c] = std::byte{colour[c]};
  }
  out = std::move(colours);
}

}  // namespace

void DecodeFrame(const Instance& instance, const ByteStore& store, int frame,
                 std::vector<std::byte>& out, bool* dirty) {
  const PixelFormat& f = instance.format;
  bool ybr = f.photometric == "YBR_FULL" || f.photometric == "YBR_FULL_422";
  bool planar = f.planar;
  if (instance.pixels.encapsulated) {
    const std::string packed = PackedFrame(instance, store, frame);
    std::string wrong;
    switch (TransferSyntaxOf(instance.transfer_syntax).storage) {
      case PixelStorage::kRle:
        wrong = DecodeRle(f, packed, out);
        planar = false;  // interleaved
        break;
      case PixelStorage::kEncapsulatedNative:
        wrong = UnpackedFrame(f, packed, out);
        break;
      case PixelStorage::kDeflatedFrames:
        wrong = InflatedFrame(f, packed, out);
        break;
      default:
        wrong = DecodeCompressed(instance, packed, out, &ybr);
        planar = false;
        break;
    }
    if (!wrong.empty()) Fail(instance, wrong);
  } else {
    ReadNative(instance, store, frame, out);
  }
  if (f.samples == 3) {
    if (planar) Interleave(f, out);
    if (ybr) RgbFromYbr(out);
  } else if (f.kind == PixelLocation::Kind::kInteger && f.allocated > 1 && f.stored < f.allocated) {
    bool changed = false;
    if (f.allocated == 8) changed = CleanBits<uint8_t, int8_t>(f, out);
    if (f.allocated == 16) changed = CleanBits<uint16_t, int16_t>(f, out);
    if (f.allocated == 32) changed = CleanBits<uint32_t, int32_t>(f, out);
    if (changed && dirty != nullptr) *dirty = true;
  }
  if (!f.palette.empty()) ApplyPalette(f, out);
}

}  // namespace avocet::io::dicom

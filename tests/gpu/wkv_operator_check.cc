// SPDX-License-Identifier: Apache-2.0
// The operator on a GPU through LibTorch's dispatcher: the parity vectors of shared/, the CPU's
// float64 result over shapes and types, strides and offsets, autograd, two streams at once, errors.
//
//   wkv_operator_check [FOLDER with op_bi_wkv.safetensors]
#include <ATen/ATen.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <c10/core/DeviceGuard.h>
#include <c10/core/Stream.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <dlfcn.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <functional>
#include <map>
#include <regex>
#include <string>
#include <vector>

#include "kernels/bi_wkv.h"

namespace avocet {
namespace {

int failures = 0;

void Report(bool good, const std::string& what) {
  if (!good) ++failures;
  std::printf("%s %s\n", good ? "ok  " : "FAIL", what.c_str());
}

// Largest difference relative to the largest wanted value or `floor`.
double Error(const at::Tensor& got, const at::Tensor& want, double floor = 0) {
  const at::Tensor g = got.detach().cpu().to(at::kDouble), w = want.detach().cpu().to(at::kDouble);
  const double error = (g - w).abs().max().item<double>();
  return at::isfinite(g).all().item<bool>()
             ? error / (std::max(w.abs().max().item<double>(), floor) + 1e-30)
             : INFINITY;
}

struct Inputs {
  at::Tensor w, u, k, v, g;
};
struct Outputs {
  at::Tensor y, gw, gu, gk, gv;
};

Inputs RandomInputs(int64_t b, int64_t t, int64_t c, double lowest, double highest) {
  const auto f64 = at::TensorOptions().dtype(at::kDouble);
  return {(at::rand({c}, f64) * (highest - lowest) + lowest) / static_cast<double>(t),
          at::randn({c}, f64) * 0.5, at::randn({b, t, c}, f64), at::randn({b, t, c}, f64),
          at::randn({b, t, c}, f64)};
}

Outputs Run(const Inputs& in, int64_t split, bool official_gradient) {
  const auto leaf = [](const at::Tensor& x) { return x.detach().set_requires_grad(true); };
  const at::Tensor w = leaf(in.w), u = leaf(in.u), k = leaf(in.k), v = leaf(in.v);
  const at::Tensor y = kernels::BiWkv(w, u, k, v, split, official_gradient);
  y.backward(in.g);
  return {y.detach(), w.grad(), u.grad(), k.grad(), v.grad()};
}

Inputs To(const Inputs& in, const at::TensorOptions& options) {
  return {in.w.to(options), in.u.to(options), in.k.to(options), in.v.to(options), in.g.to(options)};
}

const at::Device kGpu(at::kCUDA, 0);

// The GPU's result for inputs rounded to `type`, against the CPU's in float64 for the same.
void CheckShape(int64_t b, int64_t t, int64_t c, double lowest, double highest, at::ScalarType type,
                int64_t split, bool official_gradient, double forward, double backward) {
  const Inputs rounded =
      To(To(RandomInputs(b, t, c, lowest, highest), at::TensorOptions(type)), at::kDouble);
  const Outputs want = Run(rounded, split, official_gradient);
  // What the allocator hands out next is full of NaN.
  for (int i = 0; i < 4; ++i) at::full({b, t, c}, NAN, at::TensorOptions(kGpu).dtype(type));
  const Outputs got =
      Run(To(rounded, at::TensorOptions(kGpu).dtype(type)), split, official_gradient);
  const double gv = want.gv.abs().max().item<double>();
  const double sums = gv * std::sqrt(static_cast<double>(t));  // terms of either sign, which cancel
  const double y = Error(got.y, want.y);
  const double gradients = std::max({Error(got.gv, want.gv), Error(got.gk, want.gk, gv),
                                     Error(got.gw, want.gw, sums), Error(got.gu, want.gu, sums)});
  char text[200];
  std::snprintf(text, sizeof text,
                "[%ld,%ld,%ld] decay %g..%g %s split %ld%s: y %.1e (%.0e), gradients %.1e (%.0e)",
                b, t, c, lowest, highest, at::toString(type), split,
                official_gradient ? " official gradient" : "", y, forward, gradients, backward);
  Report(y <= forward && gradients <= backward, text);
}

// The float64 and float32 tensors of a safetensors file.
std::map<std::string, at::Tensor> ReadTensors(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::string bytes((std::istreambuf_iterator<char>(file)), {});
  std::map<std::string, at::Tensor> tensors;
  if (bytes.size() < 8) return tensors;
  uint64_t header = 0;
  std::memcpy(&header, bytes.data(), 8);
  const std::string json = bytes.substr(8, header);
  const std::regex entry(
      "\"([^\"]+)\"\\s*:\\s*\\{\\s*\"dtype\"\\s*:\\s*\"(F64|F32)\"\\s*,\\s*\"shape\"\\s*:\\s*\\[([^"
      "\\]]*)"
      "\\]\\s*,\\s*\"data_offsets\"\\s*:\\s*\\[\\s*(\\d+)");
  for (std::sregex_iterator it(json.begin(), json.end(), entry), end; it != end; ++it) {
    std::vector<int64_t> shape;
    const std::string sizes = (*it)[3];
    const std::regex number("\\d+");
    for (std::sregex_iterator n(sizes.begin(), sizes.end(), number), last; n != last; ++n) {
      shape.push_back(std::stoll(n->str()));
    }
    char* data = bytes.data() + 8 + header + std::stoull((*it)[4]);
    tensors[(*it)[1]] =
        at::from_blob(data, shape, (*it)[2] == "F64" ? at::kDouble : at::kFloat).clone();
  }
  return tensors;
}

void CheckParity(const std::string& folder) {
  const auto tensors = ReadTensors(folder + "/op_bi_wkv.safetensors");
  if (tensors.empty()) {
    std::printf("skipped: no op_bi_wkv.safetensors in '%s'\n", folder.c_str());
    return;
  }
  int cases = 0;
  for (;; ++cases) {
    char prefix[16];
    std::snprintf(prefix, sizeof prefix, "case%02d.", cases);
    const auto get = [&](const char* name) { return tensors.at(prefix + std::string(name)); };
    if (tensors.count(prefix + std::string("y_E")) == 0) break;
    const auto gpu = [&](const char* name) {
      return get(name).to(at::TensorOptions(kGpu).dtype(at::kFloat));
    };
    const Inputs in{gpu("w"), gpu("u"), gpu("k"), gpu("v"), gpu("gy")};
    for (const bool official : {false, true}) {
      const Outputs got = Run(in, official ? 32 : 0, official);
      const char* suffix = official ? "_official" : "_E";
      const auto want = [&](const char* name) { return get((name + std::string(suffix)).c_str()); };
      const double floor = want("gv").abs().max().item<double>();
      const double y = Error(got.y, get(official ? "y_O64" : "y_E"));
      const double gradients =
          std::max({Error(got.gv, want("gv")), Error(got.gk, want("gk"), floor),
                    Error(got.gw, want("gw"), floor), Error(got.gu, want("gu"), floor)});
      char text[120];
      std::snprintf(text, sizeof text, "parity %s%s: y %.1e, gradients %.1e", prefix,
                    official ? "official" : "exact", y, gradients);
      Report(y <= 1e-5 && gradients <= 2e-5, text);
    }
  }
  Report(cases == 12, "parity cases: " + std::to_string(cases));
}

std::string MessageOf(const std::function<void()>& call) {
  try {
    call();
  } catch (const c10::Error& error) {
    return error.what_without_backtrace();
  }
  return "";
}

void CheckStridesAndErrors() {
  const Inputs in = To(RandomInputs(2, 300, 24, -2, 6), at::TensorOptions(kGpu).dtype(at::kFloat));
  const at::Tensor y = kernels::BiWkv(in.w, in.u, in.k, in.v);
  const at::Tensor strided = in.k.transpose(1, 2).contiguous().transpose(1, 2);
  Report(at::equal(kernels::BiWkv(in.w, in.u, strided, in.v), y), "a transposed k");
  // Contiguous, but not aligned to 16 bytes.
  const at::Tensor room = at::empty({in.k.numel() + 1}, in.k.options());
  const at::Tensor shifted = room.slice(0, 1).view(in.k.sizes());
  shifted.copy_(in.k);
  Report(at::equal(kernels::BiWkv(in.w, in.u, shifted, in.v), y), "k off by one element");
  const at::Tensor none = at::empty({0, 4, 24}, in.k.options());
  Report(kernels::BiWkv(in.w, in.u, none, none).numel() == 0, "an empty batch");
  Report(MessageOf([&] { kernels::BiWkv(in.w, in.u, in.k, in.v.cpu()); }).find("cpu") !=
             std::string::npos,
         "v on the CPU is an error that says so");
  const Inputs wide = To(in, at::TensorOptions(kGpu).dtype(at::kDouble));
  Report(MessageOf([&] { kernels::BiWkv(wide.w, wide.u, wide.k, wide.v); }).find("Double") !=
             std::string::npos,
         "float64 is an error that says so");
  const at::Tensor half = in.k.to(at::kHalf), value = in.v.to(at::kHalf);
  Report(Error(kernels::BiWkv(in.w, in.u, half, value), y) <= 2e-3,
         "float32 parameters beside float16");
}

// Groups of many tiles on two streams: each launch must get all its places or none.
void CheckTwoStreams() {
  const Inputs in =
      To(RandomInputs(1, 65536, 48, -2, 6), at::TensorOptions(kGpu).dtype(at::kFloat));
  const at::Tensor want = kernels::BiWkv(in.w, in.u, in.k, in.v);
  const c10::impl::VirtualGuardImpl impl(at::kCUDA);
  const c10::Stream streams[] = {impl.getStreamFromGlobalPool(kGpu, false),
                                 impl.getStreamFromGlobalPool(kGpu, false)};
  impl.getStream(kGpu).synchronize();
  std::vector<at::Tensor> got;
  for (int i = 0; i < 40; ++i) {
    const c10::Stream before = impl.exchangeStream(streams[i % 2]);
    got.push_back(kernels::BiWkv(in.w, in.u, in.k, in.v));
    impl.exchangeStream(before);
  }
  for (const c10::Stream& stream : streams) stream.synchronize();
  bool same = true;
  for (const at::Tensor& y : got) same = same && at::equal(y, want);
  Report(same, "40 long calls on two streams give the same bits");
}

}  // namespace
}  // namespace avocet

int main(int argc, char** argv) {
  using namespace avocet;
  // Before anything reads the CUDA hooks.
  for (const char* library : {"libtorch_cuda.so", AVOCET_KERNELS_CUDA}) {
    if (dlopen(library, RTLD_NOW | RTLD_GLOBAL) == nullptr) {
      std::printf("skipped: %s\n", dlerror());
      return 77;
    }
  }
  try {
    at::zeros({1}, at::TensorOptions(kGpu));
  } catch (const std::exception& error) {
    std::printf("skipped: no CUDA device\n");
    return 77;
  }
  at::manual_seed(5);
  CheckParity(argc > 1 ? argv[1] : "../shared/parity/rwkv_unet");
  const auto f32 = at::kFloat;
  for (const int64_t t : {1, 7, 63, 64, 65, 127, 128, 129, 196, 784, 1024, 3000}) {
    for (const int64_t c : {1, 7, 96}) {
      CheckShape(2, t, c, -4, 6, f32, 0, false, 2e-6, 1e-5);
      CheckShape(1, t, c, 30, 100, f32, 0, false, 2e-6, 1e-5);
      CheckShape(1, t, c, -100, -30, f32, 0, false, 2e-6, 1e-5);
    }
    CheckShape(1, t, 96, -4, 6, at::kBFloat16, 0, false, 0x1p-8, 0x1p-7);
    CheckShape(1, t, 96, -4, 6, at::kHalf, 0, false, 0x1p-11, 0x1p-10);
    for (const int64_t split : {32, 64}) {
      for (const bool official : {false, true}) {
        CheckShape(2, t, 20, -3, 5, f32, split, official, 1e-6, 1e-5);
      }
    }
  }
  CheckShape(4, 784, 576, -5, 3, f32, 0, false, 2e-6, 1e-5);
  CheckShape(1, 65536, 96, -5, 3, f32, 0, false, 4e-6, 1e-5);
  CheckShape(1, 300000, 16, -5, 3, f32, 0, false, 4e-6, 1e-5);  // more tiles than places
  CheckShape(1, 65536, 48, -5, 3, f32, 64, true, 4e-6, 1e-5);
  CheckStridesAndErrors();
  CheckTwoStreams();
  std::printf(failures == 0 ? "all good\n" : "%d FAILED\n", failures);
  return failures == 0 ? 0 : 1;
}

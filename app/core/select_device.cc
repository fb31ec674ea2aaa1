// SPDX-License-Identifier: Apache-2.0
#include "app/core/select_device.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <dlfcn.h>
#include <torch/version.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <vector>

#include "app/core/engine_jobs.h"
#include "app/core/machine.h"

namespace avocet::core {
namespace {
namespace fs = std::filesystem;

// What the driver says, asked through its own library so that nothing of CUDA need be linked.
struct DriverReport {
  std::string problem;  // "" when at least one device is there
  std::vector<std::string> names;
};

DriverReport AskDriver() {
  DriverReport report;
  void* driver = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
  if (driver == nullptr) {
    report.problem = access("/dev/nvidia0", F_OK) == 0
                         ? "a GPU device file is there, but the driver library libcuda.so.1 is not"
                         : "no NVIDIA driver is installed (libcuda.so.1 is not there)";
    return report;
  }
  const auto initialise = reinterpret_cast<int (*)(unsigned)>(dlsym(driver, "cuInit"));
  const auto count_devices = reinterpret_cast<int (*)(int*)>(dlsym(driver, "cuDeviceGetCount"));
  const auto name_device =
      reinterpret_cast<int (*)(char*, int, int)>(dlsym(driver, "cuDeviceGetName"));
  const auto name_error =
      reinterpret_cast<int (*)(int, const char**)>(dlsym(driver, "cuGetErrorString"));
  if (!initialise || !count_devices || !name_device || !name_error) {
    report.problem = "the driver library libcuda.so.1 lacks functions; reinstall the NVIDIA driver";
    return report;
  }
  int count = 0;
  int status = initialise(0);
  if (status == 0) status = count_devices(&count);
  if (status != 0) {
    const char* text = nullptr;
    name_error(status, &text);
    report.problem = std::string("the NVIDIA driver reports: ") + (text ? text : "unknown error");
    return report;
  }
  if (count == 0) {
    report.problem = "the NVIDIA driver sees no GPU";
    if (const char* visible = std::getenv("CUDA_VISIBLE_DEVICES")) {
      report.problem += std::string(" (CUDA_VISIBLE_DEVICES is '") + visible + "')";
    }
    return report;
  }
  for (int device = 0; device < count; ++device) {
    char name[256] = "";
    name_device(name, sizeof name, device);
    report.names.emplace_back(name);
  }
  return report;
}

// Folder of the shared library that holds `symbol`.
fs::path FolderOf(const void* symbol) {
  Dl_info info{};
  if (dladdr(symbol, &info) == 0 || info.dli_fname == nullptr) return {};
  return fs::absolute(info.dli_fname).parent_path();
}

std::string LoadLibrary(const fs::path& path) {
  if (dlopen(path.c_str(), RTLD_NOW | RTLD_GLOBAL) != nullptr) return "";
  const char* reason = dlerror();
  return reason ? reason : "unknown reason";
}

struct CudaState {
  std::string problem;  // "" when usable
  std::vector<std::string> names;
};

CudaState LoadCuda() {
  DriverReport driver = AskDriver();
  if (!driver.problem.empty()) return {driver.problem, {}};
  const fs::path torch = FolderOf(reinterpret_cast<const void*>(&at::get_num_threads));
  if (const std::string reason = LoadLibrary(torch / "libtorch_cuda.so"); !reason.empty()) {
    return {"the CUDA half of LibTorch cannot be loaded (" + reason +
                "); install the NVIDIA packages that the wheel torch " TORCH_VERSION " names",
            {}};
  }
  // Our own CUDA kernels live in a library beside the engine, absent in builds without nvcc.
  const fs::path kernels =
      FolderOf(reinterpret_cast<const void*>(&DescribeDevices)) / "libavocet_kernels_cuda.so";
  if (fs::exists(kernels)) {
    if (const std::string reason = LoadLibrary(kernels); !reason.empty()) {
      return {"Avocet's CUDA kernels cannot be loaded: " + reason, {}};
    }
  }
  const auto op = c10::Dispatcher::singleton().findSchema({"avocet::bi_wkv", ""});
  if (!op || !op->hasKernelForDispatchKey(c10::DispatchKey::CUDA)) {
    return {
        "this build has no CUDA kernels; build Avocet where nvcc is installed "
        "(-DAVOCET_CUDA=ON)",
        {}};
  }
  if (!at::hasCUDA()) return {"LibTorch was loaded without its CUDA half", {}};
  return {"", driver.names};
}

// Loaded at most once; what came of it stays true for the process.
const CudaState& Cuda() {
  static const CudaState state = [] {
    CudaState loaded = LoadCuda();
    // float32 is to be float32; see models/precision.h.
    at::globalContext().setAllowTF32CuDNN(false);
    at::globalContext().setAllowTF32CuBLAS(false);
    return loaded;
  }();
  return state;
}

bool DriverIsVisible() {
  if (access("/dev/nvidia0", F_OK) == 0 || access("/dev/dxg", F_OK) == 0) return true;
  return std::getenv("CUDA_VISIBLE_DEVICES") != nullptr && AskDriver().problem.empty();
}

}  // namespace

c10::Device SelectDevice(const DeviceRequest& request, Progress& progress) {
  if (const std::string wrong = request.Check(); !wrong.empty()) throw OptionError(wrong);
  at::set_num_threads(request.threads > 0 ? request.threads : UsableCores());
  if (request.text == "cpu") return c10::Device(c10::kCPU);
  if (request.text == "auto") {
    if (!DriverIsVisible()) {
      if (request.graph)
        throw OptionError("--cuda-graph needs a GPU, and none is there; leave it out");
      return c10::Device(c10::kCPU);
    }
    if (Cuda().problem.empty()) return c10::Device(c10::kCUDA, 0);
    progress.Warn("a GPU is visible but not used: " + Cuda().problem);
    return c10::Device(c10::kCPU);
  }
  const CudaState& cuda = Cuda();
  if (!cuda.problem.empty()) {
    throw DeviceError("--device " + request.text + " is not possible: " + cuda.problem +
                      "; use --device cpu");
  }
  const size_t colon = request.text.find(':');
  const int index = colon == std::string::npos ? 0 : std::atoi(request.text.c_str() + colon + 1);
  if (index >= static_cast<int>(cuda.names.size())) {
    throw DeviceError("--device " + request.text + " is not possible: this machine has " +
                      std::to_string(cuda.names.size()) + " GPU(s), counted from cuda:0");
  }
  return c10::Device(c10::kCUDA, static_cast<c10::DeviceIndex>(index));
}

std::string DescribeDevice(const c10::Device& device) {
  if (device.is_cuda()) {
    return "CUDA:" + std::to_string(device.index()) + " (" + Cuda().names.at(device.index()) + ")";
  }
  return "CPU, " + std::to_string(at::get_num_threads()) + " threads";
}

DeviceReport DescribeDevices() {
  DeviceReport report;
  report.torch_version = TORCH_VERSION;
  report.threads = UsableCores();
  const CudaState& cuda = Cuda();
  report.cuda_available = cuda.problem.empty();
  report.cuda_reason = cuda.problem;
  report.cuda_names = cuda.names;
  return report;
}

}  // namespace avocet::core

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "app/base/progress.h"

// The jobs that need LibTorch live in libavocet_engine.so, which is loaded on first use: LibTorch
// costs 0.3 s and 115 MB, and `avocet --help`, `info` or `evaluate` have no use for it. It also
// lets main() set the OpenMP environment and the device before any of it is in memory.
namespace avocet::core {

struct SegmentOptions;
struct SegmentResult;
struct TranslateOptions;
struct TranslateResult;
struct ForwardJobOptions;
struct ForwardJobResult;
struct TrainOptions;
struct TrainResult;
struct TrainTranslationOptions;
struct TrainTranslationResult;
struct LpipsOptions;
struct LpipsResult;
struct DeviceRequest;
struct DeviceReport;

// One entry a job. Add a job: declare its structs above, add a pointer here, fill it in engine.cc.
struct Engine {
  SegmentResult (*segment)(const SegmentOptions&, Progress&);
  TranslateResult (*translate)(const TranslateOptions&, Progress&);
  ForwardJobResult (*forward)(const ForwardJobOptions&, Progress&);
  TrainResult (*train)(const TrainOptions&, Progress&);
  TrainTranslationResult (*train_translation)(const TrainTranslationOptions&, Progress&);
  LpipsResult (*lpips)(const LpipsOptions&, Progress&);
  DeviceReport (*describe_devices)();
};

// Loads the engine on the first call. Throws DeviceError with the loader's reason when LibTorch or
// the engine library cannot be loaded.
const Engine& LoadEngine();

}  // namespace avocet::core

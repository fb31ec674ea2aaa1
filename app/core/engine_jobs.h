// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "app/base/progress.h"
#include "app/core/engine.h"

// The jobs behind the engine's table; linked only inside libavocet_engine.so and its tests.
namespace avocet::core {

SegmentResult RunSegment(const SegmentOptions& options, Progress& progress);
TranslateResult RunTranslate(const TranslateOptions& options, Progress& progress);
ForwardJobResult RunForward(const ForwardJobOptions& options, Progress& progress);
TrainResult RunTrain(const TrainOptions& options, Progress& progress);
TrainTranslationResult RunTrainTranslation(const TrainTranslationOptions& options,
                                           Progress& progress);
LpipsResult RunLpips(const LpipsOptions& options, Progress& progress);
DeviceReport DescribeDevices();

}  // namespace avocet::core

// SPDX-License-Identifier: Apache-2.0
#include "app/core/engine.h"

#include "app/core/device.h"
#include "app/core/engine_jobs.h"
#include "app/core/forward.h"
#include "app/core/lpips.h"
#include "app/core/segment.h"
#include "app/core/train.h"
#include "app/core/train_translation.h"
#include "app/core/translate.h"

extern "C" __attribute__((visibility("default"))) const avocet::core::Engine* avocet_engine() {
  using namespace avocet::core;
  static const Engine engine{
      &RunSegment,          &RunTranslate, &RunForward,      &RunTrain,
      &RunTrainTranslation, &RunLpips,     &DescribeDevices,
  };
  return &engine;
}

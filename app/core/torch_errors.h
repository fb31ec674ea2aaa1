// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <c10/util/Exception.h>

#include <new>
#include <string>

#include "app/base/error.h"

// Inside the engine only.
namespace avocet::core {

// Runs `work` and translates LibTorch's errors at the engine's wall: memory that is short becomes a
// sentence the user can act on, everything else a defect of ours without the backtrace.
template <typename Work>
auto WithTorchErrors(Work&& work) {
  try {
    return work();
  } catch (const c10::OutOfMemoryError&) {
    throw DeviceError(
        "the GPU has not enough memory for this; use a smaller --batch or --device cpu");
  } catch (const c10::Error& error) {
    const std::string text = error.what_without_backtrace();
    if (text.find("can't allocate memory") != std::string::npos) throw std::bad_alloc();
    throw std::runtime_error(text);
  }
}

}  // namespace avocet::core

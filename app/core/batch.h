// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <new>
#include <vector>

#include "app/base/error.h"

namespace avocet::core {

// Calls run(i) for each case i (a struct with `input` and `error`) without an error yet, and
// returns how many have one in the end. Of `several`, one bad file does not stop the rest: its
// IoError or lack of memory becomes the case's error. What is wrong with the run itself (options,
// model, device, Cancelled), and the error of a single case, is thrown.
template <typename Case, typename Run>
int RunBatch(bool several, std::vector<Case>& cases, Run&& run) {
  int failed = 0;
  for (size_t i = 0; i < cases.size(); ++i) {
    Case& item = cases[i];
    if (!several) {
      run(i);
      continue;
    }
    if (item.error.empty()) {
      try {
        run(i);
      } catch (const IoError& error) {
        item.error = error.what();
      } catch (const std::bad_alloc&) {
        item.error = "'" + item.input.string() + "' needs more memory than there is";
      }
    }
    if (!item.error.empty()) ++failed;
  }
  return failed;
}

}  // namespace avocet::core

// SPDX-License-Identifier: Apache-2.0
// Linked into the tests that use LibTorch: its generator, which starts differently in each process,
// is reset before each of them.
#include <ATen/CPUGeneratorImpl.h>

#include <mutex>

#include "tests/support/test_support.h"

namespace avocet::test {
namespace {

[[maybe_unused]] const bool kSeeded = [] {
  SeedBeforeEachTest([] {
    // Not at::manual_seed: it asks for CUDA, which must not be asked for before it is loaded.
    at::Generator generator = at::detail::getDefaultCPUGenerator();
    const std::lock_guard lock(generator.mutex());
    generator.set_current_seed(1);
  });
  return true;
}();

}  // namespace
}  // namespace avocet::test

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <functional>

namespace avocet::io {

// Calls work(i) for every i in [0, count) on the calling thread and up to `threads - 1` others.
// `tick(done)` is called on the calling thread between its own items and may throw to stop the
// rest. The exception of the lowest i that failed is rethrown, so that the error does not depend on
// the number of threads.
void ParallelFor(size_t count, int threads, const std::function<void(size_t)>& work,
                 const std::function<void(size_t)>& tick);

// Threads that reading uses: what the machine has, at most four (the disk is the limit then).
int ReadingThreads();

}  // namespace avocet::io

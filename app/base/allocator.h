// SPDX-License-Identifier: Apache-2.0
#pragma once

#if defined(__GLIBC__)
#include <malloc.h>
#endif

namespace avocet {

// Makes malloc keep freed memory up to half a gigabyte instead of returning every large block to
// the system. Networks allocate and free the same activations again and again; fetching their pages
// anew costs up to a third of a forward pass. Call it before LibTorch is in use.
inline void KeepFreedMemory() {
#if defined(__GLIBC__)
  mallopt(M_MMAP_THRESHOLD, 1 << 30);
  mallopt(M_TRIM_THRESHOLD, 1 << 29);
  mallopt(M_TOP_PAD, 1 << 26);
#endif
}

}  // namespace avocet

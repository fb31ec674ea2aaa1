// SPDX-License-Identifier: Apache-2.0
#define AVOCET_ISA avx2
#define AVOCET_ISA_NAME "avx2"
#include "kernels/linear_cpu_impl.h"

// SPDX-License-Identifier: Apache-2.0
#define AVOCET_ISA avx512
#define AVOCET_ISA_NAME "avx512"
#include "kernels/token_cpu_impl.h"

// SPDX-License-Identifier: Apache-2.0
#define AVOCET_ISA scalar
#define AVOCET_ISA_NAME "scalar"
#include "kernels/stem_cpu_impl.h"

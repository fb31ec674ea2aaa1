// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace avocet::kernels {

// Instruction sets for which the CPU kernels are compiled, each in a namespace of this name.
enum class CpuIsa { kScalar, kAvx2, kAvx512 };

// The best one of this processor. AVOCET_ISA=scalar or avx2 in the environment asks for a lesser
// one.
CpuIsa SelectCpuIsa();

}  // namespace avocet::kernels

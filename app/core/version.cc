// SPDX-License-Identifier: Apache-2.0
#include "app/core/version.h"

namespace avocet::core {

const char* Version() { return AVOCET_VERSION; }

}  // namespace avocet::core

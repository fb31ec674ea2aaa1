// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace avocet::gui {

// A job's sentence with the names of the command line's options replaced by those of the window.
std::string WindowWords(std::string sentence);

}  // namespace avocet::gui

// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace avocet::gui {

// Numbers with a point, whatever the language of the desktop. QApplication takes over the locale of
// the environment; with a German one, CSV files would be written and headers parsed with commas.
// To be called after the QApplication is made.
void UsePlainNumbers();

}  // namespace avocet::gui

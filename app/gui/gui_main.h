// SPDX-License-Identifier: Apache-2.0
#pragma once

// The entry of libavocet_gui.so, which `avocet gui` loads: opens the window with `files` and
// returns the exit code when it is closed. Qt and VTK are in the memory of this subcommand only.
extern "C" __attribute__((visibility("default"))) int avocet_gui_main(const char* const* files,
                                                                      int count);

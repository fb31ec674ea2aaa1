// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace avocet::io {

// Puts Avocet's readers and writers in front of all others of itk::ImageIOFactory. To be called
// before the first itk::ImageFileReader of a program that links avocet_io; ReadVolume calls it
// itself. More calls, also from several threads or libraries of one process, change nothing.
void RegisterImageIo();

}  // namespace avocet::io

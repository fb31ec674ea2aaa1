// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "io/format.h"

namespace avocet::io {

// One function a format, defined in the format's file and listed in io/format_registry.cc.
const Format& NiftiFormat();
const Format& DicomSegFormat();  // before DicomFormat: it is DICOM too
const Format& DicomFormat();
const Format& NrrdFormat();
const Format& MetaImageFormat();
const Format& NpzFormat();
const Format& NpyFormat();
const Format& Hdf5Format();
const Format& PngFormat();
const Format& JpegFormat();
const Format& TiffFormat();
const Format& MghFormat();
const Format& MincFormat();  // before Hdf5Format: it is HDF5 too
const Format& VtkFormat();
const Format& GiplFormat();
const Format& MrcFormat();

}  // namespace avocet::io

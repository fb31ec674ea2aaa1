// SPDX-License-Identifier: Apache-2.0
#pragma once

// Tables of resources/ that io/ needs, compiled in (resources.cc.in), so that they cannot be lost.
namespace avocet::io::resources {

const char* SegmentCodes();            // segment_codes.tsv
const char* ConfidentialityProfile();  // confidentiality_profile.tsv

}  // namespace avocet::io::resources

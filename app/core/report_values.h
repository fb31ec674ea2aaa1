// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "models/metrics/aggregate.h"

// How reports write numbers: undefined is null in JSON and an empty cell in CSV, infinity is "inf".
namespace avocet::core {

nlohmann::ordered_json NumberJson(double value);
nlohmann::ordered_json SummaryJson(const metrics::ClassSummary& summary);

// Quoted where needed (RFC 4180).
std::string CsvField(const std::string& text);
// The shortest text that reads back to the same double.
std::string CsvNumber(double value);

}  // namespace avocet::core

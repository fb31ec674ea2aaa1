// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "app/core/evaluate.h"

namespace avocet::core {

// Aligned text for people: cases (when there are at most `max_rows` rows of case and class),
// classes over cases, comparison. One table a protocol.
std::string EvaluateTable(const EvaluateResult& result, int max_rows = 60);

// One row for each case and class; columns "protocol.metric". Lines that begin with # before the
// header state version, protocols, definitions and units (pandas: comment="#"). Undefined is an
// empty cell, infinity "inf"; a case that failed has one row with its error in the last column.
std::string EvaluateCsv(const EvaluateResult& result);

// One row for each slice of each case of a translation, with definitions in # lines before the
// header.
std::string EvaluateSlicesCsv(const EvaluateResult& result);

// Everything: definitions, cases, summaries, comparison. Undefined is null, infinity "inf".
std::string EvaluateJson(const EvaluateResult& result);

}  // namespace avocet::core

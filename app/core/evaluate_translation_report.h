// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "app/core/evaluate.h"

// The parts of the reports that only translations have.
namespace avocet::core {

// Of each protocol: metrics by region for one case; otherwise means over volumes (and over
// subjects, where one has several), the first columns of each case, and means over slices.
std::string TranslationTables(const EvaluateResult& result, const EvaluatedSet& set, int max_rows);

nlohmann::ordered_json TranslationCaseJson(const EvaluateResult& result, const EvaluatedCase& item);
nlohmann::ordered_json TranslationSetJson(const EvaluateResult& result, const EvaluatedSet& set);

}  // namespace avocet::core

// SPDX-License-Identifier: Apache-2.0
#include "app/core/evaluate_translation_report.h"

#include <algorithm>
#include <cmath>

#include "app/core/evaluate_report.h"
#include "app/core/report_values.h"
#include "app/core/text_table.h"
#include "app/core/version.h"

namespace avocet::core {
namespace {

using metrics::ClassSummary;
using nlohmann::ordered_json;

std::string MeanCell(const ClassSummary& s, const std::string& unit) {
  if (s.n == 0) return "-";
  std::string text = TextOfValue(s.summary.mean, unit);
  if (s.n > 1 && std::isfinite(s.summary.std)) text += " ± " + TextOfValue(s.summary.std, unit);
  if (s.n_undefined > 0) text += " (n " + std::to_string(s.n) + ")";
  return text;
}

size_t Scored(const EvaluatedSet& set) {
  return set.cases.size() - static_cast<size_t>(set.failed);
}

// Metrics down, regions (and kinds of mean) across.
std::string MetricTable(const EvaluateResult& result, const EvaluatedSet& set, size_t p) {
  const metrics::Protocol& protocol = result.protocols[p];
  const bool several = Scored(set) > 1;
  const bool subjects = set.subjects.size() < Scored(set);
  TextTable table(2);
  std::vector<std::string> head{"metric", "unit"};
  for (const EvaluatedClass& region : result.classes) {
    head.push_back(region.name + (several ? ", " + std::to_string(Scored(set)) + " cases" : ""));
    if (several && subjects)
      head.push_back(region.name + ", " + std::to_string(set.subjects.size()) + " subjects");
  }
  table.Add(head);
  for (size_t m = 0; m < protocol.columns.size(); ++m) {
    const metrics::MetricColumn& column = protocol.columns[m];
    std::vector<std::string> row{column.name, column.unit};
    for (size_t c = 0; c < result.classes.size(); ++c) {
      row.push_back(MeanCell(set.summaries[p][c][m], column.unit));
      if (several && subjects) row.push_back(MeanCell(set.subject_summaries[p][c][m], column.unit));
    }
    table.Add(row);
  }
  return table.Text();
}

std::string CaseTable(const EvaluateResult& result, const EvaluatedSet& set, size_t p) {
  constexpr size_t kShown = 5;
  const metrics::Protocol& protocol = result.protocols[p];
  const size_t columns = std::min(kShown, protocol.columns.size());
  const bool regions = result.classes.size() > 1;
  TextTable table(regions ? 2 : 1);
  std::vector<std::string> head{"case"};
  if (regions) head.push_back("region");
  for (size_t m = 0; m < columns; ++m) head.push_back(protocol.columns[m].name);
  table.Add(head);
  for (const EvaluatedCase& item : set.cases) {
    if (!item.error.empty()) continue;
    for (size_t c = 0; c < result.classes.size(); ++c) {
      std::vector<std::string> row{item.name};
      if (regions) row.push_back(result.classes[c].name);
      for (size_t m = 0; m < columns; ++m) {
        const metrics::MetricValue& v = item.classes[c].values[p][m];
        row.push_back(v.HasValue() ? TextOfValue(v.value, protocol.columns[m].unit) : "-");
      }
      table.Add(row);
    }
  }
  return table.Text();
}

std::string SliceTable(const EvaluateResult& result, const EvaluatedSet& set) {
  TextTable table(2);
  table.Add({"over slices", "unit", "n", "mean ± sd", "lowest", "highest"});
  for (size_t m = 0; m < result.slice_columns.size(); ++m) {
    const ClassSummary& s = set.slice_summaries[m];
    const std::string& unit = result.slice_columns[m].unit;
    if (s.n == 0) continue;
    std::string mean = TextOfValue(s.summary.mean, unit);
    if (s.n > 1 && std::isfinite(s.summary.std)) mean += " ± " + TextOfValue(s.summary.std, unit);
    table.Add({result.slice_columns[m].name, unit, std::to_string(s.n), mean,
               TextOfValue(s.summary.minimum, unit), TextOfValue(s.summary.maximum, unit)});
  }
  return table.Text();
}

std::string SliceRows(const EvaluatedSet& set, const std::string& name) {
  std::string csv;
  for (const EvaluatedCase& item : set.cases) {
    for (const EvaluatedSlice& row : item.slices) {
      csv += CsvField(name) + "," + CsvField(item.name) + "," + CsvField(item.subject) + "," +
             item.plane + "," + std::to_string(row.slice);
      for (const double v : row.values) csv += "," + CsvNumber(v);
      csv += "\n";
    }
  }
  return csv;
}

}  // namespace

std::string TranslationTables(const EvaluateResult& result, const EvaluatedSet& set, int max_rows) {
  std::string text;
  for (size_t p = 0; p < result.protocols.size(); ++p) {
    const metrics::Protocol& protocol = result.protocols[p];
    text += "\nprotocol " + protocol.name + ": " + protocol.description + "\n";
    text += "  special cases: " + protocol.empty_rule + "\n\n";
    const size_t rows = Scored(set) * result.classes.size();
    if (Scored(set) > 1 && rows <= static_cast<size_t>(std::max(max_rows, 0))) {
      text += CaseTable(result, set, p) + "\n";
    }
    text += MetricTable(result, set, p);
  }
  bool slices = false;
  for (const EvaluatedCase& item : set.cases) slices = slices || item.slices.size() > 1;
  if (slices) text += "\n" + SliceTable(result, set);
  return text;
}

ordered_json TranslationCaseJson(const EvaluateResult& result, const EvaluatedCase& item) {
  ordered_json json;
  json["subject"] = item.subject;
  json["plane"] = item.plane;
  json["data_range"] = NumberJson(item.data_range);
  json["slices"] = ordered_json::array();
  for (const EvaluatedSlice& row : item.slices) {
    ordered_json entry{{"slice", row.slice}};
    for (size_t m = 0; m < result.slice_columns.size(); ++m)
      entry[result.slice_columns[m].name] = NumberJson(row.values[m]);
    json["slices"].push_back(std::move(entry));
  }
  json["spectrum"] = ordered_json::array();
  for (const metrics::SpectrumRing& ring : item.spectrum) {
    json["spectrum"].push_back({{"above", ring.low},
                                {"up_to", ring.high},
                                {"power_ratio", NumberJson(ring.power_ratio)},
                                {"coherence", NumberJson(ring.coherence)}});
  }
  return json;
}

ordered_json TranslationSetJson(const EvaluateResult& result, const EvaluatedSet& set) {
  ordered_json json;
  json["slice_columns"] = ordered_json::array();
  for (size_t m = 0; m < result.slice_columns.size(); ++m) {
    const metrics::MetricColumn& column = result.slice_columns[m];
    json["slice_columns"].push_back({{"name", column.name},
                                     {"unit", column.unit},
                                     {"definition", column.definition},
                                     {"over_all_slices", SummaryJson(set.slice_summaries[m])}});
  }
  json["subjects"] = ordered_json::array();
  for (const EvaluatedSubject& subject : set.subjects) {
    ordered_json row{{"subject", subject.name}, {"cases", subject.cases}};
    for (size_t p = 0; p < result.protocols.size(); ++p)
      for (size_t c = 0; c < result.classes.size(); ++c)
        for (size_t m = 0; m < result.protocols[p].columns.size(); ++m)
          row["means"][result.protocols[p].name][result.classes[c].name]
             [result.protocols[p].columns[m].name] = NumberJson(subject.values[p][c][m]);
    json["subjects"].push_back(std::move(row));
  }
  for (size_t p = 0; p < result.protocols.size(); ++p)
    for (size_t c = 0; c < result.classes.size(); ++c)
      for (size_t m = 0; m < result.protocols[p].columns.size(); ++m)
        json["over_subjects"][result.protocols[p].name][result.classes[c].name]
            [result.protocols[p].columns[m].name] = SummaryJson(set.subject_summaries[p][c][m]);
  return json;
}

std::string EvaluateSlicesCsv(const EvaluateResult& result) {
  std::string csv =
      std::string("# avocet ") + Version() + " evaluate, task " + result.task + ", slices\n";
  for (const auto& column : result.slice_columns)
    csv += "# " + column.name + " [" + column.unit + "]: " + column.definition + "\n";
  csv += "set,case,subject,plane,slice";
  for (const auto& column : result.slice_columns) csv += "," + column.name;
  csv += "\n";
  return csv + SliceRows(result.set, result.prediction_name) +
         SliceRows(result.compared, result.compare_name);
}

}  // namespace avocet::core

// SPDX-License-Identifier: Apache-2.0
#include "app/core/evaluate_report.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "app/core/evaluate_translation_report.h"
#include "app/core/report_values.h"
#include "app/core/text_table.h"
#include "app/core/version.h"

namespace avocet::core {
namespace {

using metrics::MetricValue;
using metrics::Presence;
using metrics::ValueState;
using nlohmann::ordered_json;

const char* NameOf(Presence presence) {
  switch (presence) {
    case Presence::kBoth:
      return "both";
    case Presence::kMissed:
      return "reference only";
    case Presence::kSpurious:
      return "prediction only";
    case Presence::kBothEmpty:
      return "neither";
  }
  return "";
}

const char* NameOf(ValueState state) {
  switch (state) {
    case ValueState::kDefined:
      return "defined";
    case ValueState::kUndefined:
      return "undefined";
    case ValueState::kRaises:
      return "undefined (the library raises an error)";
    case ValueState::kSubstituted:
      return "substituted by the protocol";
  }
  return "";
}

const char* NameOf(const metrics::WilcoxonResult& r) {
  if (r.permutation) return "all sign changes";
  return r.method == metrics::WilcoxonMethod::kExact ? "exact" : "asymptotic";
}

std::string Format(const char* format, double value) {
  char text[48];
  std::snprintf(text, sizeof text, format, value);
  return text;
}

std::string ValueCell(const MetricValue& v, const std::string& unit) {
  if (!v.HasValue()) return "-";
  return TextOfValue(v.value, unit) + (v.state == ValueState::kSubstituted ? "*" : "");
}

std::string CaseTable(const EvaluateResult& result, const EvaluatedSet& set, size_t p) {
  const metrics::Protocol& protocol = result.protocols[p];
  TextTable table(2);
  std::vector<std::string> head{"case", "class"};
  for (const auto& column : protocol.columns) head.push_back(column.name);
  table.Add(head);
  for (const EvaluatedCase& item : set.cases) {
    if (!item.error.empty()) continue;
    for (size_t c = 0; c < result.classes.size(); ++c) {
      std::vector<std::string> row{item.name, result.classes[c].name};
      for (size_t m = 0; m < protocol.columns.size(); ++m)
        row.push_back(ValueCell(item.classes[c].values[p][m], protocol.columns[m].unit));
      table.Add(row);
    }
  }
  return table.Text();
}

// "0.9123 ± 0.0210", and the number of values where some are missing.
std::string SummaryCell(const metrics::ClassSummary& s, const std::string& unit) {
  if (s.n == 0) return "-";
  std::string text = TextOfValue(s.summary.mean, unit);
  if (s.n > 1 && std::isfinite(s.summary.std)) text += " ± " + TextOfValue(s.summary.std, unit);
  if (s.n_undefined > 0) text += " (n " + std::to_string(s.n) + ")";
  return text;
}

std::string ClassTable(const EvaluateResult& result, const EvaluatedSet& set, size_t p) {
  const metrics::Protocol& protocol = result.protocols[p];
  TextTable table(1);
  std::vector<std::string> head{"class", "cases", "missed", "spurious", "absent"};
  for (const auto& column : protocol.columns) head.push_back(column.name);
  table.Add(head);
  for (size_t c = 0; c < result.classes.size(); ++c) {
    const auto& columns = set.summaries[p][c];
    std::vector<std::string> row{result.classes[c].name};
    if (!columns.empty()) {
      const metrics::ClassSummary& s = columns[0];
      row.push_back(std::to_string(s.n + s.n_undefined));
      row.push_back(std::to_string(s.n_missed));
      row.push_back(std::to_string(s.n_spurious));
      row.push_back(std::to_string(s.n_both_empty));
    }
    for (size_t m = 0; m < columns.size(); ++m)
      row.push_back(SummaryCell(columns[m], protocol.columns[m].unit));
    table.Add(row);
  }
  if (result.classes.size() > 1) {
    std::vector<std::string> row{"mean of classes", "", "", "", ""};
    for (size_t m = 0; m < protocol.columns.size(); ++m) {
      const bool score = protocol.columns[m].is_score;
      row.push_back(score ? TextOfValue(set.overall[p][m].value, protocol.columns[m].unit) : "");
    }
    table.Add(row);
  }
  return table.Text();
}

int64_t UndefinedIn(const EvaluatedSet& set, size_t p) {
  int64_t n = 0;
  for (const auto& overall : set.overall[p]) n += overall.n_undefined;
  return n;
}

std::string ComparisonTable(const EvaluateResult& result) {
  TextTable table(3);
  table.Add({"protocol", "metric", "class", "n", "mean A", "mean B", "B - A", "95 % interval",
             "Wilcoxon p"});
  for (const PairedComparison& row : result.comparisons) {
    const auto number = [](double v) {
      return std::isnan(v) ? std::string("-") : Format("%.4g", v);
    };
    table.Add(
        {row.protocol, row.column, row.class_name, std::to_string(row.n), number(row.mean_a),
         number(row.mean_b), number(row.difference),
         row.n > 1 ? "[" + number(row.interval.low) + ", " + number(row.interval.high) + "]" : "-",
         number(row.wilcoxon.p)});
  }
  return table.Text();
}

std::string SetTables(const EvaluateResult& result, const EvaluatedSet& set, int max_rows) {
  std::string text;
  const size_t scored = set.cases.size() - static_cast<size_t>(set.failed);
  if (scored == 0) return "  no case could be scored\n";
  for (const EvaluatedCase& item : set.cases)
    if (item.forced)
      text += "FORCED " + item.name + ": the masks lie in different frames of reference\n";
  if (result.task == "translation") return TranslationTables(result, set, max_rows);
  for (size_t p = 0; p < result.protocols.size(); ++p) {
    const metrics::Protocol& protocol = result.protocols[p];
    text += "\nprotocol " + protocol.name + ": " + protocol.description + "\n";
    text += "  empty masks: " + protocol.empty_rule + "\n\n";
    const size_t rows = scored * result.classes.size();
    const bool cases = rows <= static_cast<size_t>(std::max(max_rows, 0));
    if (cases) text += CaseTable(result, set, p);
    if (!cases || scored > 1) text += (cases ? "\n" : "") + ClassTable(result, set, p);
    if (!cases)
      text += "  (" + std::to_string(rows) +
              " rows of single cases not shown; see --rows, --csv, --json)\n";
    bool substituted = false;
    for (const auto& columns : set.summaries[p])
      for (const auto& s : columns) substituted = substituted || s.n_substituted > 0;
    if (substituted && cases) text += "  * put in by the protocol's rule for empty masks\n";
    if (const int64_t undefined = UndefinedIn(set, p); undefined > 0)
      text +=
          "  " + std::to_string(undefined) + " undefined values (-) are left out of the means\n";
  }
  return text;
}

ordered_json SetJson(const EvaluateResult& result, const EvaluatedSet& set) {
  ordered_json json;
  json["failed"] = set.failed;
  json["unpaired_predictions"] = set.unpaired_predictions;
  json["unpaired_references"] = set.unpaired_references;
  json["summary"] = ordered_json::array();
  for (size_t p = 0; p < result.protocols.size(); ++p) {
    const metrics::Protocol& protocol = result.protocols[p];
    ordered_json block;
    block["protocol"] = protocol.name;
    for (size_t c = 0; c < result.classes.size(); ++c) {
      ordered_json row;
      row["label"] = result.classes[c].label;
      row["class"] = result.classes[c].name;
      if (!set.summaries[p][c].empty()) {
        const metrics::ClassSummary& s = set.summaries[p][c][0];
        row["n_cases"] = s.n + s.n_undefined;
        row["n_missed"] = s.n_missed;
        row["n_spurious"] = s.n_spurious;
        row["n_both_empty"] = s.n_both_empty;
      }
      for (size_t m = 0; m < protocol.columns.size(); ++m)
        row["metrics"][protocol.columns[m].name] = SummaryJson(set.summaries[p][c][m]);
      block["classes"].push_back(std::move(row));
    }
    block["overall"]["order"] = metrics::NameOf(metrics::AggregationOrder::kClassThenMean);
    for (size_t m = 0; m < protocol.columns.size(); ++m) {
      if (!protocol.columns[m].is_score) continue;
      block["overall"][protocol.columns[m].name] = {{"value", NumberJson(set.overall[p][m].value)},
                                                    {"n_undefined", set.overall[p][m].n_undefined}};
    }
    json["summary"].push_back(std::move(block));
  }
  if (result.task == "translation") json.update(TranslationSetJson(result, set));
  json["cases"] = ordered_json::array();
  for (const EvaluatedCase& item : set.cases) {
    ordered_json row;
    row["case"] = item.name;
    row["prediction"] = item.prediction.filename().string();
    row["reference"] = item.reference.filename().string();
    if (!item.notes.empty()) row["notes"] = item.notes;
    if (item.forced) row["forced"] = "a mask of another frame of reference was laid on the other";
    if (!item.error.empty()) {
      row["error"] = item.error;
      if (item.other_space) row["refused"] = "other frame of reference";
      json["cases"].push_back(std::move(row));
      continue;
    }
    row["size_ijk"] = item.size;
    row["spacing_ijk_mm"] = item.spacing_mm;
    row["dims"] = item.dims;
    if (result.task == "translation") row.update(TranslationCaseJson(result, item));
    for (size_t c = 0; c < result.classes.size(); ++c) {
      const metrics::ClassScores& scores = item.classes[c];
      ordered_json entry;
      entry["class"] = result.classes[c].name;
      if (result.task == "segmentation") {
        entry["label"] = result.classes[c].label;
        entry["present_in"] = NameOf(scores.presence);
        entry["voxels"] = {{"prediction", scores.counts.prediction},
                           {"reference", scores.counts.reference},
                           {"both", scores.counts.true_positive}};
      }
      for (size_t p = 0; p < result.protocols.size(); ++p) {
        const auto& columns = result.protocols[p].columns;
        for (size_t m = 0; m < columns.size(); ++m) {
          const MetricValue& v = scores.values[p][m];
          entry["values"][result.protocols[p].name][columns[m].name] =
              v.HasValue() ? NumberJson(v.value) : ordered_json(nullptr);
          if (v.state != ValueState::kDefined)
            entry["not_plain"][result.protocols[p].name][columns[m].name] = NameOf(v.state);
        }
      }
      row["classes"].push_back(std::move(entry));
    }
    json["cases"].push_back(std::move(row));
  }
  return json;
}

void CsvRows(const EvaluateResult& result, const EvaluatedSet& set, const std::string& set_name,
             std::string& csv) {
  size_t values = 0;
  for (const auto& protocol : result.protocols) values += protocol.columns.size();
  for (const EvaluatedCase& item : set.cases) {
    const std::string start = CsvField(set_name) + "," + CsvField(item.name);
    if (!item.error.empty()) {
      csv += start + ",,,,,," + std::string(values, ',') + CsvField(item.error) + "\n";
      continue;
    }
    for (size_t c = 0; c < result.classes.size(); ++c) {
      const metrics::ClassScores& scores = item.classes[c];
      csv += start + "," + std::to_string(result.classes[c].label) + "," +
             CsvField(result.classes[c].name) + ",";
      if (result.task == "segmentation")
        csv += std::string(NameOf(scores.presence)) + "," +
               std::to_string(scores.counts.prediction) + "," +
               std::to_string(scores.counts.reference);
      else
        csv += ",,";
      for (const auto& columns : scores.values)
        for (const MetricValue& v : columns) csv += "," + (v.HasValue() ? CsvNumber(v.value) : "");
      csv += ",\n";
    }
  }
}

}  // namespace

std::string EvaluateTable(const EvaluateResult& result, int max_rows) {
  std::string text;
  if (result.comparisons.empty()) {
    text = SetTables(result, result.set, max_rows);
  } else {
    text = "A: " + result.prediction_name + "\n" + SetTables(result, result.set, max_rows) +
           "\nB: " + result.compare_name + "\n" + SetTables(result, result.compared, max_rows) +
           "\nB against A, cases that both have (paired; p without correction for the number of "
           "tests; " +
           std::to_string(result.resamples) + " bootstrap resamples)\n\n" + ComparisonTable(result);
  }
  text.erase(0, text.find_first_not_of('\n'));
  return text;
}

std::string EvaluateCsv(const EvaluateResult& result) {
  std::string csv = std::string("# avocet ") + Version() + " evaluate, task " + result.task + "\n";
  for (const auto& protocol : result.protocols) {
    csv += "# protocol " + protocol.name + ": " + protocol.description +
           " Special cases: " + protocol.empty_rule + "\n";
    for (const auto& column : protocol.columns)
      csv += "# " + protocol.name + "." + column.name + " [" + column.unit +
             "]: " + column.definition + "\n";
  }
  for (const EvaluatedSet* set : {&result.set, &result.compared})
    for (const EvaluatedCase& item : set->cases)
      if (item.forced) csv += "# forced, other frame of reference: " + CsvField(item.name) + "\n";
  csv += "set,case,label,class,present_in,voxels_pred,voxels_ref";
  for (const auto& protocol : result.protocols)
    for (const auto& column : protocol.columns) csv += "," + protocol.name + "." + column.name;
  csv += ",error\n";
  CsvRows(result, result.set, result.prediction_name, csv);
  CsvRows(result, result.compared, result.compare_name, csv);
  return csv;
}

std::string EvaluateJson(const EvaluateResult& result) {
  ordered_json json;
  json["avocet"] = Version();
  json["job"] = "evaluate";
  json["task"] = result.task;
  json["notice"] = "Research use, not for diagnosis";
  for (const auto& protocol : result.protocols) {
    ordered_json block{{"name", protocol.name},
                       {"description", protocol.description},
                       {"special_cases", protocol.empty_rule}};
    for (const auto& column : protocol.columns)
      block["columns"].push_back({{"name", column.name},
                                  {"unit", column.unit},
                                  {"definition", column.definition},
                                  {"higher_is_better", column.higher_is_better}});
    json["protocols"].push_back(std::move(block));
  }
  json["prediction"] = result.prediction_name;
  json.update(SetJson(result, result.set));
  if (!result.compare_name.empty()) {
    json["compared"] = {{"prediction", result.compare_name}};
    json["compared"].update(SetJson(result, result.compared));
    json["comparison"] = {
        {"a", result.prediction_name},
        {"b", result.compare_name},
        {"test",
         "Wilcoxon signed-rank of b - a, two-sided, zero differences dropped; p not corrected "
         "for the number of tests"},
        {"interval", "percentile bootstrap of the mean of b - a over cases, 95 %"},
        {"resamples", result.resamples},
        {"seed", result.seed}};
    for (const PairedComparison& row : result.comparisons)
      json["comparison"]["rows"].push_back({{"protocol", row.protocol},
                                            {"metric", row.column},
                                            {"class", row.class_name},
                                            {"n", row.n},
                                            {"mean_a", NumberJson(row.mean_a)},
                                            {"mean_b", NumberJson(row.mean_b)},
                                            {"mean_difference", NumberJson(row.difference)},
                                            {"interval_low", NumberJson(row.interval.low)},
                                            {"interval_high", NumberJson(row.interval.high)},
                                            {"statistic", NumberJson(row.wilcoxon.statistic)},
                                            {"p", NumberJson(row.wilcoxon.p)},
                                            {"method", NameOf(row.wilcoxon)},
                                            {"higher_is_better", row.higher_is_better}});
  }
  // File and label names need not be UTF-8.
  return json.dump(1, ' ', false, ordered_json::error_handler_t::replace) + "\n";
}

}  // namespace avocet::core

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <charconv>
#include <cstddef>
#include <filesystem>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

// Complete tables of the members of an options struct. A struct gets one by a function beside it,
//   auto FieldsOf(const Options& o) { return std::make_tuple(Decides("epochs", o.epochs), ...); }
// and every use of the table checks at compile time that no member is missing in it.
namespace avocet {

// What a changed value means for a job that is continued.
enum class Effect {
  kDecides,    // the result depends on the value
  kByContent,  // the value names or makes data, and the data are compared instead
  kFree,       // the result does not depend on it
};

template <typename T>
struct Field {
  const char* name;
  const T& value;
  Effect effect;
};
template <typename T>
Field<T> Decides(const char* name, const T& value) {
  return {name, value, Effect::kDecides};
}
template <typename T>
Field<T> ByContent(const char* name, const T& value) {
  return {name, value, Effect::kByContent};
}
template <typename T>
Field<T> Free(const char* name, const T& value) {
  return {name, value, Effect::kFree};
}

namespace field_table {

struct Anything {
  template <typename T>
  operator T() const;
};
template <typename T, size_t... I>
constexpr auto CanTake(std::index_sequence<I...>, int)
    -> decltype(T{((void)I, Anything())...}, true) {
  return true;
}
template <typename T, size_t... I>
constexpr bool CanTake(std::index_sequence<I...>, long) {
  return false;
}

// Members of an aggregate: the longest list that initialises it. A base counts as one.
template <typename T, size_t kMost = 64>
constexpr size_t MemberCount() {
  static_assert(std::is_aggregate_v<T>, "a struct with a field table has no constructors");
  if constexpr (kMost == 0 || CanTake<T>(std::make_index_sequence<kMost>(), 0)) {
    return kMost;
  } else {
    return MemberCount<T, kMost - 1>();
  }
}

template <typename T, typename = void>
struct HasTable : std::false_type {};
template <typename T>
struct HasTable<T, std::void_t<decltype(FieldsOf(std::declval<const T&>()))>> : std::true_type {};

}  // namespace field_table

// Calls visit(const Field<Member>&) for each member of `options`, in the order of its table.
template <typename T, typename Visit>
void VisitFields(const T& options, Visit&& visit) {
  const auto fields = FieldsOf(options);
  static_assert(std::tuple_size_v<std::decay_t<decltype(fields)>> == field_table::MemberCount<T>(),
                "FieldsOf must list each member of the struct, and each base, once");
  std::apply([&](const auto&... field) { (visit(field), ...); }, fields);
}

// The value as text from which it could be read back: the shortest one for numbers.
inline std::string FieldText(bool value) { return value ? "1" : "0"; }
inline std::string FieldText(const std::string& value) {
  std::string text = value;
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < 32) c = ' ';  // a text is a list of lines
  }
  return text;
}
inline std::string FieldText(const std::filesystem::path& value) {
  return FieldText(value.string());
}
template <typename T>
std::enable_if_t<std::is_arithmetic_v<T> && !std::is_same_v<T, bool>, std::string> FieldText(
    T value) {
  char text[64];
  return {text, std::to_chars(text, text + sizeof text, value).ptr};
}
template <typename T>
std::enable_if_t<std::is_enum_v<T>, std::string> FieldText(T value) {
  return std::to_string(static_cast<long long>(value));
}
template <typename Items>
std::string JoinedFieldText(const Items& items) {
  std::string text;
  for (const auto& item : items) text += (text.empty() ? "" : ",") + FieldText(item);
  return text;
}
template <typename T>
std::string FieldText(const std::vector<T>& value) {
  return JoinedFieldText(value);
}
template <typename T, size_t N>
std::string FieldText(const std::array<T, N>& value) {
  return JoinedFieldText(value);
}

// One line "name=value\n" for each member that decides the result. Members that have a table of
// their own are taken apart, with their name and a dot in front, or nothing where it is "".
template <typename T>
void AppendDeciding(const T& options, const std::string& prefix, std::string& text) {
  VisitFields(options, [&](const auto& field) {
    using Value = std::decay_t<decltype(field.value)>;
    if (field.effect != Effect::kDecides) return;
    const std::string name = prefix + field.name;
    if constexpr (field_table::HasTable<Value>::value) {
      AppendDeciding(field.value, *field.name == '\0' ? prefix : name + ".", text);
    } else {
      text += name + "=" + FieldText(field.value) + "\n";
    }
  });
}

// Name and effect of each member, those of members with a table of their own in their place.
using FieldList = std::vector<std::pair<std::string, Effect>>;
template <typename T>
void AppendFieldList(const T& options, const std::string& prefix, FieldList& list) {
  VisitFields(options, [&](const auto& field) {
    using Value = std::decay_t<decltype(field.value)>;
    if constexpr (field_table::HasTable<Value>::value) {
      AppendFieldList(field.value, *field.name == '\0' ? prefix : prefix + field.name + ".", list);
    } else {
      list.emplace_back(prefix + field.name, field.effect);
    }
  });
}

}  // namespace avocet

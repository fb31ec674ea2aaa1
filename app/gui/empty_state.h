// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <QWidget>
#include <filesystem>
#include <functional>
#include <vector>

namespace avocet::gui {

// What the window shows before anything is open: what to do, and samples to try.
class EmptyState : public QWidget {
 public:
  explicit EmptyState(QWidget* parent = nullptr);

  std::function<void()> on_open_files;
  std::function<void()> on_open_folder;
  std::function<void(const std::vector<std::filesystem::path>&)> on_sample;
};

}  // namespace avocet::gui

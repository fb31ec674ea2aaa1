// SPDX-License-Identifier: Apache-2.0
#include "app/gui/empty_state.h"

#include <QHBoxLayout>
#include <QLabel>
#include <QPushButton>
#include <QVBoxLayout>

#include "app/core/shipped.h"
#include "io/volume_io.h"

namespace avocet::gui {
namespace fs = std::filesystem;

EmptyState::EmptyState(QWidget* parent) : QWidget(parent) {
  auto* layout = new QVBoxLayout(this);
  layout->setSpacing(10);
  layout->addStretch(3);
  auto* title = new QLabel("Drop a NIfTI file or a DICOM folder here");
  QFont font = title->font();
  font.setPointSizeF(font.pointSizeF() * 1.6);
  title->setFont(font);
  title->setAlignment(Qt::AlignCenter);
  layout->addWidget(title);
  auto* hint = new QLabel(
      "Images and masks may be dropped together. Nothing leaves this machine, and originals are "
      "never written.");
  hint->setObjectName("hint");
  hint->setAlignment(Qt::AlignCenter);
  layout->addWidget(hint);
  const auto row_of = [layout] {
    auto* row = new QHBoxLayout;
    row->addStretch(1);
    layout->addLayout(row);
    return row;
  };
  auto* open = row_of();
  auto* files = new QPushButton("Open files\u2026");
  files->setToolTip("Ctrl+O");
  files->setDefault(true);
  auto* folder = new QPushButton("Open a DICOM folder\u2026");
  folder->setToolTip("Ctrl+Shift+O");
  open->addWidget(files);
  open->addWidget(folder);
  open->addStretch(1);
  connect(files, &QPushButton::clicked, this, [this] { on_open_files(); });
  connect(folder, &QPushButton::clicked, this, [this] { on_open_folder(); });

  // Samples that ship: an image with its reference label map, where there is one.
  for (const fs::path& data : core::DataFolders()) {
    const fs::path images = data / "hippocampus" / "images";
    std::error_code ignored;
    if (!fs::is_directory(images, ignored)) continue;
    auto* row = row_of();
    row->addWidget(new QLabel("Samples:"));
    int count = 0;
    for (const fs::path& image : io::ListVolumes(images)) {
      if (++count > 3) break;
      std::vector<fs::path> paths{image};
      const fs::path label = data / "hippocampus" / "labels" / image.filename();
      if (fs::exists(label, ignored)) paths.push_back(label);
      auto* button = new QPushButton(QString::fromStdString(io::StemOf(image)));
      button->setToolTip("Hippocampus in MR, with the experts' label map");
      connect(button, &QPushButton::clicked, this, [this, paths] { on_sample(paths); });
      row->addWidget(button);
    }
    row->addStretch(1);
    break;
  }
  layout->addStretch(4);
}

}  // namespace avocet::gui

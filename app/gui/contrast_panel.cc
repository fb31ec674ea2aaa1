// SPDX-License-Identifier: Apache-2.0
#include "app/gui/contrast_panel.h"

#include <QFormLayout>
#include <QHBoxLayout>
#include <QLabel>
#include <QVBoxLayout>
#include <algorithm>
#include <cmath>

namespace avocet::gui {

ContrastPanel::ContrastPanel(Session& session, QWidget* parent)
    : QWidget(parent), session_(session), histogram_(new HistogramView) {
  auto* layout = new QVBoxLayout(this);
  layout->setContentsMargins(0, 0, 0, 6);
  layout->addWidget(histogram_);
  auto* form = new QFormLayout;
  form->setContentsMargins(2, 0, 2, 0);
  preset_ = new QComboBox;
  preset_->setObjectName("preset");
  preset_->addItem("Automatic");
  for (const WindowPreset& preset : CtPresets()) {
    preset_->addItem(QString("CT %1  %2/%3")
                         .arg(QString(preset.name).toLower())
                         .arg(preset.window.width)
                         .arg(preset.window.level));
  }
  preset_->addItem("Full range");
  preset_->setToolTip(
      "Automatic: the middle 99 % of the values that are not zero; for CT the abdomen's window");
  form->addRow("Window", preset_);
  auto* numbers = new QHBoxLayout;
  width_ = new QDoubleSpinBox;
  level_ = new QDoubleSpinBox;
  width_->setObjectName("width");
  level_->setObjectName("level");
  width_->setRange(1e-6, 1e12);
  level_->setRange(-1e12, 1e12);
  for (auto* box : {width_, level_}) {
    box->setDecimals(2);
    box->setButtonSymbols(QAbstractSpinBox::NoButtons);
    box->setKeyboardTracking(false);
  }
  width_->setToolTip("Width of the window, in the image's values (HU for CT)");
  level_->setToolTip("Middle of the window");
  numbers->addWidget(new QLabel("W"));
  numbers->addWidget(width_, 1);
  numbers->addWidget(new QLabel("L"));
  numbers->addWidget(level_, 1);
  form->addRow(numbers);
  colours_ = new QComboBox;
  for (const ColourMap& map : ColourMaps()) colours_->addItem(QString::fromStdString(map.name));
  form->addRow("Colours", colours_);
  layout->addLayout(form);
  frame_row_ = new QWidget;
  auto* frames = new QHBoxLayout(frame_row_);
  frames->setContentsMargins(2, 0, 2, 0);
  frame_ = new QSpinBox;
  frames->addWidget(new QLabel("Frame"));
  frames->addWidget(frame_, 1);
  layout->addWidget(frame_row_);

  histogram_->on_window = [this](const Window& window) { SetWindow(window); };
  connect(preset_, &QComboBox::activated, this, [this](int index) {
    const ImageLayer* image = session_.document.ActiveImage();
    if (image == nullptr || index < 0) return;
    const int presets = static_cast<int>(CtPresets().size());
    if (index == 0) {
      SetWindow(DefaultWindow(*image->volume, image->statistics));
    } else if (index <= presets) {
      SetWindow(CtPresets()[index - 1].window);
    } else {
      SetWindow(Window::Between(image->statistics.minimum, image->statistics.maximum));
    }
  });
  const auto typed = [this] {
    if (!updating_) SetWindow({width_->value(), level_->value()});
  };
  connect(width_, &QDoubleSpinBox::valueChanged, this, typed);
  connect(level_, &QDoubleSpinBox::valueChanged, this, typed);
  connect(colours_, &QComboBox::activated, this, [this](int index) {
    ImageLayer* image = session_.document.ActiveImage();
    if (image == nullptr) return;
    image->colour_map = index;
    session_.document.Notify(kDisplayChanged);
  });
  connect(frame_, &QSpinBox::valueChanged, this, [this](int value) {
    ImageLayer* image = session_.document.ActiveImage();
    if (updating_ || image == nullptr) return;
    image->frame = value - 1;
    session_.document.Notify(kDisplayChanged);
  });
  session_.document.AddObserver([this](unsigned changes) {
    if (changes & (kLayersChanged | kDisplayChanged)) Refresh();
  });
  Refresh();
}

void ContrastPanel::SetWindow(const Window& window) {
  ImageLayer* image = session_.document.ActiveImage();
  if (image == nullptr) return;
  image->window = window;
  session_.document.Notify(kDisplayChanged);
}

void ContrastPanel::Refresh() {
  updating_ = true;
  const ImageLayer* image = session_.document.ActiveImage();
  setEnabled(image != nullptr);
  frame_row_->setVisible(image != nullptr && image->volume->frames > 1);
  if (image == nullptr) {
    histogram_->Show(nullptr, {});
  } else {
    histogram_->Show(&image->statistics, image->window);
    const double span = std::max(image->window.width, 1e-9);
    const int decimals = std::clamp(static_cast<int>(2 - std::floor(std::log10(span))), 0, 6);
    for (auto* box : {width_, level_}) {
      box->setDecimals(decimals);
      box->setSingleStep(span / 20);
    }
    width_->setValue(image->window.width);
    level_->setValue(image->window.level);
    colours_->setCurrentIndex(image->colour_map);
    frame_->setRange(1, static_cast<int>(image->volume->frames));
    frame_->setValue(static_cast<int>(image->frame + 1));
    int chosen = -1;
    const auto is = [&](const Window& window) {
      return std::abs(window.width - image->window.width) < 1e-9 &&
             std::abs(window.level - image->window.level) < 1e-9;
    };
    for (size_t i = 0; i < CtPresets().size(); ++i) {
      if (is(CtPresets()[i].window)) chosen = static_cast<int>(i) + 1;
    }
    if (chosen < 0 && is(DefaultWindow(*image->volume, image->statistics))) chosen = 0;
    preset_->setCurrentIndex(chosen);
  }
  updating_ = false;
}

}  // namespace avocet::gui

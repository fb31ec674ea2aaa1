// SPDX-License-Identifier: Apache-2.0
#include "app/gui/view_grid.h"

#include <algorithm>

namespace avocet::gui {

ViewGrid::ViewGrid(Session& session, QWidget* parent)
    : QWidget(parent), session_(session), layout_(new QGridLayout(this)) {
  layout_->setContentsMargins(0, 0, 0, 0);
  layout_->setSpacing(2);
  const auto toggle = [this](int view) { Maximise(maximised_ == view ? -1 : view); };
  for (const Orientation orientation : kOrientations) {
    const int n = static_cast<int>(orientation);
    auto* view = new SliceView(session.document, session.view, orientation, this);
    view->on_maximise = [toggle, n] { toggle(n); };
    view->on_hover = [this](const std::string& text) {
      if (on_hover) on_hover(text);
    };
    view->on_next_label = [this] {
      if (on_next_label) on_next_label();
    };
    view->on_fit_changed = [this] { UpdateFit(); };
    slices_[n] = view;
  }
  volume_ = new VolumeView(session.document, session.tasks, this);
  volume_->on_maximise = [toggle] { toggle(3); };
  layout_->addWidget(slices_[0], 0, 0);
  layout_->addWidget(slices_[2], 0, 1);
  layout_->addWidget(slices_[1], 1, 0);
  layout_->addWidget(volume_, 1, 1);
  for (int i = 0; i < 2; ++i) {
    layout_->setRowStretch(i, 1);
    layout_->setColumnStretch(i, 1);
  }
  setTabOrder(slices_[0], slices_[1]);
  setTabOrder(slices_[1], slices_[2]);
  setTabOrder(slices_[2], volume_);
}

void ViewGrid::Maximise(int view) {
  maximised_ = view;
  const std::array<QWidget*, 4> views{slices_[0], slices_[1], slices_[2], volume_};
  const std::array<std::pair<int, int>, 4> cells{{{0, 0}, {1, 0}, {0, 1}, {1, 1}}};
  for (int v = 0; v < 4; ++v) views[v]->setVisible(view < 0 || view == v);
  for (int i = 0; i < 2; ++i) {
    layout_->setRowStretch(i, view < 0 || cells[view].first == i ? 1 : 0);
    layout_->setColumnStretch(i, view < 0 || cells[view].second == i ? 1 : 0);
  }
  if (view >= 0) views[view]->setFocus();
  layout_->activate();
  UpdateFit();
}

void ViewGrid::UpdateFit() {
  double scale = 0;
  for (SliceView* view : slices_) {
    if (view != nullptr && !view->isHidden()) scale = std::max(scale, view->FitScale());
  }
  if (scale == session_.view.fit_mm_per_pixel) return;
  session_.view.fit_mm_per_pixel = scale;
  session_.view.Notify();
}

void ViewGrid::Fit() {
  session_.view.mm_per_pixel = 0;
  for (SliceView* view : slices_) view->Recentre();
  UpdateFit();
  session_.view.Notify();
}

void ViewGrid::Reset() {
  session_.document.CentreCursor();
  if (ImageLayer* image = session_.document.ActiveImage()) {
    image->window = DefaultWindow(*image->volume, image->statistics);
    session_.document.Notify(kDisplayChanged);
  }
  volume_->Reset();
  Fit();
}

}  // namespace avocet::gui

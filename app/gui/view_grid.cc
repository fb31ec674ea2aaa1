// SPDX-License-Identifier: Apache-2.0
#include "app/gui/view_grid.h"

#include <algorithm>

namespace avocet::gui {

ViewGrid::ViewGrid(Session& session, QWidget* parent)
    : QWidget(parent), session_(session), layout_(new QGridLayout(this)) {
  layout_->setContentsMargins(0, 0, 0, 0);
  layout_->setSpacing(2);
  for (const Orientation orientation : kOrientations) {
    const int n = static_cast<int>(orientation);
    slices_[n] = NewSlice(orientation);
    partners_[n] = NewSlice(orientation);
    partners_[n]->setObjectName(QString("partner_") + NameOf(orientation));
    slices_[n]->PanWith(partners_[n]);
    partners_[n]->PanWith(slices_[n]);
    partners_[n]->hide();
  }
  volume_ = new VolumeView(session.document, session.tasks, this);
  volume_->on_maximise = [this] { Maximise(maximised_ == 3 ? -1 : 3); };
  Arrange();
  setTabOrder(slices_[0], slices_[1]);
  setTabOrder(slices_[1], slices_[2]);
  setTabOrder(slices_[2], volume_);
  session_.document.AddObserver([this](unsigned changes) {
    if (!(changes & kLayersChanged) || !comparing()) return;
    if (session_.document.Labels(left_) == nullptr || session_.document.Labels(right_) == nullptr) {
      Compare(0, 0);
    }
  });
}

SliceView* ViewGrid::NewSlice(Orientation orientation) {
  const int n = static_cast<int>(orientation);
  auto* view = new SliceView(session_.document, session_.view, orientation, this);
  view->on_maximise = [this, n] { Maximise(maximised_ == n ? -1 : n); };
  view->on_hover = [this](const std::string& text) {
    if (on_hover) on_hover(text);
  };
  view->on_next_label = [this] {
    if (on_next_label) on_next_label();
  };
  view->on_painted = [this](const std::string& why_not) {
    if (on_painted) on_painted(why_not);
  };
  view->on_fit_changed = [this] { UpdateFit(); };
  return view;
}

void ViewGrid::Compare(int left_labels, int right_labels) {
  left_ = left_labels;
  right_ = right_labels;
  if (comparing()) {
    Maximise(maximised_ >= 0 && maximised_ < 3 ? maximised_ : 0);
  } else {
    Maximise(-1);
  }
}

void ViewGrid::Maximise(int view) {
  maximised_ = view;
  if (view < 0 || view == 3) left_ = right_ = 0;
  Arrange();
  const std::array<QWidget*, 4> views{slices_[0], slices_[1], slices_[2], volume_};
  if (view >= 0) views[view]->setFocus();
  layout_->activate();
  UpdateFit();
  if (on_layout) on_layout();
}

void ViewGrid::Arrange() {
  const std::array<QWidget*, 4> views{slices_[0], slices_[1], slices_[2], volume_};
  const std::array<std::pair<int, int>, 4> cells{{{0, 0}, {1, 0}, {0, 1}, {1, 1}}};
  while (layout_->count() > 0) delete layout_->takeAt(0);
  for (int v = 0; v < 4; ++v) {
    const bool alone = maximised_ == v;
    if (maximised_ < 0 || alone) {
      layout_->addWidget(views[v], alone ? 0 : cells[v].first, alone ? 0 : cells[v].second);
    }
    views[v]->setVisible(maximised_ < 0 || alone);
  }
  for (int n = 0; n < 3; ++n) {
    const bool pair = comparing() && maximised_ == n;
    slices_[n]->ShowOnly(pair ? left_ : 0);
    partners_[n]->ShowOnly(pair ? right_ : 0);
    if (pair) layout_->addWidget(partners_[n], 0, 1);
    partners_[n]->setVisible(pair);
  }
  layout_->setRowStretch(0, 1);
  layout_->setColumnStretch(0, 1);
  layout_->setRowStretch(1, maximised_ < 0 ? 1 : 0);
  layout_->setColumnStretch(1, maximised_ < 0 || comparing() ? 1 : 0);
}

void ViewGrid::UpdateFit() {
  double scale = 0;
  for (const auto& views : {slices_, partners_}) {
    for (const SliceView* view : views) {
      if (view != nullptr && !view->isHidden()) scale = std::max(scale, view->FitScale());
    }
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

void ViewGrid::Zoom(double factor) {
  for (const auto& views : {partners_, slices_}) {
    for (SliceView* view : views) {
      if (!view->hasFocus()) continue;
      return view->Zoom(factor);
    }
  }
  for (SliceView* view : slices_) {
    if (view->isVisible()) return view->Zoom(factor);
  }
}

void ViewGrid::CentreOnCursor() {
  for (SliceView* view : slices_) view->CentreOn(session_.document.cursor());
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

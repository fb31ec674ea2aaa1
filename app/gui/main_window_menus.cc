// SPDX-License-Identifier: Apache-2.0
// The menus of MainWindow.
#include <QApplication>
#include <QMenuBar>
#include <QMessageBox>
#include <QSettings>
#include <algorithm>

#include "app/core/version.h"
#include "app/gui/main_window.h"
#include "app/gui/theme.h"

namespace avocet::gui {

QAction* MainWindow::AddAction(QMenu* menu, const QString& text, const QKeySequence& key,
                               std::function<void()> run, const QString& icon) {
  auto* action = new QAction(text, this);
  action->setShortcut(key);
  if (!key.isEmpty()) {
    action->setToolTip(QString(text).remove('&') + "  " + key.toString(QKeySequence::NativeText));
  }
  if (!icon.isEmpty()) action->setIcon(Icon(icon));
  connect(action, &QAction::triggered, this, [run = std::move(run)] { run(); });
  menu->addAction(action);
  return action;
}

QAction* MainWindow::AddToggle(QMenu* menu, const QString& text, const QKeySequence& key, bool on,
                               std::function<void(bool)> run) {
  auto* action = new QAction(text, this);
  action->setShortcut(key);
  action->setCheckable(true);
  action->setChecked(on);
  connect(action, &QAction::toggled, this, [run = std::move(run)](bool state) { run(state); });
  menu->addAction(action);
  return action;
}

void MainWindow::BuildMenus() {
  QMenu* file = menuBar()->addMenu("&File");
  AddAction(file, "&Open files\u2026", QKeySequence::Open,
            [this] { AskOpenFiles(LoadAs::kGuess); });
  AddAction(file, "Open a DICOM &folder\u2026", QKeySequence("Ctrl+Shift+O"),
            [this] { AskOpenFolder(); });
  AddAction(file, "Open as &labels\u2026", QKeySequence("Ctrl+L"),
            [this] { AskOpenFiles(LoadAs::kLabels); });
  AddAction(file, "Open as &image\u2026", QKeySequence("Ctrl+I"),
            [this] { AskOpenFiles(LoadAs::kImage); });
  recent_menu_ = file->addMenu("Open &recent");
  connect(recent_menu_, &QMenu::aboutToShow, this, [this] { RefreshRecent(); });
  file->addSeparator();
  save_ = AddAction(file, "&Save", QKeySequence::Save, [this] { AskSave(false); });
  save_as_ =
      AddAction(file, "Save &as\u2026", QKeySequence("Ctrl+Shift+S"), [this] { AskSave(true); });
  save_->setToolTip("Saves the chosen mask, or the chosen image that is not saved yet  Ctrl+S");
  save_image_ = AddAction(file, "Save &image as\u2026", QKeySequence("Ctrl+Alt+S"),
                          [this] { AskSaveImage(); });
  surfaces_ =
      AddAction(file, "&Export surfaces\u2026", QKeySequence("Ctrl+E"), [this] { AskSurfaces(); });
  dicom_ = AddAction(file, "Export as &DICOM\u2026", QKeySequence("Ctrl+Shift+E"),
                     [this] { AskDicom(); });
  file->addSeparator();
  screenshot_ = AddAction(file, "S&creenshot\u2026", QKeySequence("Ctrl+Shift+P"),
                          [this] { AskScreenshot(); });
  report_action_ =
      AddAction(file, "Re&port\u2026", QKeySequence("Ctrl+P"), [this] { AskReport(); });
  file->addSeparator();
  AddAction(file, "&Quit", QKeySequence("Ctrl+Q"), [this] { close(); });

  QMenu* edit = menuBar()->addMenu("&Edit");
  undo_ = AddAction(edit, "Undo", QKeySequence("Ctrl+Z"), [this] { TakeStep(false); });
  redo_ = AddAction(edit, "Redo", QKeySequence("Ctrl+Shift+Z"), [this] { TakeStep(true); });
}

void MainWindow::BuildViewMenu() {
  QMenu* view = menuBar()->addMenu("&View");
  const char* names[] = {"Axial", "Coronal", "Sagittal", "3D"};
  for (int n = 0; n < 4; ++n) {
    AddAction(view, names[n], QKeySequence(QString::number(n + 1)),
              [this, n] { views_->Maximise(views_->maximised() == n ? -1 : n); });
  }
  AddAction(view, "Four views", QKeySequence("0"), [this] { views_->Maximise(-1); });
  AddAction(view, "Two label maps side by side", QKeySequence("Y"), [this] { ToggleSideBySide(); });
  view->addSeparator();
  AddAction(view, "Fit", QKeySequence("F"), [this] { views_->Fit(); });
  AddAction(view, "Reset", QKeySequence("R"), [this] { views_->Reset(); });
  AddAction(view, "Zoom in", QKeySequence("Ctrl+="), [this] { views_->Zoom(1.25); });
  AddAction(view, "Zoom out", QKeySequence("Ctrl+-"), [this] { views_->Zoom(0.8); });
  AddAction(view, "Centre on the crosshair", QKeySequence("Shift+F"),
            [this] { views_->CentreOnCursor(); });
  AddToggle(view, "Crosshair", QKeySequence("X"), session_.view.crosshair, [this](bool on) {
    session_.view.crosshair = on;
    session_.view.Notify();
  });
  overlays_ =
      AddToggle(view, "Labels and measurements", QKeySequence("Space"), true, [this](bool on) {
        session_.document.overlays = on;
        session_.document.Notify(kDisplayChanged);
      });
  // Space presses buttons elsewhere; here it belongs to the views.
  overlays_->setShortcutContext(Qt::WidgetWithChildrenShortcut);
  views_->addAction(overlays_);
  AddAction(view, "Outline or fill", QKeySequence("O"), [this] {
    if (LabelLayer* layer = session_.document.ActiveLabels()) {
      layer->outline = !layer->outline;
      session_.document.Notify(kDisplayChanged);
    }
  });
  const auto opacity = [this](double step) {
    if (LabelLayer* layer = session_.document.ActiveLabels()) {
      layer->opacity = std::clamp(layer->opacity + step, 0.0, 1.0);
      session_.document.Notify(kDisplayChanged);
    }
  };
  AddAction(view, "Labels fainter", QKeySequence("["), [opacity] { opacity(-0.1); });
  AddAction(view, "Labels stronger", QKeySequence("]"), [opacity] { opacity(0.1); });
  AddToggle(view, "Corner texts", QKeySequence("H"), true, [this](bool on) {
    session_.view.corner_text = on;
    session_.view.Notify();
  });
  AddToggle(view, "Smooth picture", QKeySequence("I"), session_.document.linear, [this](bool on) {
    session_.document.linear = on;
    QSettings().setValue("linear", on);
    session_.document.Notify(kDisplayChanged);
  });
  view->addSeparator();
  patient_planes_ = AddToggle(view, "Patient planes", QKeySequence("P"), false,
                              [this](bool on) { session_.document.SetPatientPlanes(on); });
  patient_planes_->setToolTip("Slices along the patient's axes instead of the volume's own");
  AddToggle(view, "Panels", QKeySequence("F9"), true, [this](bool on) { column_->setVisible(on); });
  AddToggle(view, "Full screen", QKeySequence("F11"), false, [this](bool on) {
    setWindowState(on ? windowState() | Qt::WindowFullScreen
                      : windowState() & ~Qt::WindowFullScreen);
  });
  AddAction(view, "From views to panels and back", QKeySequence("F6"), [this] {
    const QWidget* focus = QApplication::focusWidget();
    if (focus != nullptr && views_->isAncestorOf(focus)) {
      layers_->nextInFocusChain()->setFocus(Qt::ShortcutFocusReason);
    } else {
      views_->slice(Orientation::kAxial).setFocus(Qt::ShortcutFocusReason);
    }
  });

  QMenu* jobs = menuBar()->addMenu("&Jobs");
  AddAction(jobs, "Run the chosen model", QKeySequence("Ctrl+R"), [this] { jobs_->Run(); });
  AddAction(jobs, "Evaluate the chosen layers", QKeySequence("Ctrl+Shift+R"),
            [this] { evaluate_->Run(); });
  AddAction(jobs, "Cancel", QKeySequence("Ctrl+."), [this] { cancel_->click(); });

  QMenu* help = menuBar()->addMenu("&Help");
  AddAction(help, "Keys and hands", QKeySequence("?"), [this] { ShowKeys(); });
  AddAction(help, "About Avocet", {}, [this] {
    QMessageBox::about(
        this, "About Avocet",
        QString("<b>Avocet %1</b><p>Segmentation of medical images with RWKV networks. Apache "
                "2.0.</p><p>Research use, not for diagnosis. Nothing leaves this machine.</p>")
            .arg(core::Version()));
  });
}

}  // namespace avocet::gui

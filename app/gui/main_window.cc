// SPDX-License-Identifier: Apache-2.0
#include "app/gui/main_window.h"

#include <QActionGroup>
#include <QApplication>
#include <QComboBox>
#include <QFormLayout>
#include <QHBoxLayout>
#include <QMenuBar>
#include <QMessageBox>
#include <QScrollArea>
#include <QSettings>
#include <QStatusBar>
#include <QStyle>
#include <QTimer>
#include <QToolBar>
#include <QVBoxLayout>
#include <algorithm>
#include <cmath>

#include "app/core/version.h"
#include "app/gui/contrast_panel.h"
#include "app/gui/theme.h"
#include "app/gui/wheel_guard.h"

namespace avocet::gui {
namespace {

constexpr int kColumnWidth = 274;

QString TimeLeft(double seconds) {
  if (seconds < 0) return {};
  if (seconds < 60) return QString("%1 s left").arg(std::max(1L, std::lround(seconds)));
  return QString("%1 min left").arg(std::lround(seconds / 60));
}

}  // namespace

MainWindow::MainWindow(Session& session)
    : session_(session),
      stack_(new QStackedWidget),
      empty_(new EmptyState),
      views_(new ViewGrid(session)) {
  setWindowTitle("Avocet");
  setWindowIcon(Icon("app"));
  setAcceptDrops(true);
  QApplication::instance()->installEventFilter(new WheelGuard(this));
  resize(1280, 800);
  auto* central = new QWidget;
  auto* across = new QHBoxLayout(central);
  across->setContentsMargins(0, 0, 0, 0);
  across->setSpacing(2);
  BuildPanels();
  across->addWidget(column_);
  auto* right = new QVBoxLayout;
  right->setSpacing(0);
  banner_ = new QFrame;
  banner_->setObjectName("banner");
  auto* banner_row = new QHBoxLayout(banner_);
  banner_row->setContentsMargins(10, 6, 6, 6);
  banner_text_ = new QLabel;
  banner_text_->setWordWrap(true);
  banner_text_->setTextInteractionFlags(Qt::TextSelectableByMouse);
  auto* dismiss = new QPushButton("Dismiss");
  connect(dismiss, &QPushButton::clicked, banner_, [this] { banner_->hide(); });
  banner_row->addWidget(banner_text_, 1);
  banner_row->addWidget(dismiss);
  banner_->hide();
  right->addWidget(banner_);
  stack_->addWidget(empty_);
  stack_->addWidget(views_);
  right->addWidget(stack_, 1);
  across->addLayout(right, 1);
  setCentralWidget(central);
  BuildMenus();
  BuildViewMenu();
  BuildTools();
  BuildStatus();

  empty_->on_open_files = [this] { AskOpenFiles(LoadAs::kGuess); };
  empty_->on_open_folder = [this] { AskOpenFolder(); };
  empty_->on_sample = [this](const auto& paths) { OpenPaths(paths); };
  views_->on_hover = [this](const std::string& text) {
    hover_->setText(QString::fromStdString(text));
  };
  views_->on_next_label = [this] { labels_->SelectNext(); };
  views_->on_painted = [this](const std::string& why_not) { ShowUnpainted(why_not); };
  session_.on_message = [this](const Message& message) { ShowMessage(message); };
  session_.on_opened = [this](const auto& path) { AddRecent(path); };
  session_.on_uneven_series = [this](const auto& name, const auto& fault) {
    return AskResampled(QString::fromStdString(name), QString::fromStdString(fault));
  };
  session_.on_choose_series = [this](const auto& name, const auto& choices) {
    return AskSeries(QString::fromStdString(name), choices);
  };
  session_.on_other_space = [this](const auto& name, const auto& why) {
    return AskOtherSpace(QString::fromStdString(name), QString::fromStdString(why));
  };
  session_.tasks.on_change = [this] { RefreshTasks(); };
  session_.document.AddObserver([this](unsigned changes) {
    if (changes & ~unsigned{kCursorChanged}) RefreshActions();
  });
  QSettings settings;
  restoreGeometry(settings.value("geometry").toByteArray());
  if (settings.value("neurological", false).toBool()) {
    session_.document.SetConvention(Convention::kNeurological);
  }
  session_.document.linear = settings.value("linear", true).toBool();
  RefreshActions();
  RefreshTasks();
  session_.FindModels();
}

MainWindow::~MainWindow() {
  session_.tasks.on_change = {};
  session_.on_message = {};
  session_.on_opened = {};
  session_.on_choose_series = {};
  session_.on_uneven_series = {};
  session_.on_other_space = {};
  session_.on_models = {};
  session_.on_fits = {};
  session_.on_evaluated = {};
}

void MainWindow::BuildPanels() {
  auto* inside = new QWidget;
  auto* layout = new QVBoxLayout(inside);
  layout->setContentsMargins(8, 4, 6, 4);
  layout->setSpacing(4);
  layers_ = new LayerPanel(session_);
  labels_ = new LabelPanel(session_);
  jobs_ = new JobPanel(session_);
  evaluate_ = new EvaluatePanel(session_);
  measures_ = new MeasurePanel(session_);
  auto* three = new QWidget;
  auto* form = new QFormLayout(three);
  form->setContentsMargins(2, 0, 2, 6);
  auto* cloud = new QComboBox;
  cloud->setObjectName("cloud");
  for (int p = 0; p <= static_cast<int>(VolumePreset::kBright); ++p) {
    cloud->addItem(NameOf(static_cast<VolumePreset>(p)));
  }
  cloud->setToolTip("The image as a cloud in the 3D view");
  auto* clip = new QComboBox;
  clip->addItem("Nothing");
  for (const Orientation orientation : kOrientations) {
    clip->addItem(QString(NameOf(orientation)) + " slice");
  }
  clip->setToolTip("Cuts away what lies before the slice, so that one looks inside");
  form->addRow("Volume", cloud);
  form->addRow("Cut at", clip);
  auto* note =
      new QLabel("Surfaces are smoothed; they enclose the volume of the voxels they stand for.");
  note->setObjectName("hint");
  note->setWordWrap(true);
  form->addRow(note);
  connect(cloud, &QComboBox::currentIndexChanged, this,
          [this](int index) { views_->volume().SetPreset(static_cast<VolumePreset>(index)); });
  connect(clip, &QComboBox::currentIndexChanged, this,
          [this](int index) { views_->volume().SetClip(index - 1); });
  report_ = new QLabel("What was odd about a file, and what was done, is said here.");
  report_->setObjectName("report");
  report_->setWordWrap(true);
  report_->setTextInteractionFlags(Qt::TextSelectableByMouse);
  report_->setAlignment(Qt::AlignTop);
  evaluate_section_ = new Section("Evaluate", evaluate_, false);
  measure_section_ = new Section("Measurements", measures_, false);
  for (Section* section :
       {new Section("Layers", layers_), new Section("Contrast", new ContrastPanel(session_)),
        new Section("Labels", labels_), new Section("Models", jobs_), evaluate_section_,
        measure_section_, new Section("3D", three, false), new Section("Report", report_)}) {
    layout->addWidget(section);
  }
  layout->addStretch(1);
  auto* scroll = new QScrollArea;
  scroll->setWidget(inside);
  scroll->setWidgetResizable(true);
  scroll->setHorizontalScrollBarPolicy(Qt::ScrollBarAlwaysOff);
  scroll->setFixedWidth(kColumnWidth);
  inside->setFixedWidth(kColumnWidth - style()->pixelMetric(QStyle::PM_ScrollBarExtent) - 2);
  scroll->setFocusPolicy(Qt::NoFocus);
  column_ = scroll;
  const auto reveal = [scroll](Section* section) {
    section->SetOpen(true);
    // Once its new height is known.
    QTimer::singleShot(0, section,
                       [scroll, section] { scroll->ensureWidgetVisible(section, 0, 0); });
  };
  evaluate_->on_side_by_side = [this] { ToggleSideBySide(); };
  evaluate_->on_result = [this, reveal] { reveal(evaluate_section_); };
  session_.document.AddObserver([this, reveal](unsigned changes) {
    if ((changes & kMeasurementsChanged) && !session_.document.measurements().empty()) {
      reveal(measure_section_);
    }
    if ((changes & kLayersChanged) && session_.document.labels().size() > 1) {
      evaluate_section_->SetOpen(true);
    }
  });
}

void MainWindow::BuildStatus() {
  hover_ = new QLabel;
  hover_->setObjectName("hover");
  statusBar()->addWidget(hover_, 1);
  task_text_ = new QLabel;
  progress_ = new QProgressBar;
  progress_->setFixedWidth(150);
  progress_->setMaximumHeight(16);
  cancel_ = new QPushButton("Cancel");
  cancel_->setObjectName("cancel");
  cancel_->setToolTip("Stops the job; nothing half-done is left  Ctrl+.");
  connect(cancel_, &QPushButton::clicked, this, [this] {
    for (const TaskState& task : session_.tasks.Running()) {
      if (task.quiet || task.cancelled) continue;
      session_.tasks.Cancel(task.id);
      statusBar()->showMessage(QString::fromStdString(task.name) + ": cancelled", 4000);
    }
  });
  convention_ = new QPushButton;
  convention_->setObjectName("convention");
  convention_->setFlat(true);
  convention_->setToolTip(
      "Which side of the patient is on the left of the screen; click to switch");
  connect(convention_, &QPushButton::clicked, this, [this] {
    const bool radiological = session_.document.convention() == Convention::kRadiological;
    session_.document.SetConvention(radiological ? Convention::kNeurological
                                                 : Convention::kRadiological);
    QSettings().setValue("neurological", radiological);
  });
  auto* research = new QLabel("Research use, not for diagnosis");
  research->setObjectName("research");
  statusBar()->addPermanentWidget(task_text_);
  statusBar()->addPermanentWidget(progress_);
  statusBar()->addPermanentWidget(cancel_);
  statusBar()->addPermanentWidget(convention_);
  statusBar()->addPermanentWidget(research);
}

void MainWindow::BuildTools() {
  auto* bar = addToolBar("Tools");
  bar->setObjectName("tools");
  bar->setMovable(false);
  bar->setIconSize(QSize(22, 22));
  const auto plain = [&](QAction* action, const char* icon) {
    action->setIcon(Icon(icon));
    bar->addAction(action);
  };
  auto* open = new QAction("Open files", this);
  open->setToolTip("Open files  Ctrl+O");
  connect(open, &QAction::triggered, this, [this] { AskOpenFiles(LoadAs::kGuess); });
  plain(open, "open");
  plain(save_, "save");
  bar->addSeparator();
  plain(undo_, "undo");
  plain(redo_, "redo");
  bar->addSeparator();
  auto* group = new QActionGroup(this);
  struct Entry {
    const char *icon, *name, *key, *tip;
  };
  const Entry entries[] = {
      {"crosshair", "Crosshair", "C", "click or drag moves the linked crosshair"},
      {"window", "Window and level", "W",
       "drag: sideways the width, up and down the level; Alt+drag does it with any tool"},
      {"ruler", "Ruler", "M", "drag from end to end"},
      {"angle", "Angle", "G", "drag one leg to the vertex, then click the other end"},
      {"region", "Region", "E", "drag a box; statistics of the ellipse in it"},
      {"brush", "Brush", "B", "paints the chosen label on the slice; brush size: + and -"},
      {"eraser", "Eraser", "D", "takes labels away"}};
  QMenu* menu = menuBar()->addMenu("&Tools");
  menuBar()->insertMenu(menuBar()->actions().value(3), menu);
  int number = 0;
  for (const Entry& entry : entries) {
    auto* action = new QAction(Icon(entry.icon), entry.name, this);
    action->setObjectName(QString("tool_") + entry.icon);
    action->setShortcut(QKeySequence(entry.key));
    action->setToolTip(QString("%1  %2\n%3").arg(entry.name, entry.key, entry.tip));
    action->setCheckable(true);
    action->setChecked(number == 0);
    group->addAction(action);
    bar->addAction(action);
    menu->addAction(action);
    const Tool tool = static_cast<Tool>(number++);
    connect(action, &QAction::triggered, this, [this, tool] { SetTool(tool); });
    tools_.push_back(action);
  }
  menu->addSeparator();
  const auto brush = [this](double factor) {
    session_.view.brush_mm = std::clamp(session_.view.brush_mm * factor, 0.2, 100.0);
    statusBar()->showMessage(QString("Brush %1 mm").arg(session_.view.brush_mm, 0, 'g', 3), 1500);
  };
  AddAction(menu, "Larger brush", QKeySequence("+"), [brush] { brush(1.25); });
  AddAction(menu, "Smaller brush", QKeySequence("-"), [brush] { brush(0.8); });
  AddAction(menu, "New label map", QKeySequence("Ctrl+N"), [this] { NewLabelMap(); });
  bar->addSeparator();
  auto* fit = new QAction("Fit", this);
  fit->setToolTip("The whole slices  F");
  connect(fit, &QAction::triggered, this, [this] { views_->Fit(); });
  plain(fit, "fit");
  plain(screenshot_, "camera");
  plain(report_action_, "report");
  auto* room = new QWidget;
  room->setSizePolicy(QSizePolicy::Expanding, QSizePolicy::Preferred);
  bar->addWidget(room);
  layout_box_ = new QComboBox;
  layout_box_->setObjectName("layout");
  layout_box_->setAccessibleName("Layout");
  layout_box_->addItems({"Four views", "Axial", "Coronal", "Sagittal", "3D", "Side by side"});
  layout_box_->setToolTip(
      "Which views are shown: 1, 2, 3, 4 for one, 0 for all; or double click. Y: two label maps "
      "side by side");
  connect(layout_box_, &QComboBox::activated, this, [this](int index) {
    if ((index == 5) != views_->comparing()) ToggleSideBySide();
    if (index < 5) views_->Maximise(index - 1);
    views_->on_layout();
  });
  views_->on_layout = [this] {
    layout_box_->setCurrentIndex(views_->comparing() ? 5 : views_->maximised() + 1);
  };
  bar->addWidget(layout_box_);
}

void MainWindow::ToggleSideBySide() {
  if (views_->comparing()) return views_->Compare(0, 0);
  const auto [left, right] = evaluate_->TwoMaps();
  if (left == 0) {
    statusBar()->showMessage("Two label maps are needed to see them side by side", 4000);
    return;
  }
  views_->Compare(left, right);
  // The list highlights one of those that are shown.
  const int selected = session_.document.selected();
  if (selected != left && selected != right) session_.document.SetActiveLabels(left);
}

void MainWindow::TakeStep(bool forward) {
  Document& document = session_.document;
  const Document::Undone done = forward ? document.Redo() : document.Undo();
  if (done.text.empty()) return;
  QString text =
      QString(forward ? "Done again: " : "Taken back: ") + QString::fromStdString(done.text);
  if (const LabelLayer* layer = document.Labels(done.layer)) {
    text += " on '" + QString::fromStdString(layer->name) + "'";
    if (done.revealed) text += ", which is shown again";
    // Two other maps are seen side by side.
    if (views_->comparing() && !views_->Compares(done.layer)) views_->Compare(0, 0);
  }
  statusBar()->showMessage(text, 6000);
}

// "": something was painted, an older complaint is settled.
void MainWindow::ShowUnpainted(const std::string& why_not) {
  if (!why_not.empty()) {
    ShowMessage({Message::Kind::kWarning, "Painting", {why_not}});
    banner_is_of_painting_ = true;
  } else if (banner_is_of_painting_) {
    banner_->hide();
    banner_is_of_painting_ = false;
  }
}

void MainWindow::SetTool(Tool tool) {
  session_.view.tool = tool;
  if ((tool == Tool::kBrush || tool == Tool::kEraser) && session_.document.labels().empty() &&
      session_.document.ActiveImage() != nullptr) {
    NewLabelMap();
  }
  session_.view.Notify();
}

void MainWindow::RefreshActions() {
  const Document& document = session_.document;
  const bool open = document.grid() != nullptr;
  stack_->setCurrentWidget(open ? static_cast<QWidget*>(views_) : empty_);
  undo_->setEnabled(document.CanUndo());
  redo_->setEnabled(document.CanRedo());
  undo_->setText(document.CanUndo() ? "Undo " + QString::fromStdString(document.UndoText())
                                    : QString("Undo"));
  redo_->setText(document.CanRedo() ? "Redo " + QString::fromStdString(document.RedoText())
                                    : QString("Redo"));
  const bool labels = document.ActiveLabels() != nullptr;
  save_->setEnabled(LayerToSave() != 0);
  save_as_->setEnabled(LayerToSave() != 0);
  save_image_->setEnabled(document.ActiveImage() != nullptr);
  surfaces_->setEnabled(labels);
  dicom_->setEnabled(labels);
  screenshot_->setEnabled(open);
  report_action_->setEnabled(open);
  patient_planes_->setEnabled(open);
  {
    const QSignalBlocker blocker(overlays_);
    overlays_->setChecked(document.overlays);
  }
  const bool radiological = document.convention() == Convention::kRadiological;
  convention_->setText(radiological ? "R | L  radiological" : "L | R  neurological");
  QString title = "Avocet";
  if (const ImageLayer* image = document.ActiveImage()) {
    title = QString::fromStdString(image->name) + " \u2013 Avocet";
  }
  setWindowTitle((document.HasUnsaved() ? "* " : "") + title);
}

void MainWindow::RefreshTasks() {
  const TaskState* shown = nullptr;
  const std::vector<TaskState> running = session_.tasks.Running();
  for (const TaskState& task : running) {
    if (!task.quiet && !task.cancelled) shown = &task;
  }
  task_text_->setVisible(shown != nullptr);
  progress_->setVisible(shown != nullptr);
  cancel_->setVisible(shown != nullptr);
  if (shown == nullptr) return;
  QString text = QString::fromStdString(shown->name);
  if (!TimeLeft(shown->seconds_left).isEmpty() && shown->fraction < 1) {
    text += "   " + TimeLeft(shown->seconds_left);
  }
  task_text_->setText(text);
  task_text_->setToolTip(QString::fromStdString(shown->text));
  if (shown->fraction < 0) {
    progress_->setRange(0, 0);
  } else {
    progress_->setRange(0, 1000);
    progress_->setValue(static_cast<int>(shown->fraction * 1000));
  }
}

void MainWindow::ShowMessage(const Message& message) {
  QString lines;
  for (const std::string& line : message.lines) {
    QString sentence = QString::fromStdString(line);
    if (sentence.isEmpty()) continue;
    if (!lines.isEmpty()) lines += "\n";
    lines += sentence;
  }
  const QString title = QString::fromStdString(message.title);
  if (message.kind == Message::Kind::kReport) {
    report_->setText(title + "\n" + lines);
    return;
  }
  banner_->setProperty("kind", message.kind == Message::Kind::kWarning ? "warning" : "error");
  banner_->style()->unpolish(banner_);
  banner_->style()->polish(banner_);
  banner_text_->setText(title + ": " + lines);
  banner_is_of_painting_ = false;
  banner_->show();
}

QString MainWindow::BannerText() const {
  return banner_->isHidden() ? QString() : banner_text_->text();
}

void MainWindow::ShowKeys() {
  QString rows;
  for (const QAction* menu : menuBar()->actions()) {
    if (menu->menu() == nullptr) continue;
    for (const QAction* action : menu->menu()->actions()) {
      if (action->shortcut().isEmpty()) continue;
      rows +=
          "<tr><td><b>" + action->shortcut().toString(QKeySequence::NativeText).toHtmlEscaped() +
          "</b></td><td>&nbsp;&nbsp;" + action->text().remove('&').toHtmlEscaped() + "</td></tr>";
    }
  }
  QMessageBox box(this);
  box.setWindowTitle("Keys and hands");
  box.setTextFormat(Qt::RichText);
  box.setText(
      "<p>Wheel, up and down: slice; page up and down: ten slices; home, end.<br>"
      "Shift+arrows: the crosshair, a voxel; with ctrl ten. Enter: what a click would do there "
      "with "
      "the tool in hand. In 3D arrows turn, page up and down zoom, home: from the front.<br>"
      "Left drag: crosshair or the tool. Right drag, ctrl+wheel: zoom. Middle or shift+left drag: "
      "pan. Alt+left drag: window.<br>Double click: one view or four. Tab: next label. F6: from "
      "the views to the panels and back.</p><table>" +
      rows + "</table>");
  box.exec();
}

}  // namespace avocet::gui

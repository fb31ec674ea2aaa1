// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <QAction>
#include <QComboBox>
#include <QFrame>
#include <QLabel>
#include <QMainWindow>
#include <QProgressBar>
#include <QPushButton>
#include <QStackedWidget>
#include <filesystem>
#include <functional>
#include <vector>

#include "app/gui/empty_state.h"
#include "app/gui/evaluate_panel.h"
#include "app/gui/job_panel.h"
#include "app/gui/label_panel.h"
#include "app/gui/layer_panel.h"
#include "app/gui/measure_panel.h"
#include "app/gui/section.h"
#include "app/gui/session.h"
#include "app/gui/view_grid.h"

namespace avocet::gui {

// The window: menus, tools, the panel column, the views and the line of messages.
class MainWindow : public QMainWindow {
 public:
  explicit MainWindow(Session& session);
  ~MainWindow() override;

  ViewGrid& views() { return *views_; }
  Session& session() { return session_; }
  LayerPanel& layers() { return *layers_; }

  // Without dialogs, for tests and scripts too.
  void OpenPaths(const std::vector<std::filesystem::path>& paths);
  void SaveScreenshot(const std::filesystem::path& path);
  void SaveReport(const std::filesystem::path& path);
  void OfferRecovery();
  void ShowMessage(const Message& message);
  QString BannerText() const;

 protected:
  void closeEvent(QCloseEvent* event) override;
  void dragEnterEvent(QDragEnterEvent* event) override;
  void dropEvent(QDropEvent* event) override;

 private:
  QAction* AddAction(QMenu* menu, const QString& text, const QKeySequence& key,
                     std::function<void()> run, const QString& icon = {});
  QAction* AddToggle(QMenu* menu, const QString& text, const QKeySequence& key, bool on,
                     std::function<void(bool)> run);
  void BuildMenus();
  void BuildViewMenu();
  void BuildTools();
  void BuildPanels();
  void BuildStatus();
  void SetTool(Tool tool);
  void TakeStep(bool forward);  // undo or redo
  void ShowUnpainted(const std::string& why_not);
  void RefreshActions();
  void RefreshTasks();
  void RefreshRecent();
  void ShowKeys();
  void ToggleSideBySide();
  QImage GrabViews();
  void Attempt(const QString& what, const std::function<void()>& work);

  void AskOpenFiles(LoadAs as);
  void AskOpenFolder();
  void ShowOpened();
  int AskSeries(const QString& name, const std::vector<SeriesChoice>& choices);
  bool AskResampled(const QString& name, const QString& fault);
  bool AskOtherSpace(const QString& name, const QString& why);
  void AskSave(bool always_ask);
  void AskSaveImage();
  void Save(int layer, const std::filesystem::path& path);
  void AskSurfaces();
  void AskDicom();
  const LabelLayer* LabelsToExport() const;
  void AskScreenshot();
  void AskReport();
  void NewLabelMap();
  int LayerToSave() const;
  int LabelsBehind(const LabelLayer& labels) const;
  // "" when the dialog was cancelled.
  std::filesystem::path AskVolumePath(const QString& title, const std::string& name);
  void AddRecent(const std::filesystem::path& path);

  Session& session_;
  QStackedWidget* stack_;
  EmptyState* empty_;
  ViewGrid* views_;
  LayerPanel* layers_ = nullptr;
  LabelPanel* labels_ = nullptr;
  JobPanel* jobs_ = nullptr;
  EvaluatePanel* evaluate_ = nullptr;
  MeasurePanel* measures_ = nullptr;
  Section* evaluate_section_ = nullptr;
  Section* measure_section_ = nullptr;
  QLabel* report_ = nullptr;
  QComboBox* layout_box_ = nullptr;
  QWidget* column_ = nullptr;
  QFrame* banner_ = nullptr;
  QLabel* banner_text_ = nullptr;
  bool banner_is_of_painting_ = false;
  QLabel* hover_ = nullptr;
  QLabel* task_text_ = nullptr;
  QProgressBar* progress_ = nullptr;
  QPushButton* cancel_ = nullptr;
  QPushButton* convention_ = nullptr;
  QMenu* recent_menu_ = nullptr;
  QAction *undo_ = nullptr, *redo_ = nullptr, *save_ = nullptr, *save_as_ = nullptr,
          *save_image_ = nullptr, *surfaces_ = nullptr, *dicom_ = nullptr, *overlays_ = nullptr,
          *patient_planes_ = nullptr, *screenshot_ = nullptr, *report_action_ = nullptr;
  std::vector<QAction*> tools_;
};

}  // namespace avocet::gui

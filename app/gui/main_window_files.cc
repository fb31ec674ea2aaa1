// SPDX-License-Identifier: Apache-2.0
// Files of MainWindow: open, save, drop, close, recover.
#include <QCloseEvent>
#include <QDragEnterEvent>
#include <QFile>
#include <QFileDialog>
#include <QInputDialog>
#include <QMenu>
#include <QMessageBox>
#include <QMimeData>
#include <QPainter>
#include <QPushButton>
#include <QSettings>
#include <QStatusBar>
#include <algorithm>

#include "app/gui/dicom_export_dialog.h"
#include "app/gui/main_window.h"
#include "app/gui/report.h"
#include "io/format.h"
#include "io/surface.h"
#include "io/volume_io.h"

namespace avocet::gui {
namespace fs = std::filesystem;
namespace {

constexpr int kRecent = 10;

QString Folder() { return QSettings().value("folder").toString(); }
void KeepFolder(const QString& path) {
  QSettings().setValue("folder",
                       QString::fromStdString(fs::path(path.toStdString()).parent_path()));
}

}  // namespace

void MainWindow::OpenPaths(const std::vector<fs::path>& paths) {
  banner_->hide();
  session_.Open(paths, LoadAs::kGuess, [this] { ShowOpened(); });
}

void MainWindow::ShowOpened() {
  const io::Geometry* grid = session_.document.grid();
  if (grid == nullptr) return;
  // A picture, or a single slice: the one view that shows it.
  for (const Orientation orientation : kOrientations) {
    const int axis = session_.document.Plane(orientation).axis;
    if (axis >= 0 && grid->size[axis] == 1) return views_->Maximise(static_cast<int>(orientation));
  }
  views_->slice(Orientation::kAxial).setFocus();
}

void MainWindow::AskOpenFiles(LoadAs as) {
  const QStringList files = QFileDialog::getOpenFileNames(
      this, "Open", Folder(),
      "Images and masks (*.nii *.nii.gz *.nrrd *.nhdr *.mha *.mhd *.dcm *.png *.tif *.tiff *.jpg "
      "*.npy *.npz *.h5);;All files (*)");
  if (files.isEmpty()) return;
  KeepFolder(files.front());
  std::vector<fs::path> paths;
  for (const QString& file : files) paths.emplace_back(file.toStdString());
  banner_->hide();
  session_.Open(paths, as, [this] { ShowOpened(); });
}

void MainWindow::AskOpenFolder() {
  const QString folder = QFileDialog::getExistingDirectory(this, "Open a DICOM folder", Folder());
  if (folder.isEmpty()) return;
  KeepFolder(folder);
  OpenPaths({folder.toStdString()});
}

int MainWindow::AskSeries(const QString& name, const std::vector<SeriesChoice>& choices) {
  QStringList items;
  for (size_t i = 0; i < choices.size(); ++i) {
    items += QString("%1: %2").arg(i + 1).arg(QString::fromStdString(choices[i].text));
  }
  bool chosen = false;
  const QString item = QInputDialog::getItem(
      this, "Choose a series", name + " holds several series. Which one is to be opened?", items, 0,
      /*editable=*/false, &chosen);
  return chosen ? static_cast<int>(items.indexOf(item)) : -1;
}

bool MainWindow::AskResampled(const QString& name, const QString& fault) {
  QMessageBox box(QMessageBox::Warning, "Open resampled",
                  name + " cannot be opened as it is: " + fault + ".", QMessageBox::NoButton, this);
  box.setObjectName("uneven");
  box.setInformativeText(
      "Open resampled puts its slices onto an even grid by linear interpolation. The values shown "
      "and measured are then interpolated between those of the slices, and the image is marked as "
      "resampled. A DICOM SEG that is exported from it still lies on the true slices.");
  QPushButton* resample = box.addButton("Open resampled", QMessageBox::AcceptRole);
  box.addButton(QMessageBox::Cancel);
  box.setDefaultButton(resample);
  box.exec();
  return box.clickedButton() == resample;
}

bool MainWindow::AskOtherSpace(const QString& name, const QString& why) {
  QMessageBox box(QMessageBox::Warning, "Another frame of reference",
                  "'" + name + "' does not belong to the open image.", QMessageBox::Cancel, this);
  box.setObjectName("other_space");
  box.setInformativeText(why + ".\n\nOpen it on the image all the same? The layer is marked.");
  QPushButton* open = box.addButton("Open anyway", QMessageBox::AcceptRole);
  box.setDefaultButton(QMessageBox::Cancel);
  box.exec();
  return box.clickedButton() == open;
}

void MainWindow::AddRecent(const fs::path& path) {
  std::error_code error;
  const fs::path full = fs::absolute(path, error);
  QSettings settings;
  QStringList recent = settings.value("recent").toStringList();
  const QString name = QString::fromStdString((error ? path : full).string());
  recent.removeAll(name);
  recent.prepend(name);
  while (recent.size() > kRecent) recent.removeLast();
  settings.setValue("recent", recent);
}

void MainWindow::RefreshRecent() {
  recent_menu_->clear();
  const QStringList recent = QSettings().value("recent").toStringList();
  for (const QString& path : recent) {
    recent_menu_->addAction(path, this, [this, path] { OpenPaths({path.toStdString()}); });
  }
  if (recent.isEmpty()) {
    recent_menu_->addAction("Nothing yet")->setEnabled(false);
    return;
  }
  recent_menu_->addSeparator();
  recent_menu_->addAction("Forget these", this, [] { QSettings().remove("recent"); });
}

// The chosen mask, or the chosen image when it is in no file yet; else the mask worked on.
int MainWindow::LayerToSave() const {
  const Document& document = session_.document;
  const int chosen = layers_->SelectedLayer();
  if (const LabelLayer* labels = document.Labels(chosen); labels != nullptr) {
    return LabelsBehind(*labels);
  }
  if (const ImageLayer* image = document.Image(chosen); image != nullptr && image->unsaved) {
    return chosen;
  }
  return document.ActiveLabels() == nullptr ? 0 : LabelsBehind(*document.ActiveLabels());
}

// An error map is no mask to be saved or exported: the prediction that it is of is meant.
int MainWindow::LabelsBehind(const LabelLayer& labels) const {
  if (!labels.comparison) return labels.id;
  const auto& evaluation = session_.evaluation();
  if (!evaluation || session_.document.Labels(evaluation->prediction) == nullptr) return 0;
  return evaluation->prediction;
}

fs::path MainWindow::AskVolumePath(const QString& title, const std::string& name) {
  QString patterns = QString::fromStdString(io::WritableExtensions());
  patterns = "*" + patterns.remove(' ').replace(",", " *");
  const QString proposal =
      (Folder().isEmpty() ? "" : Folder() + "/") + QString::fromStdString(name);
  QString file = QFileDialog::getSaveFileName(this, title, proposal,
                                              "Volumes (" + patterns + ");;All files (*)");
  if (file.isEmpty()) return {};
  if (io::VolumeExtension(file.toStdString()).empty()) {
    file += ".nii.gz";
    if (QFile::exists(file) &&
        QMessageBox::question(this, title, file + " is already there. Replace it?") !=
            QMessageBox::Yes) {
      return {};
    }
  }
  KeepFolder(file);
  return file.toStdString();
}

void MainWindow::Save(int layer, const fs::path& path) {
  session_.Save(layer, path, [this, path](bool done) {
    if (done) statusBar()->showMessage(QString::fromStdString("Saved " + path.string()), 4000);
  });
}

void MainWindow::AskSave(bool always_ask) {
  const int id = LayerToSave();
  if (session_.document.Image(id) != nullptr) return AskSaveImage();
  const LabelLayer* layer = session_.document.Labels(id);
  if (layer == nullptr) return;
  fs::path path = layer->path;
  if (always_ask || path.empty() || !layer->unsaved) {
    const ImageLayer* image = session_.document.ActiveImage();
    path = AskVolumePath(
        "Save mask", path.empty()
                         ? (image ? io::StemOf(image->name) : std::string("image")) + "_mask.nii.gz"
                         : path.filename().string());
    if (path.empty()) return;
  }
  Save(id, path);
}

void MainWindow::AskSaveImage() {
  const ImageLayer* image = session_.document.ActiveImage();
  if (image == nullptr) return;
  const io::Format* format = io::FormatByName(image->name);
  const bool same = format != nullptr && format->CanWrite();
  std::string name = image->name;
  // Never the name of the file that it was read from.
  if (!image->unsaved) {
    name = io::StemOf(name) + (same ? "_copy" + io::VolumeExtension(name) : ".nii.gz");
  }
  const int id = image->id;
  const fs::path path = AskVolumePath("Save image", name);
  if (!path.empty()) Save(id, path);
}

const LabelLayer* MainWindow::LabelsToExport() const {
  const LabelLayer* chosen = session_.document.Labels(layers_->SelectedLayer());
  const LabelLayer* labels = chosen != nullptr ? chosen : session_.document.ActiveLabels();
  return labels == nullptr ? nullptr : session_.document.Labels(LabelsBehind(*labels));
}

void MainWindow::AskDicom() {
  const LabelLayer* layer = LabelsToExport();
  if (layer == nullptr) return;
  const int id = layer->id;
  DicomExportDialog dialog(session_.DicomImage(), this);
  if (dialog.exec() != QDialog::Accepted) return;
  const Session::DicomExport wanted = dialog.Wanted();
  QString file = QFileDialog::getSaveFileName(
      this, "Export as DICOM", Folder() + (wanted.rtstruct ? "/rtstruct.dcm" : "/seg.dcm"),
      "DICOM (*.dcm)");
  if (file.isEmpty()) return;
  if (!file.endsWith(".dcm", Qt::CaseInsensitive)) file += ".dcm";
  KeepFolder(file);
  session_.ExportDicom(id, file.toStdString(), wanted, [this, file](bool done) {
    if (done) statusBar()->showMessage("Exported " + file, 4000);
  });
}

void MainWindow::AskSurfaces() {
  const LabelLayer* layer = LabelsToExport();
  if (layer == nullptr) return;
  const QString file = QFileDialog::getSaveFileName(
      this, "Export surfaces", Folder() + "/surfaces.stl", "Surfaces (*.stl *.obj *.ply)");
  if (!file.isEmpty()) session_.ExportSurfaces(layer->id, file.toStdString());
}

void MainWindow::Attempt(const QString& what, const std::function<void()>& work) {
  try {
    work();
    statusBar()->showMessage(what + " written", 4000);
  } catch (const Error& error) {
    ShowMessage({Message::Kind::kError, what.toStdString(), {error.what()}});
  }
}

// As on the screen, with the name of the convention and the warning that must not be cut off.
QImage MainWindow::GrabViews() {
  const QImage views = views_->grab().toImage().convertToFormat(QImage::Format_RGB32);
  const double ratio = views.devicePixelRatio();
  const int band = static_cast<int>(22 * ratio);
  QImage picture(views.width(), views.height() + band, QImage::Format_RGB32);
  picture.fill(QColor(32, 35, 40));
  QPainter painter(&picture);
  QImage plain = views;
  plain.setDevicePixelRatio(1);
  painter.drawImage(0, 0, plain);
  QFont font = painter.font();
  font.setPixelSize(static_cast<int>(12 * ratio));
  painter.setFont(font);
  painter.setPen(QColor(216, 183, 101));
  painter.drawText(QRect(8, views.height(), views.width() - 16, band),
                   Qt::AlignVCenter | Qt::AlignRight, "Research use, not for diagnosis");
  painter.setPen(QColor(222, 226, 231));
  painter.drawText(QRect(8, views.height(), views.width() - 16, band),
                   Qt::AlignVCenter | Qt::AlignLeft, convention_->text());
  return picture;
}

void MainWindow::SaveScreenshot(const fs::path& path) {
  Attempt("Screenshot", [&] { WritePng(GrabViews(), path); });
}

void MainWindow::SaveReport(const fs::path& path) {
  Attempt("Report", [&] { WriteReport(session_, GrabViews(), path); });
}

void MainWindow::AskScreenshot() {
  const QString file = QFileDialog::getSaveFileName(this, "Screenshot of the views",
                                                    Folder() + "/screenshot.png", "PNG (*.png)");
  if (!file.isEmpty()) SaveScreenshot(file.toStdString());
}

void MainWindow::AskReport() {
  const QString file = QFileDialog::getSaveFileName(this, "Report", Folder() + "/report.pdf",
                                                    "PDF or PNG (*.pdf *.png)");
  if (!file.isEmpty()) SaveReport(file.toStdString());
}

void MainWindow::NewLabelMap() {
  const ImageLayer* image = session_.document.ActiveImage();
  if (image == nullptr) return;
  auto layer = std::make_unique<LabelLayer>();
  layer->name = "New labels";
  layer->drawn = true;
  layer->header = image->volume;
  layer->labels = std::make_shared<std::vector<uint16_t>>(image->volume->geometry.VoxelCount());
  for (int value = 1; value <= 3; ++value) {
    layer->table[value].name = "Label " + std::to_string(value);
    layer->table[value].colour = DefaultLabelColour(value);
  }
  session_.document.AddLabels(std::move(layer));
}

void MainWindow::OfferRecovery() {
  const auto entries = session_.journal().Abandoned();
  const auto measured = session_.journal().AbandonedMeasurements();
  if (entries.empty() && measured.empty()) {
    session_.journal().DiscardAbandoned();  // empty folders of windows that ended badly
    return;
  }
  QString names;
  for (const auto& entry : entries) names += "\n  " + QString::fromStdString(entry.name);
  for (const auto& one : measured) {
    names += "\n  measurements on " + QString::fromStdString(one.name);
  }
  QMessageBox box(QMessageBox::Question, "Unsaved work",
                  "An earlier window ended with work that was not saved:" + names,
                  QMessageBox::NoButton, this);
  box.setObjectName("recovery");
  QPushButton* recover = box.addButton("Recover", QMessageBox::AcceptRole);
  QPushButton* discard = box.addButton("Discard", QMessageBox::DestructiveRole);
  box.addButton("Decide later", QMessageBox::RejectRole);
  box.setDefaultButton(recover);
  box.exec();
  if (box.clickedButton() == recover) session_.Recover(entries);
  if (box.clickedButton() == discard) session_.journal().DiscardAbandoned();
}

void MainWindow::closeEvent(QCloseEvent* event) {
  const std::vector<TaskState> running = session_.tasks.Running();
  const bool working = std::any_of(running.begin(), running.end(), [](const TaskState& task) {
    return !task.quiet && !task.cancelled;
  });
  if (session_.document.HasUnsaved() || working) {
    QMessageBox box(QMessageBox::Warning, "Unsaved work",
                    session_.document.HasUnsaved()
                        ? "There are layers that are not saved. Close the window and lose them?"
                        : "A job is at work. Close the window and stop it?",
                    QMessageBox::NoButton, this);
    box.setObjectName("unsaved");
    QPushButton* lose = box.addButton("Close", QMessageBox::DestructiveRole);
    QPushButton* stay = box.addButton("Stay", QMessageBox::RejectRole);
    box.setDefaultButton(stay);
    box.exec();
    if (box.clickedButton() != lose) {
      event->ignore();
      return;
    }
  }
  QSettings().setValue("geometry", saveGeometry());
  session_.tasks.CancelAll();
  event->accept();
}

void MainWindow::dragEnterEvent(QDragEnterEvent* event) {
  if (event->mimeData()->hasUrls()) event->acceptProposedAction();
}

void MainWindow::dropEvent(QDropEvent* event) {
  std::vector<fs::path> paths;
  for (const QUrl& url : event->mimeData()->urls()) {
    if (url.isLocalFile()) paths.emplace_back(url.toLocalFile().toStdString());
  }
  if (!paths.empty()) OpenPaths(paths);
  event->acceptProposedAction();
}

}  // namespace avocet::gui

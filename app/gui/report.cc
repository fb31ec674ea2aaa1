// SPDX-License-Identifier: Apache-2.0
#include "app/gui/report.h"

#include <QBuffer>
#include <QDateTime>
#include <QPainter>
#include <QPdfWriter>
#include <algorithm>
#include <cctype>
#include <functional>
#include <nlohmann/json.hpp>
#include <utility>

#include "app/core/version.h"
#include "app/gui/job_files.h"
#include "app/gui/origin.h"
#include "io/file_util.h"

namespace avocet::gui {
namespace {

// A4 at 150 dots per inch.
constexpr int kWidth = 1240;
constexpr int kHeight = 1754;
constexpr int kMargin = 70;

// Text and pictures one below the other. `new_page` is called where a page is full; without it
// there is one page, as long as it must be.
class Pages {
 public:
  Pages(QPainter& painter, std::function<void()> new_page)
      : painter_(painter), new_page_(std::move(new_page)) {}

  void Text(const QString& text, int size, bool bold = false, const QColor& colour = Qt::black,
            int indent = 0) {
    texts_ += text;
    QFont font("DejaVu Sans");
    font.setPixelSize(size);
    font.setBold(bold);
    painter_.setFont(font);
    painter_.setPen(colour);
    const auto room = [&] {
      return QRect(kMargin + indent, y_, kWidth - 2 * kMargin - indent, kHeight);
    };
    const QRect taken = painter_.boundingRect(room(), Qt::TextWordWrap, text);
    // A title does not stand alone at the foot of a page.
    MakeRoom(taken.height() + (bold ? 4 * size : 0));
    painter_.drawText(room(), Qt::TextWordWrap, text);
    y_ += taken.height() + size / 3;
  }
  // Before a line of text of this size.
  void Swatch(const std::array<uint8_t, 3>& colour, int size) {
    MakeRoom(2 * size);
    painter_.fillRect(kMargin, y_ + 3, 14, 14, QColor(colour[0], colour[1], colour[2]));
  }
  void Picture(const QImage& image, int height) {
    const QSize size = image.size().scaled(kWidth - 2 * kMargin, height, Qt::KeepAspectRatio);
    MakeRoom(size.height());
    painter_.setRenderHint(QPainter::SmoothPixmapTransform);
    painter_.drawImage(QRect(QPoint(kMargin, y_), size), image);
    y_ += size.height() + 14;
  }
  void Space(int pixels) { y_ += pixels; }
  const QStringList& texts() const { return texts_; }
  int height() const { return y_ + kMargin; }

 private:
  void MakeRoom(int needed) {
    if (!new_page_ || y_ + needed <= kHeight - kMargin) return;
    new_page_();
    y_ = kMargin;
  }

  QPainter& painter_;
  std::function<void()> new_page_;
  int y_ = kMargin;
  QStringList texts_;
};

// What made a mask: one line from its manifest and from what was done to it since.
QString Provenance(const std::string& manifest, const Origin& origin) {
  const auto json = nlohmann::json::parse(manifest, nullptr, false);
  if (!json.is_object()) return {};
  const auto text = [&](const char* object, const char* key) {
    const auto part = json.find(object);
    if (part == json.end() || !part->is_object()) return QString();
    return QString::fromStdString(part->value(key, std::string()));
  };
  QString made = QString::fromStdString(Describe(origin));
  if (!made.isEmpty()) made[0] = made[0].toUpper();
  return QString("%1 (%2, SHA-256 %3\u2026) from %4 (SHA-256 %5\u2026), Avocet %6, %7")
      .arg(made, text("model", "file"), text("model", "sha256").left(16), text("input", "file"),
           text("input", "sha256").left(16),
           QString::fromStdString(json.value("avocet", std::string())),
           QString::fromStdString(json.value("device", std::string())));
}

// What speaks against a result, as its manifest tells.
void DrawDoubts(const Companions& companions, Pages& page) {
  const QColor warning(170, 40, 30);
  const core::ManifestDoubts doubts = DoubtsOf(companions);
  for (const std::string& each : doubts.implausible) {
    page.Text("Implausible: " + QString::fromStdString(each), 15, true, warning, 24);
  }
  if (!doubts.overridden.empty()) {
    page.Text("Made although " + QString::fromStdString(doubts.overridden), 15, true, warning, 24);
  }
}

struct Drawn {
  int height = 0;  // where there is one page
  QStringList texts;
};

Drawn Draw(const Session& session, const QImage& views, QPainter& painter,
           std::function<void()> new_page = {}) {
  Pages page(painter, std::move(new_page));
  const Document& document = session.document;
  const QColor grey(90, 96, 104);
  page.Text("Avocet report", 34, true);
  page.Text("Research use, not for diagnosis. " +
                QString(document.convention() == Convention::kRadiological
                            ? "Radiological convention: the patient's right is on the left."
                            : "Neurological convention: the patient's left is on the left."),
            16, true, QColor(150, 70, 20));
  page.Picture(views, 760);
  if (const ImageLayer* image = document.ActiveImage()) {
    const io::Geometry& g = image->volume->geometry;
    const QString axes =
        QString::fromStdString(g.OrientationLetters()) + (image->AssumesOrientation() ? "?" : "");
    page.Text("Image", 20, true);
    page.Text(
        QString("%1: %2 x %3 x %4 voxels of %5 x %6 x %7 mm, axes towards %8, window %9 / %10")
            .arg(QString::fromStdString(image->name))
            .arg(g.size[0])
            .arg(g.size[1])
            .arg(g.size[2])
            .arg(g.spacing[0])
            .arg(g.spacing[1])
            .arg(g.spacing[2])
            .arg(axes)
            .arg(image->window.width)
            .arg(image->window.level),
        15);
    if (image->volume->assumed.Any()) {
      page.Text("Assumed: " + QString::fromStdString(AssumedText(image->volume->assumed)) + ".", 15,
                true);
    }
    if (image->volume->resampled) {
      page.Text("Resampled onto an even grid: values are interpolated.", 15, true);
    }
    DrawDoubts(image->companions, page);
    if (image->synthetic) page.Text("Synthetic: made by a network, not acquired.", 15, true);
    for (const auto& [ending, content] : image->companions) {
      if (ending == ".manifest.json") {
        page.Text(Provenance(content, OriginOf(*image)), 12, false, grey, 24);
      }
    }
  }
  for (const auto& layer : document.labels()) {
    page.Space(6);
    page.Text("Labels: " + QString::fromStdString(layer->name), 20, true);
    for (const auto& [value, entry] : layer->table) {
      page.Swatch(entry.colour, 15);
      const QString name = QString::fromStdString(entry.name);
      page.Text(
          layer->KnowsVolume()
              ? QString("%1   %2 ml, %3 voxels")
                    .arg(name)
                    .arg(entry.volume_ml, 0, 'f', 3)
                    .arg(entry.voxels)
              : QString("%1   %2 voxels, their size is not known").arg(name).arg(entry.voxels),
          15, false, Qt::black, 24);
    }
    const Origin origin = OriginOf(*layer);
    if (origin.edited) {
      QString how = QString::fromStdString(Describe(origin));
      how[0] = how[0].toUpper();
      page.Text(how + ".", 15, true, Qt::black, 24);
    }
    DrawDoubts(layer->companions, page);
    for (const auto& [ending, content] : layer->companions) {
      if (ending == ".manifest.json") {
        page.Text(Provenance(content, origin), 12, false, grey, 24);
      }
    }
  }
  if (session.evaluation() && !session.evaluation()->result.set.cases.empty()) {
    const core::EvaluateResult& result = session.evaluation()->result;
    page.Space(6);
    const Session::Evaluation& evaluation = *session.evaluation();
    page.Text("Scores, protocol " + QString::fromStdString(evaluation.protocol()), 20, true);
    page.Text(QString::fromStdString(evaluation.prediction_name + " against " +
                                     evaluation.reference_name),
              15);
    if (session.IsEvaluationStale()) {
      page.Text("A mask was changed or a layer closed after these were computed.", 15, true,
                QColor(150, 70, 20));
    }
    for (size_t n = 0; n < result.classes.size(); ++n) {
      QString line = QString::fromStdString(result.classes[n].name) + ": ";
      for (size_t c = 0; c < result.protocols[0].columns.size(); ++c) {
        const auto& column = result.protocols[0].columns[c];
        const auto& value = result.set.cases[0].classes[n].values[0][c];
        line += (c ? ", " : "") + QString::fromStdString(column.name) + " " +
                (value.HasValue() ? QString::number(value.value, 'g', 4) : QString("undefined"));
      }
      page.Text(line, 15);
    }
  }
  if (!document.measurements().empty()) {
    page.Space(6);
    page.Text("Measurements", 20, true);
    for (const Measurement& m : document.measurements()) {
      page.Text(QString::fromStdString(m.Name() + ": " + m.Summary() + "  (" +
                                       NameOf(m.orientation) + ", " + m.image + ")"),
                15);
    }
  }
  page.Space(10);
  page.Text(QString("Made with Avocet %1 on %2.")
                .arg(core::Version())
                .arg(QDateTime::currentDateTimeUtc().toString("yyyy-MM-dd HH:mm 'UTC'")),
            13, false, grey);
  return {page.height(), page.texts()};
}

}  // namespace

QStringList ReportTexts(const Session& session) {
  QImage scratch(kWidth, 1, QImage::Format_RGB32);
  QPainter painter(&scratch);
  return Draw(session, scratch, painter).texts;
}

void WritePng(const QImage& image, const std::filesystem::path& path) {
  QByteArray bytes;
  QBuffer buffer(&bytes);
  buffer.open(QIODevice::WriteOnly);
  if (!image.save(&buffer, "PNG")) {
    throw IoError("the picture '" + path.string() + "' could not be encoded");
  }
  io::WriteFileAtomically(path, std::string_view(bytes.constData(), bytes.size()));
}

void WriteReport(const Session& session, const QImage& views, const std::filesystem::path& path) {
  std::string ending = path.extension().string();
  std::transform(ending.begin(), ending.end(), ending.begin(),
                 [](unsigned char c) { return std::tolower(c); });
  if (ending == ".pdf") {
    QByteArray bytes;
    QBuffer buffer(&bytes);
    buffer.open(QIODevice::WriteOnly);
    {
      QPdfWriter writer(&buffer);
      writer.setPageSize(QPageSize(QPageSize::A4));
      writer.setPageMargins(QMarginsF(0, 0, 0, 0));
      writer.setTitle("Avocet report");
      QPainter painter(&writer);
      painter.setWindow(0, 0, kWidth, kHeight);
      Draw(session, views, painter, [&writer] { writer.newPage(); });
    }
    io::WriteFileAtomically(path, std::string_view(bytes.constData(), bytes.size()));
    return;
  }
  if (ending != ".png") {
    throw IoError("a report is a .pdf or .png file, not '" + path.filename().string() + "'");
  }
  // Drawn once to know how long it is.
  QImage scratch(kWidth, 1, QImage::Format_RGB32);
  QPainter measuring(&scratch);
  const int height = Draw(session, views, measuring).height;
  measuring.end();
  QImage image(kWidth, std::max(kHeight, height), QImage::Format_RGB32);
  image.fill(Qt::white);
  QPainter painter(&image);
  painter.setRenderHint(QPainter::Antialiasing);
  Draw(session, views, painter);
  painter.end();
  WritePng(image, path);
}

}  // namespace avocet::gui

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <QImage>
#include <QStringList>
#include <filesystem>

#include "app/gui/session.h"

namespace avocet::gui {

// One page: the views as they are on the screen, labels with volumes, scores, measurements, and
// where all of it comes from. PDF or PNG by extension, atomically. Throws IoError.
void WriteReport(const Session& session, const QImage& views, const std::filesystem::path& path);

// The texts of such a report, in their order.
QStringList ReportTexts(const Session& session);

// PNG, atomically. Throws IoError.
void WritePng(const QImage& image, const std::filesystem::path& path);

}  // namespace avocet::gui

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <QIcon>
#include <QString>

class QApplication;

namespace avocet::gui {

// One calm dark look for the whole program; sizes follow the system's font and scaling.
void ApplyTheme(QApplication& application);

// resources/icons/NAME.svg.
QIcon Icon(const QString& name);

}  // namespace avocet::gui

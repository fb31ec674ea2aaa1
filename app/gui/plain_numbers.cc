// SPDX-License-Identifier: Apache-2.0
#include "app/gui/plain_numbers.h"

#include <QLocale>
#include <clocale>

namespace avocet::gui {

void UsePlainNumbers() {
  std::setlocale(LC_NUMERIC, "C");
  QLocale::setDefault(QLocale::c());
}

}  // namespace avocet::gui

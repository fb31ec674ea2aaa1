// SPDX-License-Identifier: Apache-2.0
#include "app/gui/gui_main.h"

#include <unistd.h>

#include <QApplication>
#include <QSettings>
#include <QTimer>
#include <clocale>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>

#include "app/base/error.h"
#include "app/core/version.h"
#include "app/gui/main_window.h"
#include "app/gui/plain_numbers.h"
#include "app/gui/theme.h"

namespace {

// Qt ends the process when it finds no display; the user gets a sentence instead of a core dump.
void OnQtMessage(QtMsgType type, const QMessageLogContext&, const QString& text) {
  if (type == QtFatalMsg) {
    std::fprintf(stderr, "avocet: error: the window cannot be opened: %s\n",
                 text.section('\n', 0, 0).toLocal8Bit().constData());
    _exit(static_cast<int>(avocet::ExitCode::kDevice));
  }
  if (type == QtCriticalMsg) {
    std::fprintf(stderr, "avocet: warning: %s\n", text.toLocal8Bit().constData());
  }
}

int Run(const char* const* files, int count) {
  using avocet::DeviceError;
  if (getenv("DISPLAY") == nullptr && getenv("WAYLAND_DISPLAY") == nullptr &&
      getenv("QT_QPA_PLATFORM") == nullptr) {
    throw DeviceError(
        "there is no display (DISPLAY is not set); run it in a desktop session, or with ssh -X");
  }
  // The command line's handlers only set a flag for jobs to poll. Unsaved work is in the journal.
  std::signal(SIGINT, SIG_DFL);
  std::signal(SIGTERM, SIG_DFL);
  qInstallMessageHandler(OnQtMessage);
  static char name[] = "avocet";
  static char* arguments[] = {name, nullptr};
  int argument_count = 1;
  QApplication application(argument_count, arguments);
  avocet::gui::UsePlainNumbers();
  QCoreApplication::setOrganizationName("avocet");
  QCoreApplication::setApplicationName("avocet");
  QCoreApplication::setApplicationVersion(avocet::core::Version());
  QSettings::setDefaultFormat(QSettings::IniFormat);
  avocet::gui::ApplyTheme(application);
  avocet::gui::Session session(avocet::gui::Journal::DefaultRoot());
  avocet::gui::MainWindow window(session);
  window.show();
  QTimer::singleShot(0, &window, [&] {
    if (count > 0) window.OpenPaths({files, files + count});
    window.OfferRecovery();
  });
  return QApplication::exec();
}

}  // namespace

int avocet_gui_main(const char* const* files, int count) {
  try {
    return Run(files, count);
  } catch (const avocet::Error& error) {
    std::fprintf(stderr, "avocet: error: %s\n", error.what());
    return static_cast<int>(error.exit_code());
  } catch (const std::exception& error) {
    std::fprintf(stderr, "avocet: internal error: %s\n", error.what());
    return static_cast<int>(avocet::ExitCode::kInternal);
  }
}

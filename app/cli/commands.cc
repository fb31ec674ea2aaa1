// SPDX-License-Identifier: Apache-2.0
#include "app/cli/command.h"

namespace avocet::cli {

void AddCommands(CLI::App& app, Action& action, ModeTable& modes) {
  AddInfo(app, action);
  AddSegment(app, action, modes);
  AddTranslate(app, action);
  AddEvaluate(app, action, modes);
  AddDegrade(app, action, modes);
  AddConvert(app, action);
  AddForward(app, action);
  AddTrain(app, action, modes);
  AddModel(app, action);
  AddDemo(app, action);
  AddDoctor(app, action);
  AddExport(app, action, modes);
  AddAnonymize(app, action);
  AddGui(app, action);
}

}  // namespace avocet::cli

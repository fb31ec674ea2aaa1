// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <QElapsedTimer>
#include <QObject>
#include <QTimer>
#include <algorithm>
#include <fstream>

namespace avocet::test {

// The longest time for which the window did not come round to its events. Time in which its thread
// was ready to run and the machine was busy with something else is not the window's and is taken
// off (schedstat, Linux).
class StallMeter {
 public:
  StallMeter() {
    clock_.start();
    last_ = clock_.nsecsElapsed();
    waited_ = WaitedNs();
    timer_.setTimerType(Qt::PreciseTimer);
    QObject::connect(&timer_, &QTimer::timeout, [this] {
      const qint64 now = clock_.nsecsElapsed();
      const qint64 waited = WaitedNs();
      longest_ = std::max(longest_, now - last_ - (waited - waited_));
      last_ = now;
      waited_ = waited;
    });
    timer_.start(1);
  }
  double LongestMs() const { return static_cast<double>(longest_) / 1e6; }

 private:
  static qint64 WaitedNs() {
    std::ifstream file("/proc/thread-self/schedstat");
    qint64 ran = 0, waited = 0;
    file >> ran >> waited;
    return waited;
  }

  QElapsedTimer clock_;
  QTimer timer_;
  qint64 last_ = 0, longest_ = 0, waited_ = 0;
};

}  // namespace avocet::test

// SPDX-License-Identifier: Apache-2.0
// avocet-reader KIND FILE MEMBER VOXELS: reads one file with a library that does not survive every
// damaged file, and leaves the answer in shared memory (io/child/answer.h). Started by
// RunReader (io/reader_process.h); not meant to be started by hand.
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <new>
#include <string>

#include "io/child/child_reader.h"

namespace {

struct Entry {
  const char* kind;
  avocet::io::ChildReader read;
};
constexpr Entry kReaders[] = {
    {"hdf5", avocet::io::ReadHdf5InChild},     {"itk-vtk", avocet::io::ReadVtkInChild},
    {"itk-gipl", avocet::io::ReadGiplInChild}, {"itk-mrc", avocet::io::ReadMrcInChild},
    {"itk-minc", avocet::io::ReadMincInChild},
};

int Run(int count, char** arguments) {
  using namespace avocet::io;
  if (count != 5 || lseek(kAnswerFd, 0, SEEK_CUR) < 0) {
    std::fputs("avocet-reader: a part of Avocet that reads single files; not for use by hand\n",
               stderr);
    return 1;
  }
  // The parent's end, for whatever reason, is the child's.
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  const struct rlimit no_core = {0, 0};
  setrlimit(RLIMIT_CORE, &no_core);
  unsetenv("ITK_AUTOLOAD_PATH");  // ITK would load libraries from there
  const ChildRequest request{arguments[2], arguments[3], std::strcmp(arguments[4], "1") == 0};
  for (const Entry& entry : kReaders) {
    if (std::strcmp(entry.kind, arguments[1]) != 0) continue;
    try {
      AnswerWriter out;
      entry.read(request, out);
      out.Finish();
      return kReaderDone;
    } catch (const std::bad_alloc&) {
      return kReaderNoMemory;
    } catch (const std::exception& error) {
      AnswerWriter message;
      message.Text(error.what());
      message.Finish();
      return kReaderRefused;
    }
  }
  return 1;
}

}  // namespace

int main(int count, char** arguments) {
  int code = 1;
  try {
    code = Run(count, arguments);
  } catch (const std::exception&) {
    code = avocet::io::kReaderNoMemory;
  }
  // A library's exit handlers could still stumble over the damaged file.
  std::fflush(nullptr);
  _exit(code);
}

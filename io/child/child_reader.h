// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <string>

#include "io/child/answer.h"

namespace avocet::io {

// What the child process is asked for.
struct ChildRequest {
  std::filesystem::path path;
  std::string member;  // an array of the file; "" = the one that ChooseArray chooses
  bool voxels = true;  // false: only what the header tells
};

// One reader of the program avocet-reader: opens the file under LimitWork and answers. Throws
// IoError (one sentence that names the file), std::bad_alloc.
using ChildReader = void (*)(const ChildRequest& request, AnswerWriter& out);

// name, type (VoxelType), 1 when big-endian, rank, sizes, number of notes, notes; voxels.
void ReadHdf5InChild(const ChildRequest& request, AnswerWriter& out);

// Stock readers of ITK. Answer: number of axes, then of each axis its size, spacing, origin and
// direction (as many numbers as axes), all but the size as Real; type
// (VoxelType), values a voxel, bytes of all voxels; the voxels, components fastest. Coordinates are
// the reader's own.
void ReadVtkInChild(const ChildRequest& request, AnswerWriter& out);
void ReadGiplInChild(const ChildRequest& request, AnswerWriter& out);
void ReadMrcInChild(const ChildRequest& request, AnswerWriter& out);
void ReadMincInChild(const ChildRequest& request, AnswerWriter& out);

}  // namespace avocet::io

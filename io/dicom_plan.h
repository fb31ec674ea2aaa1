// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "io/dicom.h"
#include "io/dicom_instance.h"

namespace avocet::io {

namespace dicom {

struct FrameRef {
  std::shared_ptr<const Instance> instance;
  size_t index = 0;  // into instance->frames
  const FrameInfo& info() const { return instance->frames[index]; }
};

}  // namespace dicom

// One volume to be: its slices in order, and the grid that they make.
struct DicomPlan {
  std::vector<dicom::FrameRef> frames;
  bool picture = false;  // no place in the patient: one slice, `frames` follow each other in time
  // In order along the normal, of one size and orientation, each at a place of its own: planes on
  // which a mask can lie, whether evenly spaced or not.
  bool stack = false;
  Geometry geometry;  // when `problem` is empty
  std::string problem;
  bool can_regularise = false;
  std::string split;
  std::vector<std::string> notes;
};

namespace dicom {

// The volumes among the images of one SeriesInstanceUID, in a stable order. Images with
// Instance::problem become plans of their own, one a problem.
std::vector<std::shared_ptr<const DicomPlan>> PlanSeries(
    const std::vector<std::shared_ptr<const Instance>>& instances);

// Checks the frames of one volume, sorts them by position, finds their grid.
void MakeGrid(DicomPlan& plan);

// Unit normal of a slice: row direction x column direction.
std::array<double, 3> NormalOf(const FrameInfo& frame);

// The regular grid that spans the frames of a plan that can be regularised: whole pixels of the
// first slice, slice distance the smallest gap.
Geometry RegularGridOf(const DicomPlan& plan);

// Linear resampling of `slices` (the volume as decoded, one slice a frame of the plan) onto the
// regular grid that spans them.
Volume Regularise(const DicomPlan& plan, const Volume& slices, bool has_fill, double fill);

}  // namespace dicom
}  // namespace avocet::io

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
  Geometry geometry;    // when `problem` is empty
  Assumptions assumed;  // what the files do not state of it
  std::string problem;
  bool can_regularise = false;
  std::string split;
  std::vector<std::string> notes;

  // FrameOfReferenceUID that its slices name; "" when none does or they differ.
  std::string FrameOfReference() const;
};

namespace dicom {

// The volumes among the images of one series, in a stable order. Images with Instance::problem
// become plans of their own, one a problem. `notes` are about the series and go to its volumes.
std::vector<std::shared_ptr<const DicomPlan>> PlanSeries(
    const std::vector<std::shared_ptr<const Instance>>& instances,
    const std::vector<std::string>& notes = {});

// True when slices of one series that differ in `uid` (study, frame of reference) are one volume by
// their positions all the same: of one size and orientation, and either none at the place of
// another and all on one even grid, or each file one slice with a UID of its own, which then tells
// nothing.
bool BelongTogether(const std::vector<FrameRef>& slices, std::string Instance::*uid);

// Checks the frames of one volume, sorts them by position, finds their grid.
void MakeGrid(DicomPlan& plan);

// What keeps two slices from being of one volume (size, type, pixel size, orientation), a part of a
// sentence; "" when nothing does.
std::string Mismatch(const FrameRef& a, const FrameRef& b);

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

# SPDX-License-Identifier: Apache-2.0
"""Reads a DICOM SEG with highdicom and pydicom: one line a segment, voxels and centroid in LPS mm.

For the test DicomPlaces.HighdicomReadsTheSameMask; Avocet itself uses no Python.
"""
import sys
import warnings

warnings.filterwarnings("ignore")
import highdicom as hd  # noqa: E402
import numpy as np  # noqa: E402

seg = hd.seg.segread(sys.argv[1])
shared = seg.SharedFunctionalGroupsSequence[0]
cosines = np.array(shared.PlaneOrientationSequence[0].ImageOrientationPatient, float)
spacing = np.array(shared.PixelMeasuresSequence[0].PixelSpacing, float)
frames = seg.pixel_array.reshape(-1, seg.Rows, seg.Columns)
for description in seg.SegmentSequence:
    points = []
    for frame, groups in zip(frames, seg.PerFrameFunctionalGroupsSequence):
        number = groups.SegmentIdentificationSequence[0].ReferencedSegmentNumber
        if number != description.SegmentNumber:
            continue
        position = np.array(groups.PlanePositionSequence[0].ImagePositionPatient, float)
        rows, columns = np.nonzero(frame)
        points.append(position + np.outer(columns * spacing[1], cosines[:3])
                      + np.outer(rows * spacing[0], cosines[3:]))
    points = np.concatenate(points)
    centroid = points.mean(axis=0) if len(points) else np.zeros(3)
    print(description.SegmentNumber, len(points), *(f"{x:.6f}" for x in centroid),
          description.SegmentLabel.replace(" ", "_"))

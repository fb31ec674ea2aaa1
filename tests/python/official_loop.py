# SPDX-License-Identifier: Apache-2.0
"""The test loop of TransUNet and RWKV-UNet, written from its description, on made-up volumes.

Writes small data sets in the published layouts and what the loop makes of them to
tests/data/official_loop: predictions, Dice and HD95 per class. tests/app/official_loop_test.cc holds
Avocet to them. Shares no code with Avocet; uses NumPy, SciPy, h5py and nibabel:

    pip install "numpy<2.3" scipy h5py nibabel
    python tests/python/official_loop.py tests/data/official_loop

The network is replaced by a fixed formula on the network's input (see `logits`), which the C++ test
has too: all else, from the file to the scores, is what is compared. The volumes are made such that
no pixel is near a tie, so that the last bit of an instruction set does not decide.
"""
import json
import sys
from pathlib import Path

import h5py
import nibabel
import numpy as np
from scipy import ndimage

SIDE = 224  # of the network's input
SMALLEST_GAP = 5e-7  # of the two largest logits

# Background first; a class of the network each. Two classes share a range of intensities or lie
# beyond all: some are never predicted, one is predicted where the reference has none.
SYNAPSE_CENTRES = [0.0, 1.00137, 0.36291, 0.80173, 1.9, 0.58119, 2.5, 0.46977, 0.69231]
ACDC_CENTRES = [0.0511, 0.77931, 0.34973, 0.57917]


def logits(x, centres):
    """[rows, columns] float32 -> [classes, rows, columns] float64."""
    x = x.astype(np.float64)
    box = ndimage.uniform_filter(np.pad(x, 2), 5, mode="constant")[2:-2, 2:-2]
    return np.stack([0.5 * m * x + 1.5 * m * box - m * m for m in centres])


def predict(volume, centres):
    """The loop over slices. Returns labels and the smallest gap between two best classes."""
    prediction = np.zeros(volume.shape, np.uint8)
    gap = np.inf
    for index, image in enumerate(volume):
        rows, columns = image.shape
        if (rows, columns) != (SIDE, SIDE):
            image = ndimage.zoom(image, (SIDE / rows, SIDE / columns), order=3)
        assert image.dtype == np.float32
        scores = logits(image, centres)
        two = np.sort(scores, axis=0)[-2:]
        gap = min(gap, (two[1] - two[0]).min())
        labels = scores.argmax(0)
        if (rows, columns) != (SIDE, SIDE):
            labels = ndimage.zoom(labels, (rows / SIDE, columns / SIDE), order=0)
        prediction[index] = labels
    return prediction, gap


def border(mask):
    return mask ^ ndimage.binary_erosion(mask, ndimage.generate_binary_structure(mask.ndim, 1))


def scores(prediction, reference, classes):
    """Dice and HD95 (voxels, both directed lists pooled) per foreground class, by the loop's rule."""
    rows = []
    for c in range(1, classes):
        p, g = prediction == c, reference == c
        if p.any() and g.any():
            dice = 2.0 * np.count_nonzero(p & g) / (np.count_nonzero(p) + np.count_nonzero(g))
            p_border, g_border = border(p), border(g)
            to_g = ndimage.distance_transform_edt(~g_border)[p_border]
            to_p = ndimage.distance_transform_edt(~p_border)[g_border]
            rows.append([float(dice), float(np.percentile(np.hstack((to_g, to_p)), 95))])
        else:
            rows.append([1.0, 0.0] if p.any() else [0.0, 0.0])
    return rows


def ellipse(shape, centre, radii):
    at = np.indices(shape)
    return sum(((a - c) / r) ** 2 for a, c, r in zip(at, centre, radii)) <= 1


def smooth_noise(rng, shape, amplitude, sigma=1.2):
    noise = ndimage.gaussian_filter(rng.standard_normal(shape), (0,) + (sigma,) * (len(shape) - 1))
    return amplitude * noise / noise.std()


def abdomen(seed, shape):
    """HU as int16 and labels 0..8: a body in air with organs, ribs and a spine."""
    rng = np.random.default_rng(seed)
    slices, rows, columns = shape
    s = (slices - 1) / 2

    def part(row, column, down, across, depth=None):
        return ellipse(shape, (s, row * rows, column * columns),
                       (depth or 10 * slices, down * rows, across * columns))

    hu = np.full(shape, -1000.0)
    label = np.zeros(shape, np.uint8)
    hu[part(0.5, 0.5, 0.40, 0.46)] = -95  # fat
    hu[part(0.5, 0.5, 0.36, 0.42)] = 15  # muscle
    hu[:, int(0.94 * rows):int(0.97 * rows), columns // 4:3 * columns // 4] = 900  # table
    hu[part(0.74, 0.5, 0.07, 0.06)] = 1200  # spine
    organs = [(5, 107, (0.42, 0.30, 0.22, 0.17)), (7, 63, (0.44, 0.80, 0.13, 0.09)),
              (8, 150, (0.30, 0.66, 0.10, 0.13)), (3, 195, (0.60, 0.70, 0.08, 0.055)),
              (4, 195, (0.60, 0.30, 0.08, 0.055)), (1, 290, (0.60, 0.52, 0.045, 0.04)),
              (2, 20, (0.34, 0.44, 0.05, 0.05)), (6, 110, (0.46, 0.56, 0.04, 0.11))]
    for value, level, (row, column, down, across) in organs:
        where = part(row, column, down, across, 0.5 * slices + 0.1 * value)
        hu[where] = level
        label[where] = value
    hu = ndimage.gaussian_filter(hu, (0, 0.6, 0.6)) + smooth_noise(rng, shape, 3)
    return np.clip(np.rint(hu), -1024, 3071).astype(np.int16), label


def heart(seed, shape):
    """Cine MR as int16 and labels 0..3; the last slices are darker than the first ones."""
    rng = np.random.default_rng(seed)
    slices, rows, columns = shape
    mr = np.full(shape, 40.0)
    label = np.zeros(shape, np.uint8)
    for value, level, (row, column, down, across) in [
            (0, 120, (0.5, 0.5, 0.45, 0.46)), (1, 620, (0.45, 0.35, 0.16, 0.13)),
            (2, 280, (0.52, 0.60, 0.20, 0.18)), (3, 460, (0.52, 0.60, 0.13, 0.11))]:
        where = ellipse(shape, ((slices - 1) / 2, row * rows, column * columns),
                        (10 * slices, down * rows, across * columns))
        mr[where] = level
        if value:
            label[where] = value
    mr[0, 4:8, 4:9] = 800  # the brightest spot of the volume: not in every slice
    mr *= np.linspace(1, 0.8, slices)[:, None, None]
    mr = ndimage.gaussian_filter(mr, (0, 0.6, 0.6)) + smooth_noise(rng, shape, 6)
    return np.clip(np.rint(mr), 0, None).astype(np.int16), label


def windowed(hu):
    return ((np.clip(hu.astype(np.float32), -125, 275) + 125) / 400).astype(np.float32)


def min_to_max(mr):
    mr = mr.astype(np.float32)
    return ((mr - mr.min()) / (mr.max() - mr.min())).astype(np.float32)


def overshot(hu, label, shape):
    """As resampled after the clipping: cubic interpolation leaves [0, 1]."""
    factors = np.array(shape) / np.array(hu.shape)
    image = ndimage.zoom(windowed(hu), factors, order=3)
    assert image.min() < -0.02 and image.max() > 1.01
    return image, ndimage.zoom(label, factors, order=0)


def write_h5(path, image, label):
    with h5py.File(path, "w") as file:
        file.create_dataset("image", data=image, compression="gzip", compression_opts=9)
        file.create_dataset("label", data=label, compression="gzip", compression_opts=9)


def write_nifti(path, array, spacing):
    # C order (slice, row, column) to NIfTI's (column, row, slice); LPS axes.
    affine = np.diag([-spacing[0], -spacing[1], spacing[2], 1.0])
    image = nibabel.Nifti1Image(np.ascontiguousarray(array.transpose(2, 1, 0)), affine)
    nibabel.save(image, path)


def without_ties(make, prepare, centres):
    """The first seed whose volume is far from ties."""
    for seed in range(1, 200):
        data = make(seed)
        if predict(prepare(data), centres)[1] > SMALLEST_GAP:
            return data
    raise SystemExit("no seed keeps clear of ties")


def main(folder):
    folder.mkdir(parents=True, exist_ok=True)
    cases = []

    def add(preset, image_file, label_file, volume, label, as_stored):
        volume = volume if volume.ndim == 3 else volume[None]
        label = label if label.ndim == 3 else label[None]
        centres = SYNAPSE_CENTRES if preset == "synapse" else ACDC_CENTRES
        prediction, gap = predict(volume, centres)
        assert gap > SMALLEST_GAP, (image_file, gap)
        name = f"prediction_{len(cases)}.nii.gz"
        write_nifti(folder / name, prediction, (1, 1, 1))
        cases.append({"preset": preset, "image": image_file, "label": label_file,
                      "already_scaled": as_stored, "prediction": name, "smallest_gap": float(gap),
                      "voxels_predicted": np.bincount(prediction.ravel(), minlength=len(centres)).tolist(),
                      "dice_hd95": scores(prediction, label, len(centres))})

    # Synapse: test volumes in HDF5, training slices in npz, and the original NIfTI files in HU.
    hu, label = without_ties(lambda s: abdomen(s, (3, 96, 80)), lambda d: windowed(d[0]),
                             SYNAPSE_CENTRES)
    write_h5(folder / "case0001.npy.h5", windowed(hu), label)
    add("synapse", "case0001.npy.h5", "case0001.npy.h5#label", windowed(hu), label, True)
    np.savez_compressed(folder / "case0005_slice001.npz", image=windowed(hu)[1], label=label[1])
    add("synapse", "case0005_slice001.npz", "case0005_slice001.npz#label", windowed(hu)[1],
        label[1], True)
    write_nifti(folder / "img0001.nii.gz", hu, (4, 4, 5))
    write_nifti(folder / "label0001.nii.gz", label, (4, 4, 5))
    add("synapse", "img0001.nii.gz", "label0001.nii.gz", windowed(hu), label, False)
    shape = (2, 120, 110)
    hu, label = without_ties(lambda s: abdomen(s, (2, 96, 88)),
                             lambda d: overshot(*d, shape)[0], SYNAPSE_CENTRES)
    image, label = overshot(hu, label, shape)
    write_h5(folder / "case0002.npy.h5", image, label.astype(np.float32))
    add("synapse", "case0002.npy.h5", "case0002.npy.h5#label", image, label, True)
    hu, label = without_ties(lambda s: abdomen(s, (1, SIDE, SIDE)), lambda d: windowed(d[0]),
                             SYNAPSE_CENTRES)
    write_h5(folder / "case0003.npy.h5", windowed(hu), label)
    add("synapse", "case0003.npy.h5", "case0003.npy.h5#label", windowed(hu), label, True)

    # ACDC: volumes and single slices in HDF5, scaled by the minimum and maximum of the volume, and
    # the original NIfTI files.
    mr, label = without_ties(lambda s: heart(s, (4, 72, 88)), lambda d: min_to_max(d[0]),
                             ACDC_CENTRES)
    write_h5(folder / "patient001_frame01.h5", min_to_max(mr), label)
    add("acdc", "patient001_frame01.h5", "patient001_frame01.h5#label", min_to_max(mr), label,
        True)
    write_h5(folder / "patient001_frame01_slice_3.h5", min_to_max(mr)[3], label[3])
    add("acdc", "patient001_frame01_slice_3.h5", "patient001_frame01_slice_3.h5#label",
        min_to_max(mr)[3], label[3], True)
    write_nifti(folder / "patient001_frame01.nii.gz", mr, (3, 3, 10))
    write_nifti(folder / "patient001_frame01_gt.nii.gz", label, (3, 3, 10))
    add("acdc", "patient001_frame01.nii.gz", "patient001_frame01_gt.nii.gz", min_to_max(mr), label,
        False)

    expected = {"synapse_centres": SYNAPSE_CENTRES, "acdc_centres": ACDC_CENTRES, "cases": cases}
    (folder / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")
    for case in cases:
        print(case["image"], case["voxels_predicted"], f"{case['smallest_gap']:.1e}",
              [[round(v, 3) for v in row] for row in case["dice_hd95"]])


if __name__ == "__main__":
    main(Path(sys.argv[1]))

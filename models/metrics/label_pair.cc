// SPDX-License-Identifier: Apache-2.0
#include "models/metrics/label_pair.h"

#include <algorithm>
#include <cstring>
#include <mutex>

#include "models/metrics/parallel.h"

namespace avocet::metrics {
namespace {

// Calls run(begin, end, label) for each maximal run of equal labels of a row; zeros are skipped.
template <typename Label, typename Run>
void ForEachRun(const Label* row, int64_t n, const Run& run) {
  constexpr int64_t kLabelsPerWord = 8 / sizeof(Label);
  int64_t x = 0;
  while (x < n) {
    if (row[x] == 0) {
      // Most of a volume is background: eight bytes at a time.
      for (; x + kLabelsPerWord <= n; x += kLabelsPerWord) {
        uint64_t word;
        std::memcpy(&word, row + x, 8);
        if (word != 0) break;
      }
      while (x < n && row[x] == 0) ++x;
      continue;
    }
    const Label label = row[x];
    const int64_t begin = x;
    while (x < n && row[x] == label) ++x;
    run(begin, x, label);
  }
}

}  // namespace

template <typename Label>
std::vector<ClassRegion> FindRegions(const LabelPair<Label>& pair, const std::vector<int>& classes,
                                     int threads) {
  std::vector<int> slot_of_label(size_t{1} << (8 * sizeof(Label)), -1);
  std::vector<ClassRegion> start(classes.size());
  for (size_t c = 0; c < classes.size(); ++c) {
    start[c].label = classes[c];
    start[c].low = pair.size;
    if (classes[c] > 0 && classes[c] < static_cast<int>(slot_of_label.size()))
      slot_of_label[classes[c]] = static_cast<int>(c);
  }
  std::vector<ClassRegion> regions = start;
  std::mutex mutex;
  const int64_t nx = pair.size[0], ny = pair.size[1], nz = pair.size[2];
  const int64_t blocks = std::min<int64_t>(nz, 4 * ResolveThreads(threads));
  ParallelFor(blocks, ResolveThreads(threads), [&](int64_t block) {
    std::vector<ClassRegion> local = start;
    for (int64_t k = nz * block / blocks; k < nz * (block + 1) / blocks; ++k) {
      for (int64_t j = 0; j < ny; ++j) {
        const int64_t offset = (k * ny + j) * nx;
        const auto scan = [&](const Label* row, int64_t ClassRegion::*voxels) {
          ForEachRun(row, nx, [&](int64_t begin, int64_t end, Label label) {
            const int slot = slot_of_label[label];
            if (slot < 0) return;
            ClassRegion& region = local[slot];
            region.*voxels += end - begin;
            region.low = {std::min(region.low[0], begin), std::min(region.low[1], j),
                          std::min(region.low[2], k)};
            region.high = {std::max(region.high[0], end), std::max(region.high[1], j + 1),
                           std::max(region.high[2], k + 1)};
          });
        };
        scan(pair.prediction + offset, &ClassRegion::prediction_voxels);
        scan(pair.reference + offset, &ClassRegion::reference_voxels);
      }
    }
    const std::lock_guard<std::mutex> lock(mutex);
    for (size_t c = 0; c < regions.size(); ++c) {
      regions[c].prediction_voxels += local[c].prediction_voxels;
      regions[c].reference_voxels += local[c].reference_voxels;
      for (int a = 0; a < 3; ++a) {
        regions[c].low[a] = std::min(regions[c].low[a], local[c].low[a]);
        regions[c].high[a] = std::max(regions[c].high[a], local[c].high[a]);
      }
    }
  });
  for (ClassRegion& region : regions)
    if (region.empty()) region.low = region.high = {0, 0, 0};
  return regions;
}

template <typename Label>
std::vector<int> LabelsPresent(const LabelPair<Label>& pair, int threads) {
  std::vector<uint8_t> present(size_t{1} << (8 * sizeof(Label)), 0);
  std::mutex mutex;
  const int64_t rows = pair.size[1] * pair.size[2];
  const int64_t blocks = std::min<int64_t>(rows, 4 * ResolveThreads(threads));
  ParallelFor(blocks, ResolveThreads(threads), [&](int64_t block) {
    std::vector<uint8_t> local(present.size(), 0);
    for (int64_t row = rows * block / blocks; row < rows * (block + 1) / blocks; ++row) {
      const auto mark = [&](int64_t, int64_t, Label label) { local[label] = 1; };
      ForEachRun(pair.prediction + row * pair.size[0], pair.size[0], mark);
      ForEachRun(pair.reference + row * pair.size[0], pair.size[0], mark);
    }
    const std::lock_guard<std::mutex> lock(mutex);
    for (size_t v = 0; v < present.size(); ++v) present[v] |= local[v];
  });
  std::vector<int> labels;
  for (size_t v = 1; v < present.size(); ++v)
    if (present[v]) labels.push_back(static_cast<int>(v));
  return labels;
}

template <typename Label>
MaskPair CutMasks(const LabelPair<Label>& pair, const ClassRegion& region, int threads) {
  MaskPair masks;
  masks.dims = pair.dims;
  const int64_t pad_k = pair.dims == 3 ? 1 : 0;
  const int64_t bx = region.high[0] - region.low[0];
  const int64_t by = region.high[1] - region.low[1];
  const int64_t bz = region.high[2] - region.low[2];
  masks.size = {bx + 2, by + 2, bz + 2 * pad_k};
  masks.prediction.assign(static_cast<size_t>(VoxelCount(masks.size)), 0);
  masks.reference.assign(masks.prediction.size(), 0);
  const Label label = static_cast<Label>(region.label);
  std::vector<int64_t> true_positive(static_cast<size_t>(bz), 0);
  ParallelFor(bz, ResolveThreads(threads), [&](int64_t k) {
    int64_t both = 0;
    for (int64_t j = 0; j < by; ++j) {
      const int64_t from =
          ((region.low[2] + k) * pair.size[1] + region.low[1] + j) * pair.size[0] + region.low[0];
      const int64_t to = ((k + pad_k) * masks.size[1] + j + 1) * masks.size[0] + 1;
      const Label* p = pair.prediction + from;
      const Label* r = pair.reference + from;
      uint8_t* mp = masks.prediction.data() + to;
      uint8_t* mr = masks.reference.data() + to;
      int64_t row_both = 0;
      for (int64_t i = 0; i < bx; ++i) {
        mp[i] = p[i] == label;
        mr[i] = r[i] == label;
        row_both += mp[i] & mr[i];
      }
      both += row_both;
    }
    true_positive[k] = both;
  });
  for (const int64_t n : true_positive) masks.true_positive += n;
  return masks;
}

std::vector<uint8_t> BorderOf(const std::vector<uint8_t>& mask, const Size3& size, int dims,
                              int threads) {
  std::vector<uint8_t> border(mask.size(), 0);
  const int64_t nx = size[0], ny = size[1], nz = size[2];
  const int64_t area = nx * ny;
  const int64_t k_pad = dims == 3 ? 1 : 0;
  ParallelFor(nz - 2 * k_pad, ResolveThreads(threads), [&](int64_t n) {
    const int64_t k = n + k_pad;
    for (int64_t j = 1; j + 1 < ny; ++j) {
      const int64_t offset = k * area + j * nx;
      const uint8_t* m = mask.data() + offset;
      uint8_t* out = border.data() + offset;
      if (dims == 3) {
        for (int64_t i = 1; i + 1 < nx; ++i)
          out[i] =
              m[i] & ~(m[i - 1] & m[i + 1] & m[i - nx] & m[i + nx] & m[i - area] & m[i + area]);
      } else {
        for (int64_t i = 1; i + 1 < nx; ++i)
          out[i] = m[i] & ~(m[i - 1] & m[i + 1] & m[i - nx] & m[i + nx]);
      }
    }
  });
  return border;
}

std::vector<int64_t> IndicesOf(const std::vector<uint8_t>& mask) {
  std::vector<int64_t> indices;
  const int64_t n = static_cast<int64_t>(mask.size());
  for (int64_t x = 0; x < n;) {
    if (x + 8 <= n) {
      uint64_t word;
      std::memcpy(&word, mask.data() + x, 8);
      if (word == 0) {
        x += 8;
        continue;
      }
    }
    const int64_t end = std::min(n, x + 8);
    for (; x < end; ++x)
      if (mask[x]) indices.push_back(x);
  }
  return indices;
}

template std::vector<ClassRegion> FindRegions(const LabelPair<uint8_t>&, const std::vector<int>&,
                                              int);
template std::vector<ClassRegion> FindRegions(const LabelPair<uint16_t>&, const std::vector<int>&,
                                              int);
template std::vector<int> LabelsPresent(const LabelPair<uint8_t>&, int);
template std::vector<int> LabelsPresent(const LabelPair<uint16_t>&, int);
template MaskPair CutMasks(const LabelPair<uint8_t>&, const ClassRegion&, int);
template MaskPair CutMasks(const LabelPair<uint16_t>&, const ClassRegion&, int);

}  // namespace avocet::metrics

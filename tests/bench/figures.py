#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the figures of bi_wkv_bench between the markers of kernels/README.md (./dev figures)."""
import json
import re
import sys

BEGIN, END = "<!-- figures: ./dev figures -->", "<!-- end of figures -->"


def milliseconds(microseconds):
    return f"{microseconds / 1000:.2f} ms"


def main(results, readme):
    with open(results, encoding="utf-8") as file:
        report = json.load(file)
    runs = {run["name"].replace("/real_time", ""): run for run in report["benchmarks"]}
    stream = {n: runs[f"StreamCopy/threads:{n}"]["GB/s"] for n in (1, 2)}
    cpu = "unknown processor"
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        for line in file:
            if line.startswith("model name"):
                cpu = line.split(":", 1)[1].strip()
                break
    context = report["context"]
    lines = [
        BEGIN,
        "",
        f"{context['date'][:10]}, {cpu}, {context['num_cpus']} cores, best of "
        "each run. A stream copy of 512 MB moves",
        f"{stream[1]:.1f} GB/s on one thread and {stream[2]:.1f} on two. GB/s counts the tensors that have to move: "
        "three for the",
        "forward pass, eight for forward and backward.",
        "",
        "| bi_wkv | 1 thread | GB/s | of stream | 2 threads | GB/s | of stream |",
        "|---|---|---|---|---|---|---|",
    ]
    pattern = re.compile(r"(\w+)/B:(\d+)/T:(\d+)/C:(\d+)/split:(\d+)/threads:1$")
    titles = {
        "Forward": "forward",
        "ForwardAndBackward": "forward and backward",
        "ForwardBFloat16": "forward, bfloat16",
    }
    for name, run in runs.items():
        match = pattern.match(name)
        if not match or match[1] not in titles:
            continue
        title = f"{titles[match[1]]} [{match[2]}, {match[3]}, {match[4]}]"
        if match[5] != "0":
            title += f", official, {match[5]} chunks"
        cells = [title]
        for threads in (1, 2):
            other = runs.get(name[:-1] + str(threads))
            if other is None:
                cells += ["", "", ""]
            else:
                rate = other["GB/s"]
                cells += [milliseconds(other["best_us"]), f"{rate:.1f}", f"{rate / stream[threads]:.0%}"]
        lines.append("| " + " | ".join(cells) + " |")
    lines += ["", "| bi_wkv against LibTorch operations, definition | ours | composed | ratio |", "|---|---|---|---|"]
    for name, run in runs.items():
        match = re.match(r"AgainstComposition/B:(\d+)/T:(\d+)/C:(\d+)/split:0/threads:(\d+)$", name)
        if match:
            lines.append(
                f"| [{match[1]}, {match[2]}, {match[3]}], {match[4]} thread{'s' if match[4] != '1' else ''} | "
                f"{milliseconds(run['best_us'])} | {milliseconds(run['composed_us'])} | {run['ratio']:.0f} |"
            )
    lines += ["", END]
    with open(readme, encoding="utf-8") as file:
        text = file.read()
    begin, end = text.index(BEGIN), text.index(END) + len(END)
    with open(readme, "w", encoding="utf-8") as file:
        file.write(text[:begin] + "\n".join(lines) + text[end:])


if __name__ == "__main__":
    main(*sys.argv[1:])

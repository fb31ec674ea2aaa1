#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Counts the results of a test run and says what it did not cover.

    summary.py BUILD STATUS SHARED [FILTER]

BUILD holds coverage.txt (.cmake/Summary.cmake) and results/: ctest.xml, which ctest wrote, and
gtest/, a file for each test program that came to its end. STATUS is the exit status of ctest, SHARED
the folder of the larger suites, FILTER what the run was restricted to. Prints the tests that were
skipped, a line 'N passed, N failed, N skipped', and a last line. Exit status 1 when something
failed, or STATUS is not 0.
"""
import pathlib
import sys
import xml.etree.ElementTree as ElementTree


def ctest_results(path):
    """Name of each ctest that was chosen: 'passed', 'failed' or 'skipped'."""
    if not path.is_file():
        return {}
    results = {}
    for case in ElementTree.parse(path).getroot().iter("testcase"):
        status = case.get("status")
        if status == "run":
            results[case.get("name")] = "passed"
        elif status in ("notrun", "disabled") and case.find("skipped") is not None:
            results[case.get("name")] = "skipped"
        else:
            results[case.get("name")] = "failed"
    return results


def gtest_results(path):
    """(name, result, why it was skipped) of each case of a test program."""
    cases = []
    for case in ElementTree.parse(path).getroot().iter("testcase"):
        if case.get("status") != "run":
            continue  # disabled
        name = f"{case.get('classname')}.{case.get('name')}"
        skipped = case.find("skipped")
        if case.find("failure") is not None:
            cases.append((name, "failed", ""))
        elif skipped is not None or case.get("result") == "skipped":
            # 'file:line', then the words of the test.
            words = (skipped.get("message") or "").split("\n", 1) if skipped is not None else [""]
            cases.append((name, "skipped", words[-1].strip() if len(words) > 1 else ""))
        else:
            cases.append((name, "passed", ""))
    return cases


def coverage(path):
    """(part, why it is left out, its tests) from coverage.txt."""
    parts = []
    for line in path.read_text().splitlines():
        part, reason, tests = line.split("\t")
        parts.append((part, reason, [test for test in tests.split(";") if test]))
    return parts


def main(build, status, shared, chosen=""):
    results = build / "results"
    ctests = ctest_results(results / "ctest.xml")
    counts = {"passed": 0, "failed": 0, "skipped": 0}
    skipped = []
    for name, result in ctests.items():
        file = results / "gtest" / (name.replace("/", "_") + "_test.xml")
        cases = gtest_results(file) if file.is_file() else []
        for case, outcome, why in cases:
            counts[outcome] += 1
            if outcome == "skipped":
                skipped.append((f"{name} {case}", why))
        if not cases:  # another kind of program, or one that did not come to its end
            counts[result] += 1
            if result == "skipped":
                skipped.append((name, ""))
        elif result == "failed" and all(outcome != "failed" for _, outcome, _ in cases):
            counts["failed"] += 1
    if status != 0 and counts["failed"] == 0:
        counts["failed"] = 1  # no test could be chosen or started

    missing, covered = [], []
    if chosen:
        missing.append(f"all but the tests that match '{chosen}'")
    for part, reason, tests in coverage(build / "coverage.txt"):
        if not reason:
            left_out = [test for test in tests if ctests.get(test, "") in ("", "skipped")]
            if not tests:
                reason = "this build has no test of it"
            elif left_out and chosen:
                continue  # said already
            elif left_out:
                reason = "skipped or not run: " + ", ".join(left_out)
        if reason:
            missing.append(f"{part} ({reason})")
        else:
            covered.append(part)
    if not shared.is_dir():
        missing.append(f"suites over {shared} (not there)")
    elif not chosen:
        covered.append(f"suites over {shared}")
    for name, why in skipped:
        print(f"skipped: {name}" + (f": {why}" if why else ""))
    if skipped:
        missing.append(f"{len(skipped)} tests that were skipped, listed above")
    print(f"{counts['passed']} passed, {counts['failed']} failed, {counts['skipped']} skipped")
    print("NOT COVERED: " + ", ".join(missing) if missing else "covered: " + ", ".join(covered))
    return 1 if counts["failed"] or status != 0 else 0


if __name__ == "__main__":
    if len(sys.argv) not in (4, 5):
        sys.exit(__doc__)
    sys.exit(main(pathlib.Path(sys.argv[1]), int(sys.argv[2]), pathlib.Path(sys.argv[3]), *sys.argv[4:]))

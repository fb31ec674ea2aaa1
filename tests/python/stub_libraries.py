#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes empty NVIDIA libraries, so that `import torch` of the CUDA wheel works on a machine without them.

Usage: stub_libraries.py TORCH_LIB_FOLDER PRESENT_FOLDERS(:) OUT_FOLDER

Each library that the wheel's libraries need and that is found nowhere becomes one with the right name, the right
symbol versions and functions that do nothing. Only for tests on the CPU: nothing of CUDA works with them.
"""
import collections
import pathlib
import re
import subprocess
import sys


def run(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def main(folder, present, out):
    out = pathlib.Path(out)
    out.mkdir(parents=True, exist_ok=True)
    libraries = sorted(pathlib.Path(folder).glob("*.so*"))
    known = {path.name for path in libraries}
    for other in present.split(":"):
        known |= {path.name for path in pathlib.Path(other).glob("*.so*")}
    known |= set(re.findall(r"^\s*(\S+) \(", run("/sbin/ldconfig", "-p"), re.M))
    missing = set()
    symbols = collections.defaultdict(set)  # symbol version -> names
    versions = collections.defaultdict(set)  # library -> its symbol versions
    unversioned, defined = set(), set()
    for library in libraries:
        missing |= set(re.findall(r"\(NEEDED\).*\[(.*)\]", run("readelf", "-dW", str(library)))) - known
        needed_of = ""
        for kind, name in re.findall(r"(File|Name): (\S+)", run("readelf", "-VW", str(library))):
            if kind == "File":
                needed_of = name
            elif needed_of:
                versions[needed_of].add(name)
        for line in run("nm", "-D", str(library)).splitlines():
            name, _, version = line.split()[-1].partition("@")
            if " U " in line:
                if version:
                    symbols[version.lstrip("@")].add(name)
                else:
                    unversioned.add(name)
            elif " w " not in line:
                defined.add(name)
    for library in libraries + [path for other in present.split(":") for path in pathlib.Path(other).glob("*.so*")]:
        for line in run("nm", "-D", "--defined-only", str(library)).splitlines():
            defined.add(line.split()[-1].partition("@")[0])
    rest = {name for name in unversioned - defined if re.match(r"(nccl|nvshmem|cu|nvrtc|nvml|_Z.*nvshmem)", name)}
    for name in sorted(missing):
        functions = set().union(*(symbols[version] for version in versions[name]))
        if not versions[name]:
            functions |= rest  # a library without versions: whatever nobody else has
        source = out / f"{name}.c"
        lines = []
        for n, function in enumerate(sorted(functions)):
            lines.append(f'long f{n}(void) __asm__("{function}"); long f{n}(void) {{ return 999; }}')
        source.write_text("\n".join(lines) + "\n", encoding="utf-8")
        script = out / f"{name}.map"
        arguments = []
        if versions[name]:
            nodes = [
                f'"{version}" {{ global: ' + "; ".join(sorted(symbols[version]) or ["no_symbol"]) + "; };"
                for version in sorted(versions[name])
            ]
            script.write_text("\n".join(nodes) + "\n", encoding="utf-8")
            arguments = [f"-Wl,--version-script={script}"]
        run("gcc", "-shared", "-fPIC", "-w", f"-Wl,-soname,{name}", *arguments, "-o", str(out / name), str(source))
    print(f"{len(missing)} stub libraries in {out}")


if __name__ == "__main__":
    main(*sys.argv[1:])

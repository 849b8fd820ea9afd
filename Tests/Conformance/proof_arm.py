"""The kernels' bits on ARM: Sources/CKernels is compiled for this processor and for 64-bit ARM (run by qemu), and both print what they make of the
same numbers (kernels_driver.c). What is stored or decided must not depend on the machine: one differing bit fails.

    apt-get install qemu-user gcc-aarch64-linux-gnu libc6-dev-arm64-cross
    tools/proof arm
"""
import argparse
import glob
import os
import platform
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
KERNELS = os.path.join(HERE, "..", "..", "Sources", "CKernels")
CROSS = "/usr/lib/gcc-cross/aarch64-linux-gnu"


def build(target, flags, program):
    sources = [os.path.join(HERE, "kernels_driver.c"), *sorted(glob.glob(os.path.join(KERNELS, "*.c")))]
    subprocess.run(["clang", f"--target={target}", *flags, "-O2", "-DNDEBUG", "-Wall", "-Werror", f"-I{KERNELS}", f"-I{KERNELS}/include", "-static",
                    *sources, "-lm", "-o", program], check=True)


def main():
    argparse.ArgumentParser(prog="tools/proof arm", description=__doc__.split("\n\n")[0]).parse_args()
    missing = [tool for tool in ("clang", "qemu-aarch64", "aarch64-linux-gnu-ld") if shutil.which(tool) is None]
    if missing or not glob.glob(CROSS + "/*"):
        print(f"FAILED: {', '.join(missing) or CROSS} is missing: apt-get install qemu-user gcc-aarch64-linux-gnu libc6-dev-arm64-cross", file=sys.stderr)
        return 2
    libraries = sorted(glob.glob(CROSS + "/*"))[-1]
    cross = ["--sysroot=/", "-isystem", "/usr/aarch64-linux-gnu/include", f"-B{libraries}", f"-L{libraries}", "-L/usr/aarch64-linux-gnu/lib",
             "-fuse-ld=" + shutil.which("aarch64-linux-gnu-ld")]
    with tempfile.TemporaryDirectory() as folder:
        own, arm = os.path.join(folder, "own"), os.path.join(folder, "arm")
        build(f"{platform.machine()}-linux-gnu", [], own)
        build("aarch64-linux-gnu", cross, arm)
        here = subprocess.run([own], check=True, capture_output=True, text=True).stdout.splitlines()
        there = subprocess.run(["qemu-aarch64", arm], check=True, capture_output=True, text=True).stdout.splitlines()
    if len(here) != len(there) or not here:
        print(f"FAILED: {len(here)} lines on {platform.machine()}, {len(there)} on aarch64")
        return 1
    differing = [(a, b) for a, b in zip(here, there) if a != b]
    for a, b in differing[:5]:
        print(f"FAILED: {platform.machine()} {a}\n        aarch64 {b}")
    print(f"{len(here)} vectors of 0 to 2,000 numbers: products of floats and of halves, halves, checksums: {len(differing)} differ")
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main())

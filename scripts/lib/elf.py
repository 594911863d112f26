"""Looks at programs that were built for Lambda, before one is deployed that Lambda cannot start.

    elf.py arm64|x86_64 FOLDER...    looks at FOLDER/bootstrap; ends with 1 if one is not fit for Lambda

Lambda's runtime `provided.al2023` starts `bootstrap` on Amazon Linux 2023, whose glibc is 2.34 ("Amazon Linux 2023:
GNU C library (glibc) 2.34", docs.aws.amazon.com/linux/al2023/ug/core-glibc.html). A program fails there before its first
line if it is for another processor, names a loader or a library that is not there, or needs a newer glibc.
"""
import pathlib, sys

from elftools.common.exceptions import ELFError
from elftools.elf.dynamic import DynamicSection
from elftools.elf.elffile import ELFFile
from elftools.elf.gnuversions import GNUVerNeedSection

GLIBC = (2, 34)
MACHINES = {
    "arm64": ("EM_AARCH64", "/lib/ld-linux-aarch64.so.1"),
    "x86_64": ("EM_X86_64", "/lib64/ld-linux-x86-64.so.2"),
}
# Amazon Linux 2023's minimal image has these: the packages glibc and libgcc.
LIBRARIES = {
    "libc.so.6", "libm.so.6", "libdl.so.2", "libpthread.so.0", "librt.so.1", "libutil.so.1", "libgcc_s.so.1",
    "ld-linux-aarch64.so.1", "ld-linux-x86-64.so.2",
}


def faults(path, architecture):
    """Yields a sentence for everything about the program that would keep Lambda from starting it, then its summary."""
    machine, loader = MACHINES[architecture]
    if not path.stat().st_mode & 0o100:
        yield "is not executable"
    with path.open("rb") as file:
        elf = ELFFile(file)
        if elf["e_machine"] != machine:
            yield f"is for {elf['e_machine']}, not for {machine}"
        if elf["e_type"] not in ("ET_EXEC", "ET_DYN"):
            yield f"is no program but {elf['e_type']}"
        loaders = [segment.get_interp_name() for segment in elf.iter_segments("PT_INTERP")]
        if loaders != [loader]:
            yield f"is started by {loaders}, not by {loader}"
        dynamic = [section for section in elf.iter_sections() if isinstance(section, DynamicSection)]
        needed = {tag.needed for section in dynamic for tag in section.iter_tags("DT_NEEDED")}
        if unknown := needed - LIBRARIES:
            yield f"needs {', '.join(sorted(unknown))}"
        versions = set()
        for section in elf.iter_sections():
            if isinstance(section, GNUVerNeedSection):
                versions |= {auxiliary.name for _, auxiliaries in section.iter_versions() for auxiliary in auxiliaries}
        numbers = [tuple(map(int, name[6:].split("."))) for name in versions if name.startswith("GLIBC_2")]
        newest = max(numbers, default=(0, 0))
        if newest > GLIBC:
            yield f"needs glibc {'.'.join(map(str, newest))}, and Amazon Linux 2023 has {'.'.join(map(str, GLIBC))}"
        if not numbers:
            yield "names no version of glibc, so how it is linked is not known"
        print(f"{path}: {elf['e_machine']}, glibc {'.'.join(map(str, newest))} or later, {', '.join(sorted(needed))}")


def main(architecture, *folders):
    found = []
    for folder in folders:
        path = pathlib.Path(folder) / "bootstrap"
        try:
            found += [f"{path} {fault}" for fault in faults(path, architecture)]
        except (ELFError, OSError) as fault:
            found.append(f"{path} cannot be read as a program: {fault}")
    for fault in found:
        print(fault, file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    if len(sys.argv) < 3 or sys.argv[1] not in MACHINES:
        sys.exit(__doc__)
    sys.exit(main(*sys.argv[1:]))

"""Makes of lucarne.h what cffi reads: the declarations that a C11 compiler of a 64-bit machine sees, and the structures' sizes."""

import re

# What each condition of the header is for such a compiler. One that is not here is an error: then somebody has to decide.
CONDITIONS = {
    "#ifndef LUCARNE_H": True,
    "#ifdef __cplusplus": False,
    "#ifndef __cplusplus": True,
    "#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L": False,
    "#if __STDC_VERSION__ >= 202311L": False,
    "#if UINTPTR_MAX == UINT64_MAX": True,
}


def without_comments(header):
    """The header with nothing for people in it."""
    header = re.sub(r"/\*.*?\*/", "", header, flags=re.DOTALL)
    return re.sub(r"//.*", "", header)


def chosen(header):
    """The lines that the conditions leave, without directives but #define."""
    taken = []
    for line in without_comments(header).splitlines():
        line = line.rstrip()
        if line.startswith("#if"):
            if line not in CONDITIONS:
                raise ValueError(f"lucarne.h has a condition that declarations.py does not know: {line}")
            taken.append(CONDITIONS[line])
        elif line == "#else":
            taken[-1] = not taken[-1]
        elif line == "#endif":
            taken.pop()
        elif all(taken):
            yield line


def read(header):
    """The text for cffi, the sizes of the structures in bytes, and the version."""
    lines, sizes = [], {}
    for line in chosen(header):
        size = re.fullmatch(r"LUCARNE_ASSERT_SIZE\((\w+), (\d+)\);", line)
        if size:
            sizes[size[1]] = int(size[2])
        elif re.fullmatch(r"#define \w+ -?\d+", line) or (line and not line.startswith("#")):
            lines.append(line)
    text = "\n".join(lines) + "\n"
    if not sizes:
        raise ValueError("lucarne.h tells no sizes of structures")
    return text, sizes, version(text)


def functions(text):
    """The functions that a text for cffi declares. A pointer to one has a bracket before the arguments."""
    return sorted(set(re.findall(r"\b(lucarne_\w+)\(", text)))


def version(text):
    """MAJOR.MINOR.PATCH."""
    parts = [re.search(rf"^#define LUCARNE_VERSION_{part} (\d+)$", text, re.MULTILINE) for part in ("MAJOR", "MINOR", "PATCH")]
    if not all(parts):
        raise ValueError("lucarne.h tells no version")
    return ".".join(part[1] for part in parts)

"""archive.py OUTPUT NAME=FILE...: a zip archive whose entries have exactly these names, `..` and all, and may be executed."""
import sys
import zipfile

output, *entries = sys.argv[1:]
with zipfile.ZipFile(output, "w") as archive:
    for entry in entries:
        name, path = entry.split("=", 1)
        info = zipfile.ZipInfo(name)
        info.external_attr = 0o755 << 16
        with open(path, "rb") as file:
            archive.writestr(info, file.read())

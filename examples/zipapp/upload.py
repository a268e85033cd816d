"""Uploads the program on standard input to the ZipApp of this container, under a name that leads out of the folder for uploads, and prints the answer.
README.md has the command."""
import http.client
import io
import os
import sys
import zipfile

entry = zipfile.ZipInfo("../../hooks/after-upload")
entry.external_attr = 0o755 << 16
archive = io.BytesIO()
with zipfile.ZipFile(archive, "w") as file:
    file.writestr(entry, sys.stdin.buffer.read())
connection = http.client.HTTPConnection(os.environ.get("ZIPAPP_ADDRESS", "127.0.0.1:8080"))
connection.request("POST", "/upload", archive.getvalue())
print(connection.getresponse().read().decode(), end="")

#!/usr/bin/env python3
"""ZipApp: a DELIBERATELY VULNERABLE web application, for tests of Drawbridge only. Never run it where anybody else can reach it.

POST /upload unpacks a zip archive. The hole: it trusts the names in the archive, so `../../hooks/after-upload` lands beside the folder for
uploads (zip slip), and it runs hooks/after-upload, if there is one, after each upload. Whoever may upload may run programs.

Listens on ZIPAPP_ADDRESS (host:port, default 127.0.0.1:8080) and refuses to listen on every address.
"""
import http.server
import io
import os
import subprocess
import sys
import time
import zipfile

FOLDER = os.environ.get("ZIPAPP_FOLDER", "/tmp/zipapp")
UPLOADS = os.path.join(FOLDER, "uploads")
HOOK = os.path.join(FOLDER, "hooks", "after-upload")
MAX_UPLOAD = 16 << 20


def unpack(archive, folder):
    """Writes every entry below `folder`, or wherever its name leads: the vulnerability."""
    for entry in archive.infolist():
        path = os.path.normpath(os.path.join(folder, entry.filename))
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(archive.read(entry))
        os.chmod(path, (entry.external_attr >> 16) & 0o777 or 0o644)


class Handler(http.server.BaseHTTPRequestHandler):
    def answer(self, status, text):
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        self.answer(200, "zipapp: POST a zip archive to /upload\n")

    def do_POST(self):
        size = int(self.headers.get("Content-Length", 0))
        if self.path != "/upload" or not 0 < size <= MAX_UPLOAD:
            self.answer(400, "POST a zip archive of at most 16 MiB to /upload\n")
            return
        folder = os.path.join(UPLOADS, str(time.time_ns()))
        unpack(zipfile.ZipFile(io.BytesIO(self.rfile.read(size))), folder)
        output = ""
        if os.path.exists(HOOK):
            hook = subprocess.run([HOOK], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=30, text=True)
            output = hook.stdout
        self.answer(200, "unpacked\n" + output)


def worker():
    """Deletes old uploads. It is a process of its own so that a payload has a sibling to attach to."""
    while True:
        time.sleep(3600)


def main():
    if sys.argv[1:] == ["worker"]:
        worker()
    host, _, port = os.environ.get("ZIPAPP_ADDRESS", "127.0.0.1:8080").rpartition(":")
    if host in ("", "0.0.0.0", "::", "[::]"):
        sys.exit("zipapp is vulnerable on purpose: give it one address, of loopback or of a pod")
    os.makedirs(UPLOADS, exist_ok=True)
    subprocess.Popen([sys.executable, os.path.abspath(__file__), "worker"])
    http.server.ThreadingHTTPServer((host, int(port)), Handler).serve_forever()


if __name__ == "__main__":
    main()

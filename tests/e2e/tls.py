"""Certificates for tests, made by openssl as an operator would."""

from __future__ import annotations

import subprocess
from pathlib import Path


def certificates(folder):
    """An authority of the test's own, a certificate that it signed for this machine, and its key."""
    made = []
    for name, subject, extensions, signed in [
        ("ca", "/CN=test authority", ["basicConstraints=critical,CA:TRUE"], []),
        (
            "leaf",
            "/CN=localhost",
            ["basicConstraints=critical,CA:FALSE", "subjectAltName=DNS:localhost,IP:127.0.0.1"],
            ["-CA", "ca.pem", "-CAkey", "ca.key"],
        ),
    ]:
        added = [word for extension in extensions for word in ("-addext", extension)]
        command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt"]
        command += ["ec_paramgen_curve:P-256", "-nodes", "-days", "30", "-subj", subject]
        command += [*added, *signed, "-keyout", f"{name}.key", "-out", f"{name}.pem"]
        ended = subprocess.run(command, cwd=folder, capture_output=True, text=True)
        assert ended.returncode == 0, ended.stderr
        made.append(folder / f"{name}.pem")
    return *made, folder / "leaf.key"

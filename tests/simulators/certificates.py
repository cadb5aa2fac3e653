"""Certificates that nobody vouches for, made when a test needs one."""

import ssl
import subprocess
from pathlib import Path

import msgspec


class Certificate(msgspec.Struct, frozen=True, kw_only=True):
    """Files of a certificate for 127.0.0.1 that nobody but itself vouches for."""

    certificate: Path
    key: Path

    @property
    def context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, self.key)
        return context


def make_certificate(folder: Path) -> Certificate:
    """Make a key and a certificate for one day in the folder, with the openssl command."""
    files = Certificate(certificate=folder / "certificate.pem", key=folder / "key.pem")
    subprocess.run(
        [
            "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
            "-days", "1", "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost",
            "-keyout", files.key, "-out", files.certificate,
        ],
        check=True,
        capture_output=True,
    )  # fmt: skip
    return files

"""Packages of Debian, PyPI and npm: found in a folder by their hash, or fetched into it by their ordinary clients."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from reasound.errors import UserError


@dataclass(frozen=True)
class Package:
    """One published package, as packages.json names it."""

    label: str
    """As manifests of recordings say it: "lmms-common 1.2.2+dfsg1-6 (Debian)"."""
    kind: Literal["debian", "pypi", "npm"]
    name: str
    version: str
    file: str
    """What the client calls it."""
    bytes: int
    sha256: str
    root: str = ""
    """What stands before a recording's `archive` and `file` in its path in the package."""

    @property
    def command(self) -> list[str]:
        """Downloads the file into the folder in which it runs, and installs nothing."""
        if self.kind == "debian":
            return ["apt-get", "download", f"{self.name}={self.version}"]
        if self.kind == "pypi":
            wanted = f"{self.name}=={self.version}"
            return [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary", ":all:", wanted]
        return ["npm", "pack", "--ignore-scripts", f"{self.name}@{self.version}"]


CLIENTS = {"debian": "apt-get", "pypi": "pip", "npm": "npm"}


def read_packages(path: Path) -> dict[str, Package]:
    """By name."""
    return {row["name"]: Package(**row) for row in json.loads(path.read_text(encoding="utf-8"))}


def obtain(package: Package, folder: Path) -> Path:
    """The package's file in the folder, under whatever name; downloaded where it is not there yet.

    UserError where the client is missing, does not give this version any more, or gives another file.
    """
    found = find(package, folder)
    if found:
        return found
    what, client = f"{package.name} {package.version}", CLIENTS[package.kind]
    by_hand = f"put a file with sha256 {package.sha256} into {folder}"
    wrong = folder / package.file
    if wrong.exists():
        raise UserError(f"{wrong} is not the file of {what} that the manifest names; remove it")
    if not shutil.which(package.command[0]):
        raise UserError(f"{what} is not there, and neither is {client} to fetch it; {by_hand}")
    done = subprocess.run(package.command, cwd=folder, capture_output=True, text=True)
    found = find(package, folder)
    if found:
        return found
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip() or "nothing").splitlines()[-1]
        raise UserError(f"{client} does not give {what} ({said}); {by_hand}")
    raise UserError(f"{client} gave another file for {what} than the manifest names; {by_hand}")


def find(package: Package, folder: Path) -> Path | None:
    for path in sorted(folder.iterdir()):
        if path.is_file() and path.stat().st_size == package.bytes and file_sha256(path) == package.sha256:
            return path
    return None


def file_sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

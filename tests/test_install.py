"""`make` installs with uv what pip would install, and with pip where uv does not do."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from scripts.install import settings_of_pip, told_to_uv

ROOT = Path(__file__).resolve().parent.parent
UV = Path(sys.executable).with_name("uv")


def write_wheel(folder: Path, version: str) -> None:
    """A package of one module, which has no needs."""
    about = f"Metadata-Version: 2.1\nName: parcel\nVersion: {version}\n"
    tags = "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    info = f"parcel-{version}.dist-info"
    with zipfile.ZipFile(folder / f"parcel-{version}-py3-none-any.whl", "w") as wheel:
        wheel.writestr("parcel.py", f"version = {version!r}\n")
        wheel.writestr(f"{info}/METADATA", about)
        wheel.writestr(f"{info}/WHEEL", tags)
        wheel.writestr(f"{info}/RECORD", "")


@pytest.fixture
def only_wheels_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Set pip to a folder with three versions, and to no index; one file of it forbids the last."""
    for name in [name for name in os.environ if name.startswith(("PIP_", "UV_"))]:
        monkeypatch.delenv(name)
    folder = tmp_path / "wheels"
    folder.mkdir()
    for version in ("1.0", "2.0", "3.0"):
        write_wheel(folder, version)
    limits = tmp_path / "limits.txt"
    limits.write_text("parcel<3\n", encoding="utf-8")
    settings = f"[global]\nno-index = true\nfind-links = {folder}\nconstraint = {limits}\n"
    (tmp_path / "pip.conf").write_text(settings, encoding="utf-8")
    monkeypatch.setenv("PIP_CONFIG_FILE", str(tmp_path / "pip.conf"))
    return tmp_path


def install(folder: Path, *args: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "scripts" / "install.py"), "--target", "there"]
    return subprocess.run(
        [*command, *args, "parcel"], capture_output=True, text=True, check=False, cwd=folder
    )


def test_uv_or_pip_install_what_pip_is_set_to_and_keep_constraints(only_wheels_here: Path) -> None:
    ended = install(only_wheels_here)
    assert ended.returncode == 0, ended.stderr
    module = only_wheels_here / "there" / "parcel.py"
    assert module.read_text(encoding="utf-8") == "version = '2.0'\n"
    assert ("with pip" in ended.stderr) is not UV.exists()


def test_pip_installs_where_it_is_set_to_what_uv_is_not_told(
    only_wheels_here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_PREFER_BINARY", "1")
    (only_wheels_here / "pins.txt").write_text("parcel==1.0\n", encoding="utf-8")
    ended = install(only_wheels_here, "-c", "pins.txt")
    assert ended.returncode == 0, ended.stderr
    module = only_wheels_here / "there" / "parcel.py"
    assert module.read_text(encoding="utf-8") == "version = '1.0'\n"
    assert "with pip" in ended.stderr


def test_pips_environment_wins_over_its_files(
    only_wheels_here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_FIND_LINKS", "/one /two")
    settings = settings_of_pip()
    assert settings["find-links"] == "/one /two"
    assert settings["constraint"] == str(only_wheels_here / "limits.txt")


def test_each_setting_becomes_an_option_of_the_same_name() -> None:
    settings = {
        "index-url": "https://a/simple",
        "extra-index-url": "https://b/simple\nhttps://c/simple",
        "no-index": "false",
        "timeout": "9",
        "cert": "/bundle.pem",
    }
    options = "--index-strategy unsafe-best-match --extra-index-url https://b/simple".split()
    options += "--extra-index-url https://c/simple --index-url https://a/simple".split()
    assert told_to_uv(settings) == (options, {"SSL_CERT_FILE": "/bundle.pem"})
    told = told_to_uv(settings | {"no-index": "true"})
    assert told is not None
    assert told[0] == ["--index-strategy", "unsafe-best-match", "--no-index"]
    assert told_to_uv(settings | {"proxy": "b:80"}) is None

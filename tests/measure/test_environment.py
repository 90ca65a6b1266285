"""The fingerprint is JSON, names no one, and knows the versions that were measured."""

import getpass
import importlib.metadata
import json
import os
import platform
import subprocess
from pathlib import Path

import pytest

from labcore.measure import environment


def test_the_fingerprint_is_json_and_holds_what_decides_a_measurement():
    facts = json.loads(json.dumps(environment.fingerprint(), allow_nan=False))
    assert facts["machine"]["cores"] == os.cpu_count()
    assert 1 <= facts["machine"]["usable_cores"] <= facts["machine"]["cores"]
    assert facts["python"]["version"] == platform.python_version()
    assert facts["packages"]["uvicorn"] == importlib.metadata.version("uvicorn")


def test_the_fingerprint_names_neither_host_nor_folder():
    text = json.dumps(environment.fingerprint())
    assert str(Path(environment.__file__).parents[2]) not in text
    assert f'"{platform.node()}"' not in text
    assert str(Path.home()) + "/" not in text
    assert f'"{getpass.getuser()}"' not in text


def test_a_package_that_is_not_there_is_left_out(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(environment, "HOT_PACKAGES", ("uvicorn", "no-such-package-anywhere"))
    assert set(environment.package_versions()) == {"uvicorn"}


def git(folder: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=n", "-c", "user.email=e@example.org"]
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)


def test_the_state_of_the_code_tells_a_change(tmp_path: Path):
    git(tmp_path, "init")
    (tmp_path / "code.py").write_text("a = 1\n")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-m", "first")
    state = environment.source_state(tmp_path / "code.py")
    assert len(state["commit"]) == 40
    assert state["changed"] is False
    (tmp_path / "code.py").write_text("a = 2\n")
    assert environment.source_state(tmp_path / "code.py")["changed"] is True


def test_outside_a_repository_the_state_is_unknown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    (tmp_path / "code.py").write_text("a = 1\n")
    assert environment.source_state(tmp_path / "code.py") == {"commit": None, "changed": None}

"""The floors hold, and the check that says so can fail."""

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).with_name("lint-imports")
    return subprocess.run(
        [str(program), "--no-cache"], cwd=folder, capture_output=True, text=True, check=False
    )


def test_every_room_imports_lower_floors_only():
    result = lint_imports(ROOT)
    assert result.returncode == 0, result.stdout


def test_a_planted_wrong_import_is_caught(tmp_path: Path):
    for package in ("labcore", "servers"):
        shutil.copytree(ROOT / package, tmp_path / package)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    planted = tmp_path / "labcore" / "kernel" / "clock.py"
    planted.write_text(planted.read_text() + "\nimport labcore.show\n")
    result = lint_imports(tmp_path)
    assert result.returncode != 0
    assert "labcore.kernel.clock -> labcore.show" in result.stdout

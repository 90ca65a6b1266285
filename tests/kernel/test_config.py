from pathlib import Path

import pytest

from labcore.kernel import cache_dir, data_dir, database_url


def test_the_cache_goes_where_the_variable_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("LABCORE_CACHE", str(tmp_path / "here"))
    assert cache_dir() == tmp_path / "here"
    assert cache_dir().is_dir()


def test_an_empty_database_variable_means_the_embedded_one(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("LABCORE_DATABASE_URL", "")
    assert database_url() is None
    monkeypatch.setenv("LABCORE_DATABASE_URL", "postgresql://somewhere/else")
    assert database_url() == "postgresql://somewhere/else"


def test_the_data_folder_can_be_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("LABCORE_DATA", str(tmp_path))
    assert data_dir() == tmp_path
    monkeypatch.setenv("LABCORE_DATA", "")
    assert data_dir().name == "labcore"

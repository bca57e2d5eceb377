"""The commit of the code, as it stands in a record."""

import subprocess

import pytest

from runs import revision
from runs.revision import commit


def git(folder, *words) -> str:
    line = ["git", "-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false", *words]
    return subprocess.run(line, cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """A work tree with one commit."""
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    folder = tmp_path / "tree"
    folder.mkdir()
    git(folder, "init", "-q")
    (folder / "train.py").write_text("1\n")
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "first")
    commit.cache_clear()
    yield folder
    commit.cache_clear()


def test_a_commit_is_that_which_is_checked_out(tree):
    assert commit(tree) == git(tree, "rev-parse", "HEAD")


def test_changes_to_tracked_files_are_told_and_new_files_are_not(tree):
    (tree / "output").mkdir()
    (tree / "output" / "metrics.json").write_text("{}")
    assert commit(tree) == git(tree, "rev-parse", "HEAD")
    commit.cache_clear()
    (tree / "train.py").write_text("2\n")
    assert commit(tree) == git(tree, "rev-parse", "HEAD") + "+changes"


def test_a_process_asks_once(tree):
    before = commit(tree)
    (tree / "train.py").write_text("2\n")
    assert commit(tree) == before


def test_a_folder_inside_the_work_tree_of_another_project_has_none(tree):
    inner = tree / "site-packages"
    inner.mkdir()
    assert commit(inner) is None


def test_variables_of_git_lead_to_no_other_repository(tree, tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_DIR", str(tree / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(tmp_path))
    assert commit(tmp_path) is None
    assert commit(tree) == git(tree, "--git-dir", tree / ".git", "rev-parse", "HEAD")


@pytest.mark.parametrize("kind", ["no repository", "no commit", "no git", "too slow", "refused"])
def test_no_run_fails_for_want_of_a_commit(tree, tmp_path, monkeypatch, kind):
    place = tree
    if kind == "no repository":
        place = tmp_path
    elif kind == "no commit":
        place = tmp_path / "empty"
        place.mkdir()
        git(place, "init", "-q")
    elif kind == "no git":
        monkeypatch.setenv("PATH", str(tmp_path))
    else:
        error = subprocess.TimeoutExpired("git", 10)
        error = error if kind == "too slow" else subprocess.CalledProcessError(128, "git")

        def fail(*_, **__):
            raise error

        monkeypatch.setattr(revision.subprocess, "run", fail)
    assert commit(place) is None


def test_a_program_that_a_configuration_names_is_not_started(tree, tmp_path):
    hook = tmp_path / "hook"
    hook.write_text(f"#!/bin/sh\ntouch {tmp_path}/started\n")
    hook.chmod(0o755)
    git(tree, "config", "core.fsmonitor", str(hook))
    assert commit(tree)
    assert not (tmp_path / "started").exists()
    git(tree, "status")
    assert (tmp_path / "started").exists()  # it would have been

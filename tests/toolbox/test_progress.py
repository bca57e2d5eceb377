"""Progress bars: for terminals alone."""

import io

import pytest

from dassl import progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def clock(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def test_a_terminal_shows_a_bar(monkeypatch):
    stream = Terminal()
    monkeypatch.setattr("sys.stderr", stream)
    with progress.Progress(4, "Runs", "run", ncols=80, mininterval=0) as bar:
        bar.update(1, "loss 0.5")
    assert "\rRuns:  25%|" in stream.getvalue() and "loss 0.5]" in stream.getvalue()
    assert stream.getvalue().rpartition("loss 0.5]")[2].strip() == "" and stream.getvalue().endswith(
        " \r"
    )  # it is gone


def test_a_pipe_gets_nothing_of_what_is_short(capsys):
    assert list(progress.bar(range(3), desc="Images")) == [0, 1, 2]
    with progress.Progress(4, "Runs") as bar:
        for _ in range(4):
            bar.update()
    assert capsys.readouterr() == ("", "")


def test_a_pipe_gets_a_line_at_each_quarter_of_what_is_long(clock, capsys):
    with progress.Progress(100, "Runs") as bar:
        for i in range(100):
            clock[0] += 10
            bar.update(1, f"epoch {i + 1}")
    out, err = capsys.readouterr()
    lines = err.splitlines()
    assert out == "" and "\r" not in err
    assert lines == [
        "Runs: 25%, epoch 25, eta 0:12:30",
        "Runs: 50%, epoch 50, eta 0:08:20",
        "Runs: 75%, epoch 75, eta 0:04:10",
    ]


def test_what_was_done_before_counts_for_the_share_but_not_for_the_speed(clock, capsys):
    with progress.Progress(4, "zip", initial=2) as bar:
        clock[0] += 100
        bar.update()
    assert capsys.readouterr().err == "zip: 75%, eta 0:01:40\n"


def test_an_unknown_total_is_no_error(clock, capsys):
    with progress.Progress(None, "zip") as bar:
        clock[0] += 100
        bar.update(7)
    assert (bar.done, capsys.readouterr().err) == (7, "")

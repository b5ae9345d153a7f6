"""`jindang demo`: the whole way from a deposit to the proof, in a folder of its own."""

from pathlib import Path

import pytest

from jindang.cli import run
from tests.fixtures.command_line import deposit, tree


@pytest.fixture
def demo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, signals_restored: None) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path / "demo"


def test_the_demo_ends_well_says_so_and_can_be_run_again(demo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(2):
        assert run(["demo", "--dir", str(demo)]) == 0
        said = capsys.readouterr()
        assert said.out.count("new object: ") >= 6
        assert "unchanged: J019-WS·2015·D30-003-005" in said.out
        assert "Equal, byte for byte: 4 files" in said.out
        assert "The catalogue and the tier agree on" in said.out
        assert "valid;" in said.out
        assert "0 errors" in said.out
        assert "NOT" not in said.out
        assert "refused: " in said.err  # the bag with a wrong byte
        assert "This should have ended" not in said.err
        assert "ingest PATH/OF/A/FOLDER" in said.out
    assert {path.name for path in demo.parent.iterdir()} == {"demo"}


def test_the_answer_for_machines_is_one_document(demo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import json

    assert run(["demo", "--dir", str(demo), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"demo": str(demo), "failures": 0}


def test_a_foreign_folder_is_refused_and_left_alone(demo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    deposit(demo, mine="precious")
    assert run(["demo", "--dir", str(demo)]) == 2
    assert "The folder was not made by the demo" in capsys.readouterr().err
    assert tree(demo) == {"mine": b"precious"}


def test_the_examples_are_what_the_demo_promises() -> None:
    from jindang.cli.demo import EXAMPLES, EXPORTED

    assert (EXAMPLES / "examples" / EXPORTED).is_dir()
    kinds = {path.suffix for path in (EXAMPLES / "examples").rglob("*") if path.is_file()}
    assert {".png", ".wav", ".html", ".zip", ".gz", ".yaml", ".svg", ".txt"} <= kinds


def test_an_interrupted_command_ends_the_demo(demo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("repository.ingest.run.IngestRun.ingest", interrupted)
    assert run(["demo", "--dir", str(demo)]) == 130

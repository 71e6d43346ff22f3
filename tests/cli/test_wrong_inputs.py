"""Every command with what it cannot take: one message that names it, no traceback, nothing made."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.support.commands import COMMANDS, plain, run

# One wrong input at least for each command, and what its message must name.
WRONG = [
    ("train", "9-9"),
    ("train 1-1 --preset", "fastest"),
    ("train 1-1 --set", "gamma=wide"),
    ("train 1-1 --device", "abacus"),
    ("train 1-1 --steps", "10000000000000"),
    ("train 1-1 --threads", "1000000"),
    ("train 1-1 --num-envs", "1000000000"),
    ("train 1-1 --seed", "-1"),
    ("train 1-1 --engine", "steam"),
    ("train 1-1 --network", "tilse"),
    ("train 1-1 --network", "nowhere:Rows"),
    ("eval 1-1 --network", "rows"),
    ("eval 1-1 --network", "nowhere:Rows"),
    ("campaign", "1-1,9-9"),
    ("campaign 1-1 --hours", "nan"),
    ("campaign 1-1 --hours", "-1"),
    ("campaign 1-1 --jobs", "1000000"),
    ("campaign 1-1 --target", "nan"),
    ("campaign all --network-share", "nan"),
    ("campaign all --network-share", "1.5"),
    ("campaign all --episodes", "0"),
    ("campaign all --set-network", "gamma=7"),
    ("campaign 1-1 --slice-steps", "1e9"),
    ("dashboard --port", "65536"),
    ("dashboard", "no-such-folder"),
    ("watch", "no-such-run"),
    ("watch 1-1 --policy", "best"),
    ("watch 1-1 --scale", "9"),
    ("watch 1-1 --terminal --scale", "7"),
    ("record", "no-such-run"),
    ("record 1-1 --output", "clip.avi"),
    ("record 1-1 --until-clear", "100000000000"),
    ("record 1-1 --episodes", "1000000000000"),
    ("eval", "no-such-run"),
    ("eval 1-1 --levels", "1-1,0-0"),
    ("eval 1-1 --episodes", "1000000000000"),
    ("eval 1-1 --threads", "1000000"),
    ("eval 1-1 --noop-max", "1000000000000"),
    ("eval 1-1 --seed", "18446744073709551616"),
    ("eval 1-1 --sticky", "nan"),
    ("eval 1-1 --sticky", "1.5"),
    ("play", "1-9"),
    ("play --scale", "0"),
    ("replay", "no-such-file.json"),
    ("replay game.json --pictures", "1000000"),
    ("push 1-1", "mario"),
    ("push --folder x", "no-such-run"),
    ("push 1-1 --folder x --episodes", "0"),
    ("export --output a.pt2", "no-such-run"),
    ("export --output a.pt2", "hf://mario"),
    ("export 1-1 --output", "mario.pkl"),
    ("track no-such-run", "abacus"),
    ("train 1-1 --track", "abacus"),
    ("train 1-1 --track-project", "a/b"),
    ("fleet --seeds", "0"),
    ("fleet --preset", "warp"),
    ("levels", "1-1"),
    ("map", "0-1"),
    ("map 1-1 --last", "0"),
    ("map 1-1 --run", "no-such-run"),
    ("map 1-1 --output", "map.bmp"),
    ("report", "no-such-run"),
    ("report no-such-run --films", "1000000"),
    ("doctor --engine", "steam"),
    ("bench --threads", "1000000"),
    ("rom --rom", "no-such-file.nes"),
]


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")


@pytest.mark.parametrize(("words", "value"), WRONG, ids=[" ".join(case) for case in WRONG])
def test_a_wrong_input_is_named(words: str, value: str) -> None:
    result = run(*words.split(), value)
    assert result.exit_code == 2, result.output
    assert "Traceback" not in result.output
    assert value.split(",")[-1].split("=")[-1] in plain(result.output)
    assert list(Path().iterdir()) == []


def test_every_command_is_tried() -> None:
    assert {words.split()[0] for words, _ in WRONG} == set(COMMANDS)


# Commands that take a path in place of PATH, to read or to write.
PATHS = [
    "train 1-1 --out PATH",
    "train --resume --out PATH",
    "train 1-1 --demonstration PATH",
    "train 1-1 --set init=PATH",
    "campaign 1-1 --hours 0.001 --out PATH",
    "dashboard PATH",
    "watch PATH",
    "record PATH",
    "record 1-1 PATH 1-2",
    "record 1-1 --until-clear 1 --output PATH.gif",
    "record 1-1 --until-clear 1 --output a.gif --episode PATH.json",
    "eval PATH",
    "play --record PATH.json",
    "replay PATH",
    "map 1-1 --output PATH.png",
    "map 1-1 --run PATH",
    "report PATH",
    "push PATH --folder x",
    "push 1-1 --folder PATH",
    "export PATH --output a.pt2",
    "export 1-1 --output PATH.pt2",
    "track PATH wandb",
    "rom --rom PATH",
    "doctor --rom PATH",
]


def refused(words: str, path: Path, texts: list[str]) -> None:
    result = run(*(word.replace("PATH", str(path)) for word in words.split()))
    assert result.exit_code in (1, 2), result.output
    if result.exception is not None:
        assert isinstance(result.exception, SystemExit), repr(result.exception)
    assert "Traceback" not in result.output
    told = plain(result.output)
    assert any(text in told for text in texts), told


@pytest.mark.parametrize("words", PATHS)
def test_a_name_that_is_too_long(words: str, tmp_path: Path) -> None:
    name = "n" * 300
    refused(words, tmp_path / name, [name[:30]])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("words", PATHS)
def test_a_path_below_a_file(words: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    refused(words, tmp_path / "file" / "below", ["below", "file"])
    assert (tmp_path / "file").read_text() == "mine"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("words", PATHS)
def test_a_path_in_a_folder_that_may_not_be_entered(
    words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the system says it to everybody but root, who runs tests in many a container."""
    closed = tmp_path / "closed"
    closed.mkdir()

    def denying(function: object) -> object:
        def call(path: object, *arguments: object, **options: object) -> object:
            if isinstance(path, str | os.PathLike) and str(path).startswith(f"{closed}/"):
                raise PermissionError(13, "Permission denied", str(path))
            assert callable(function)
            return function(path, *arguments, **options)

        return call

    for name in ("stat", "lstat", "open", "mkdir", "listdir", "scandir", "rename", "replace"):
        monkeypatch.setattr(os, name, denying(getattr(os, name)))
    monkeypatch.setattr("io.open", denying(open))
    refused(words, closed / "below", ["Permission denied", "below"])


@pytest.mark.skipif(os.name == "nt", reason="names of POSIX are bytes")
@pytest.mark.parametrize("words", PATHS)
def test_a_name_that_is_not_utf_8(
    words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is read is not there; a picture may be written; a run is refused."""
    path = tmp_path / os.fsdecode(b"caf\xe9")
    monkeypatch.setattr("warpzone.viewers.play.play", lambda *arguments, **options: None)
    result = run(*(word.replace("PATH", str(path)) for word in words.split()), *tiny(words))
    assert "Traceback" not in result.output
    if result.exit_code == 0:
        written = ("record 1-1 --until", "map 1-1 --output", "export 1-1 --output", "play")
        assert words.startswith(written)
    else:
        assert isinstance(result.exception, SystemExit), repr(result.exception)
        assert r"caf\udce9" in plain(result.output).replace("\\\\", "\\")
        assert list(tmp_path.iterdir()) == []


def tiny(words: str) -> list[str]:
    if not words.startswith("train"):
        return []
    return ["--num-envs", "4", "--set", "rollout_steps=8", "--set", "minibatch_size=16"]

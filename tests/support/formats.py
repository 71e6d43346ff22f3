"""Every format that warpzone reads: a good file, how it is read and used, and what may be raised.

Made in a folder of its own, with a cache of its own; nothing of the user's is touched.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
from tests.support import damage
from tests.support.damage import Layout
from tests.support.episodes import recorded
from tests.support.toy import toy_config

import warpzone
from warpzone.errors import (
    AgentError,
    CheckpointError,
    ConfigError,
    EngineError,
    EpisodeError,
    RomError,
)
from warpzone.files import open_regular_file
from warpzone.nes import cartridge as cartridges
from warpzone.nes.cartridge import open_rom
from warpzone.nes.console import Console
from warpzone.smb.config import EnvConfig, env_config
from warpzone.training.checkpoint import Checkpoints, Snapshot, checked_values
from warpzone.training.config import NetworkConfig, TrainConfig


@dataclass(frozen=True)
class Format:
    """How a format is attacked.

    Attributes:
        name: in messages and on the command line.
        file: where the file lies, below a folder.
        good: makes a good one.
        read: reads and uses it; returns whether it was taken.
        errors: what may be raised; none: whatever is in the file, the reader goes on.
        layout: see `damage`.
        named: whether messages name the file.
        unreadable: what may be raised besides where the file is no file, or cannot be read.
        handed_over: whether the caller reads the file, and hands over bytes.
        share: of the cases, beside other formats: less for one that is slow.
        found: cases that have found a fault, which is mended since.
    """

    name: str
    file: str
    good: Callable[[], bytes]
    read: Callable[[Path], Any]
    errors: tuple[type[Exception], ...] = ()
    layout: Layout = field(default_factory=damage.json_file)
    named: bool = True
    unreadable: tuple[type[Exception], ...] = ()
    handed_over: bool = False
    share: float = 1.0
    found: tuple[str, ...] = ()


class Formats:
    """Makes what the formats need, once each.

    Args:
        folder: for all files.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.work = folder / "work"
        """Where damaged files lie; below it are good ones that stand beside them."""
        self.work.mkdir(parents=True, exist_ok=True)
        self._beside: set[Path] = set()
        torch.set_num_threads(1)
        cartridges.set_engine("interpreter")
        cache = folder / "cache"
        from warpzone.nes.recompiler import cache as code

        code.directory = lambda: cache / "engine"
        with suppress(ImportError):
            from warpzone.maps import cache as maps

            maps.directory = lambda: cache / "maps"

    @cached_property
    def all(self) -> dict[str, Format]:
        """By name."""
        groups = (
            self._consoles,
            self._environments,
            self._agents,
            self._runs,
            self._episodes,
            self._caches,
            self._games,
            self._collections,
        )
        return {one.name: one for group in groups for one in group()}

    # What several need

    @cached_property
    def rom(self) -> Any:
        return open_rom()

    @cached_property
    def catch(self) -> Any:
        from warpzone.games import catch

        path = self.folder / "catch.nes"
        catch.cartridge(path)
        return open_rom(path)

    @cached_property
    def console(self) -> Console:
        return Console(self.rom, engine="interpreter")

    @cached_property
    def snapshot(self) -> bytes:
        from warpzone.smb.starts import start_level

        start_level(self.console, "1-1")
        self.console.step(128, 40)
        return self.console.save()

    @cached_property
    def episode(self) -> Any:
        return recorded("1-1", frames=120)[0]

    def beside(self, name: str, data: bytes) -> Path:
        """Writes a good file that stands beside the damaged one."""
        path = self.work / name
        if path not in self._beside:
            self._beside.add(path)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        return path

    # Formats

    def _consoles(self) -> list[Format]:
        from warpzone.nes.rom import load_rom

        def rom(path: Path) -> bool:
            found = load_rom(path)
            try:
                console = Console(found, engine="interpreter")
                console.step(frames=2)
                console.screen()
                return bool(found.revision and found.mirroring)
            finally:
                cartridges._cartridges.clear()  # kept for the process, which makes many here

        def snapshot(console: Console) -> Callable[[Path], bool]:
            def read(path: Path) -> bool:
                console.load(path.read_bytes())
                saved = console.save()
                console.step(131, 2)
                console.screen()
                console.load(saved)
                assert console.save() == saved
                return True

            return read

        catch = Console(self.catch, engine="interpreter")
        catch.step(frames=30)
        image = damage.Layout(boundaries=lambda data: [*range(16), 16, 16 + 16384])
        return [
            Format(
                "rom", "game.nes", self.catch.path.read_bytes, rom, (RomError, EngineError), image,
                share=0.5, found=("number/16:8=7f",),
            ),
            Format(
                "snapshot", "console.state", lambda: self.snapshot, snapshot(self.console),
                (EngineError,), _words(200), named=False, handed_over=True,
            ),
            Format(
                "snapshot of catch", "catch.state", lambda: catch.save(), snapshot(catch),
                (EngineError,), _words(200), named=False, handed_over=True,
            ),
        ]  # fmt: skip

    def _environments(self) -> list[Format]:
        from warpzone.games import catch
        from warpzone.nes import make as make_game

        plain: dict[str, Any] = {"rom": self.rom, "engine": "interpreter"}
        one = warpzone.make("1-1", observation="tiles", **plain)
        one.reset(seed=1)
        for action in (1, 1, 2):
            one.step(action)
        many = warpzone.make_vec("1-1", num_envs=2, observation="pixels", threads=1, **plain)
        many.reset(seed=1)
        many.step(np.array([1, 2]))
        other = make_game(self.catch.path, catch.GAME, engine="interpreter")
        other.reset(seed=1)
        other.step(1)

        def state(env: Any, action: Any) -> Callable[[Path], bool]:
            good = env.save_state()

            def read(path: Path) -> bool:
                before = env.save_state()
                try:
                    env.load_state(path.read_bytes())
                except EngineError:
                    assert env.save_state() == before, "it was refused, and something is changed"
                    raise
                try:
                    assert len(env.save_state()) == len(good)
                    env.step(action)
                finally:
                    env.load_state(good)
                return True

            return read

        def start(path: Path) -> bool:
            config = env_config(start_states=path)
            env = warpzone.make(config=config, **plain)
            try:
                env.reset(seed=0)
                env.step(1)
            finally:
                env.close()
            return True

        def game_start(path: Path) -> bool:
            env = make_game(
                self.catch.path, catch.GAME, start_states=str(path), engine="interpreter"
            )
            try:
                env.reset(seed=0)
                env.step(1)
            finally:
                env.close()
            return True

        return [
            Format(
                "environment's state", "env.state", one.save_state, state(one, 1),
                (EngineError,), _words(300), named=False, handed_over=True,
            ),
            Format(
                "vector environment's state", "vec.state", many.save_state,
                state(many, np.array([1, 2])), (EngineError,), _words(300),
                named=False, handed_over=True, share=0.5,
            ),
            Format(
                "described game's state", "catch.env", other.save_state, state(other, 1),
                (EngineError,), _words(300), named=False, handed_over=True,
            ),
            Format(
                "start state", "start.state", lambda: self.snapshot, start,
                (ConfigError, EngineError), _words(60), share=0.3,
            ),
            Format(
                "start state of catch", "catch.state", other.console_state, game_start,
                (ConfigError, EngineError), _words(60), share=0.3,
            ),
        ]  # fmt: skip

    def _agents(self) -> list[Format]:
        from warpzone.training.agent_file import AgentInfo, load_agent, save_agent
        from warpzone.training.hub import shared_config, shared_policy
        from warpzone.training.networks import make_policy
        from warpzone.training.packaged_index import read_index, trained_folder

        def agent(kind: str, shapes: dict[str, tuple[int, ...]]) -> bytes:
            torch.manual_seed(0)
            network = NetworkConfig(kind=kind, hidden=(8,))
            info = AgentInfo(
                env=EnvConfig(levels={"1-2": 1.0}), network=network, shapes=shapes, actions=4,
                preset="tiles", seed=1, steps=2, command="warpzone train 1-2", commit="abc",
                seconds=1.5, clear_rate=0.5, threads=1,
            )  # fmt: skip
            path = self.folder / f"{kind}.safetensors"
            save_agent(path, make_policy(network, shapes, 4).state_dict(), info)
            return path.read_bytes()

        def act(path: Path) -> bool:
            policy, info = load_agent(path)
            observation = {name: torch.zeros(1, *shape) for name, shape in info.shapes.items()}
            if sum(array.numel() for array in observation.values()) < 1 << 20:
                policy(observation)
            return bool(repr(info) and info.stage)

        def shared(path: Path) -> bool:
            shared_policy(path.parent)
            return shared_config(path.parent) is not None

        errors = (AgentError,)
        return [
            Format(
                "agent", "agent.safetensors",
                lambda: agent("tiles", {"scalars": (2,), "tiles": (3, 2, 2)}), act, errors,
                damage.agent_file(), share=2.0,
                found=(
                    "value/description:network.options=33",
                    "key/description:shapes.scalars.0 twice",
                ),
            ),
            Format(
                "agent that sees pictures", "cnn.safetensors",
                lambda: agent("cnn", {"array": (2, 84, 84)}), act, errors, damage.agent_file(),
                share=0.3,
                found=(
                    "value/description:network.options=34",
                    "value/description:shapes.array=32",
                    "value/description:shapes.array.0=2",
                    "value/description:shapes.array.1=1",
                    "key/description:shapes.array.0 twice",
                ),
            ),
            Format(
                "shared agent's config.json", "shared/config.json",
                lambda: b'{"library_name": "warpzone", "policy": "argmax", "measured": {}}', shared,
            ),
            Format(
                "agents.json", "trained/agents.json",
                (trained_folder() / "agents.json").read_bytes,
                lambda path: bool(read_index(path.parent).agents), errors, share=0.3,
            ),
        ]  # fmt: skip

    def _runs(self) -> list[Format]:
        from warpzone.runs.library import Library
        from warpzone.runs.metrics import Metrics, Progress
        from warpzone.trackers.follow import Sent, _config, _row, summary
        from warpzone.training.learner import Learner
        from warpzone.training.provenance import command_of
        from warpzone.training.run_directory import RunDirectory
        from warpzone.training.run_settings import begun_with, read_config, read_status
        from warpzone.training.time_slice import TimeSlice

        config = toy_config(
            env=EnvConfig(levels={"1-1": 1.0}, observation="tiles"), num_envs=2, rollout_steps=4,
            minibatch_size=8, network=NetworkConfig(kind="tiles", hidden=(4,)),
        )  # fmt: skip
        games = warpzone.make_vec(
            num_envs=2, num_groups=1, threads=1, config=config.env, rom=self.rom,
            engine="interpreter",
        )  # fmt: skip
        learner = Learner(config, games)
        for _ in range(2):
            learner.improve()
        judge = {"measured_at": 0, "best": 0.5}
        good_state = learner.snapshot(judge=judge, metrics_bytes=10, ends_bytes=0)

        def checkpoint(path: Path) -> bool:
            snapshot = Snapshot.read(path)

            def take(found: Snapshot) -> None:
                values = checked_values(found)
                learner.restore(Snapshot(found.tensors, values))

            try:
                with Checkpoints(path.parent, 3)._going_on(snapshot):
                    take(snapshot)
                learner.agent_info()
                learner.snapshot(judge=judge, metrics_bytes=10, ends_bytes=0).pack()
                games.send(0, np.zeros(2, np.int64))
                games.recv(0)
            finally:
                learner.restore(good_state)
            return True

        def settings(path: Path) -> bool:
            found = read_config(path.parent)
            command_of(found)
            return TrainConfig.model_validate_json(found.model_dump_json()) == found

        def changes(path: Path) -> bool:
            self.beside("changes/config.json", config.model_dump_json().encode())
            found = RunDirectory(path.parent, config).changes()
            begun_with(config, found)
            command_of(config, found)
            return True

        def looked_at(path: Path) -> bool:
            """As the dashboard, a report and a tracker look at a run, whichever file is damaged."""
            self.beside(f"{path.parent.name}/config.json", config.model_dump_json().encode())
            for run in Library(path.parent.parent).runs():
                if run.path != path.parent:
                    continue
                json.dumps(run.summary(), allow_nan=False).encode()
                json.dumps(run.levels), json.dumps(run.measured)
                run.metrics.updates.column("losses/entropy")
            _config(path.parent)
            summary(read_status(path.parent))
            RunDirectory(path.parent, config).finished()
            return True

        def metrics(path: Path) -> bool:
            from warpzone.agents.packaging import completed
            from warpzone.fleet.inherit import bytes_until, last_line
            from warpzone.training.agent_file import AgentInfo

            found = Metrics(path)
            found.refresh()
            for table in (found.updates, found.measured):
                for name in table.names:
                    assert len(table.column(name)) == len(table.steps) == len(table.seconds)
            progress = Progress(path)
            progress.refresh()
            bytes_until(path, 1000)
            last_line(path, 1000)
            with suppress(OSError), open_regular_file(path) as file:
                for line in file.read(100_000).splitlines():
                    _row(line)
            info = AgentInfo(
                env=config.env, network=config.network, shapes={"scalars": (2,)}, actions=4,
                preset="tiles", seed=0, steps=10**6,
            )  # fmt: skip
            completed(info, path.parent)
            return looked_at(path)

        def owner(path: Path) -> bool:
            return bool(RunDirectory(path.parent, config)._owner())

        def sent(path: Path) -> bool:
            return bool(Sent.read(path).key)

        def log(path: Path) -> bool:
            slice_ = TimeSlice.__new__(TimeSlice)
            slice_.log = path
            return bool(slice_.last_line())

        line = {"step": 8, "rollout/clear_rate": 0.5, "losses/entropy": 1.0,
                "charts/rollout_seconds": 0.1, "charts/update_seconds": 0.1}  # fmt: skip
        lines = [line, {"step": 8, "eval/clear_rate": 0.25}, {**line, "step": 16}]
        status = {"state": "finished", "step": 16, "seconds": 2.0, "best_clear_rate": 0.5,
                  "measured": {"1-1": {"clear_rate": 0.5, "episodes": 20, "ci95": [0.3, 0.7],
                                       "mean_progress": 1.0, "mean_frames": None}}}  # fmt: skip
        change = {"step": 8, "settings": {"lr": [0.002, 0.001], "env.noop_max": [30, 0]},
                  "inherited": {"run": "other", "step": 4, "id": "x"}}  # fmt: skip
        errors = (CheckpointError,)
        return [
            Format(
                "checkpoint", "checkpoints/step-000000000016.ckpt", good_state.pack, checkpoint,
                errors, damage.checkpoint_file(), named=False, share=1.0,
                found=("piece/20 inserted", "value/header:adam.0.step.dtype=24"),
            ),
            Format("config.json", "run/config.json",
                   lambda: config.model_dump_json(indent=2).encode(), settings, errors, share=1.5,
                   found=("value/:env.levels=25", "value/:env.actions=25", "value/:env.reward=25",
                          "value/:env.last_level=25", "value/:game.start_states=25")),
            Format("config.json, looked at", "shown/config.json",
                   lambda: config.model_dump_json(indent=2).encode(), looked_at, share=0.5),
            Format("status.json", "run2/status.json", lambda: json.dumps(status).encode(),
                   looked_at),
            Format("changes.jsonl", "changes/changes.jsonl",
                   lambda: (json.dumps(change).encode() + b"\n") * 2,
                   changes, errors, damage.lines_file()),
            Format("metrics.jsonl", "run3/metrics.jsonl",
                   lambda: b"".join(json.dumps(one).encode() + b"\n" for one in lines), metrics,
                   layout=damage.lines_file(), share=0.5),
            Format(".lock.json", "run4/.lock.json", lambda: b'{"pid": 12, "host": "here"}', owner,
                   found=("value/:pid=17",)),
            Format("tracker's state", "run5/trackers/wandb.json",
                   lambda: json.dumps({"key": "a", "offset": 4, "step": 1, "lines": 1}).encode(),
                   sent),
            Format("log of a training", "run6/log.txt", lambda: b"one\ntwo\nerror: three\n", log,
                   layout=damage.text_file({"no end": lambda good: good * 1000 + b"x" * (1 << 20)}),
                   share=0.3),
        ]  # fmt: skip

    def _episodes(self) -> list[Format]:
        from warpzone.episodes.fm2 import read_fm2, write_fm2
        from warpzone.episodes.format import Decisions, Episode
        from warpzone.episodes.replay import Replay
        from warpzone.maps.episode_ends import Ends, cells
        from warpzone.maps.traces import Traces
        from warpzone.training.demonstrations import Demonstrations

        frames = self.episode.frames
        first = np.arange(0, frames, 4)
        decisions = Decisions.of(
            ["nothing", "right"], first, first % 2, first / 100.0,
            np.full((len(first), 2), 0.5),
        )  # fmt: skip
        good = self.episode.model_copy(update={"decisions": decisions})
        described = {
            **good.model_dump(mode="json"),
            "start": "somewhere",
            "described": {"game": "catch", "snapshot": _packed(self.snapshot)},
        }
        config = toy_config()

        def episode(path: Path) -> bool:
            found = Episode.load(path)
            with suppress(EpisodeError):  # of another ROM, or begun where nothing can be
                replay = Replay(found, self.console)
                for _ in range(min(found.frames, 3)):
                    replay.step()
            if found.decisions is not None:
                found.decisions.at(1), found.decisions.probabilities
            str(found.player), str(found.outcome)
            saved = path.with_name("saved.json")
            found.save(saved)
            return True

        def traces(path: Path) -> bool:
            run = path.parent.parent
            for one in path.parent.iterdir():
                if one != path:
                    one.unlink()
            return len(Traces(run, self.rom).newest("1-1", 5)) > 0

        def movie(path: Path) -> bool:
            found = read_fm2(path, self.rom)
            write_fm2(path.with_name("again.fm2"), found, self.rom)
            return found.frames > 0

        def make_movie() -> bytes:
            path = self.folder / "movie.fm2"
            power_on = self.episode.model_copy(update={"start": "power-on"})
            write_fm2(path, power_on, self.rom)
            return path.read_bytes()

        def demonstration(path: Path) -> bool:
            curriculum = config.curriculum.model_copy(
                update={
                    "share": 0.5,
                    "demonstrations": (
                        type(config.curriculum)(demonstrations=({"file": str(path)},))
                    ).demonstrations,
                }
            )
            shown = Demonstrations(config.model_copy(update={"curriculum": curriculum}),
                                   self.work / "begun")  # fmt: skip
            return len(shown.recordings) == 1

        def ends(path: Path) -> bool:
            from warpzone.maps.cache import LevelMap
            from warpzone.maps.renderer import Strip

            found = Ends(path.parent)
            found.refresh()
            found.levels()
            strip = Strip(0, 1, 0, np.zeros((208, 512), np.uint8), np.zeros(16, np.uint8))
            cells(found.of_level("1-1"), LevelMap("1-1", [strip]))
            return len(found) > 0

        end = {"step": 1, "level": "1-1", "area": 1, "map": 0, "x": 40, "y": 80, "death": 1,
               "cleared": False, "return": 0.5, "frames": 30, "own": True}  # fmt: skip

        def with_(change: Callable[[dict[str, Any]], Any]) -> Callable[[bytes], bytes]:
            def make(data: bytes) -> bytes:
                values = json.loads(data)
                change(values)
                return json.dumps(values).encode()

            return make

        bombs = {
            "buttons of 256 MB, packed": with_(
                lambda values: values.update(buttons=damage.bomb(), frames=1 << 28)
            ),
            "a start of 256 MB, packed": with_(
                lambda values: values.update(described={"game": "x", "snapshot": damage.bomb()})
            ),
            "decisions of 256 MB, packed": with_(
                lambda values: values["decisions"].update(packed_probabilities=damage.bomb())
            ),
            "frames of 2^60": with_(lambda values: values.update(frames=2**60)),
            "many names of actions": with_(
                lambda values: values["decisions"].update(action_names=["a"] * 300_000)
            ),
        }
        fm2 = damage.text_file(
            {
                "lines of nothing": lambda good: good + b"\n" * (4 << 20),
                "short lines before": lambda good: b"version 3\n" + b"ab\n" * (1 << 20) + good,
                "keys of the header": lambda good: (
                    b"version 3\n" + b"".join(b"k%d v\n" % i for i in range(500_000)) + good
                ),
                "comments": lambda good: (
                    b"version 3\n" + b"".join(b"comment k%d v\n" % i for i in range(300_000)) + good
                ),
                "one line": lambda good: good + b"x" * (8 << 20),
                "a savestate": lambda good: b"version 3\nsavestate base64:AAAA\n" + good,
                "a reset": lambda good: good + b"|1|R.....BA|||\n",
                "commands of nine digits": lambda good: good + b"|999999999|R.....BA|||\n",
                "commands of 5,000 digits": lambda good: (
                    good + b"|" + b"9" * 5_000 + b"|R.....BA|||\n"
                ),
                "digits of other scripts": lambda good: good + "|١|R.....BA|||\n".encode(),
                "form feeds": lambda good: good.replace(b"\n", b"\x0c\n"),
                "binary": lambda good: good.replace(b"fourscore 0", b"binary 1\nfourscore 0"),
                "names that a terminal obeys": lambda good: good.replace(
                    b"romChecksum", b"romFilename \x1b[2J\x1b]0;x\x07\nromChecksum x\nother"
                ),
            }
        )
        episode_json = good.model_dump_json(indent=2).encode
        return [
            Format("episode", "game.json", episode_json, episode, (EpisodeError,),
                   damage.json_file(bombs), share=1.5),
            Format("episode of a described game", "described.json",
                   lambda: json.dumps(described).encode(), episode, (EpisodeError,),
                   damage.json_file(bombs), share=0.5),
            Format("episode, looked at", "run7/episodes/000000001-000.json", episode_json, traces,
                   layout=damage.json_file(bombs), share=0.2),
            Format("demonstration", "demonstration.json", episode_json, demonstration,
                   (EpisodeError,), damage.json_file(bombs), share=0.5),
            Format("FM2 movie", "movie.fm2", make_movie, movie, (EpisodeError,), fm2, share=0.5),
            Format("episode_ends.jsonl", "run8/episode_ends.jsonl",
                   lambda: (json.dumps(end).encode() + b"\n") * 3, ends,
                   layout=damage.lines_file()),
        ]  # fmt: skip

    def _caches(self) -> list[Format]:
        from warpzone.maps import cache as maps
        from warpzone.maps.renderer import Strip
        from warpzone.nes.recompiler import cache as code

        program = bytes(range(256)) * 64
        entry = code.Entry(b"\x7fELF not run" * 20, frozenset({0x8000, 0xFFF0}), 12, 3, 4.5)

        def native(path: Path) -> bool:
            return code.read(program) is not None

        def wanted(path: Path) -> bool:
            return len(code.read_wanted(program)) > 0

        strips = [Strip(1, 1, 0, np.zeros((208, 512), np.uint8), np.arange(16, dtype=np.uint8))]

        def map_(path: Path) -> bool:
            drawn = []

            def draw(*_: Any) -> list[Strip]:
                drawn.append(1)
                return strips

            with mock.patch.object(maps, "render_level", draw):
                level_map = maps.open_map("1-1", self.rom)
            for strip in level_map.strips:
                maps.strip_png(strip)
            return not drawn

        code.directory().mkdir(parents=True, exist_ok=True)
        picture = maps.directory() / f"{self.rom.sha1[:16]}-1-1-{maps.VERSION}.png"
        return [
            Format("native code", str(code.path_of(program)),
                   lambda: code.pack(program, entry), native, (code.Unusable,),
                   damage.code_file(code.MAGIC)),
            Format("places of code", str(code.wanted_path(program)),
                   lambda: b"[32768, 65520]", wanted),
            Format("map of a level", str(picture), lambda: maps.pack(strips), map_,
                   layout=damage.png_file(), share=0.5,
                   found=("value/text:places.0.palette.0=10",)),
        ]  # fmt: skip

    def _games(self) -> list[Format]:
        from warpzone.cli.choose import described_game
        from warpzone.compat.retro.integration import load_integration
        from warpzone.nes import game as games
        from warpzone.smb import rom as fetching
        from warpzone.smb.known_cartridges import DEFAULT, KNOWN

        data = {"info": {"score": {"address": 16, "type": ">u2"},
                         "lives": {"address": 20, "type": "|u1", "mask": 255}}}  # fmt: skip
        scenario = {
            "reward": {"variables": {"score": {"reward": 1.5, "penalty": 0.5, "op": "positive",
                                               "measurement": "delta", "reference": 3}},
                       "time": {"reward": 0.1}},
            "done": {"condition": "any", "variables": {"lives": {"op": "equal", "reference": 0}},
                     "nodes": {"more": {"condition": "all", "variables": {"score": {
                         "op": "greater-than", "reference": 100}}}}},
            "actions": [[[], ["UP"]], [[], ["A"]]],
        }  # fmt: skip
        whole = {
            "data.json": json.dumps(data).encode(),
            "scenario.json": json.dumps(scenario).encode(),
            "metadata.json": b'{"default_state": "Level1"}',
            "rom.sha": b"a" * 40 + b"\n",
        }

        def integration(name: str) -> Callable[[Path], bool]:
            def read(path: Path) -> bool:
                for other, content in whole.items():
                    if other != name:
                        self.beside(f"{path.parent.name}/{other}", content)
                found = load_integration(path.parent)
                ram = np.arange(2048, dtype=np.int64).astype(np.uint8)[None]
                now = {
                    name: number.read(ram, np.zeros((1, 8192), np.uint8))
                    for name, number in found.variables.items()
                }
                found.rewards(now, now)
                found.dones(now, now)
                return bool(found.name)

            return read

        description = (
            b"from warpzone.games import catch\n"
            b"from warpzone.nes import Game, Variable\n\n"
            b"GAME = Game(\n"
            b'    name="attacked", variables={"score": Variable(address=0x14)},\n'
            b'    actions=[[], ["left"]], starts={"game": catch.GAME.starts["game"]},\n'
            b'    reward=lambda now, before: now["score"],\n'
            b'    done=lambda now, before: now["score"] > 5,\n)\n'
        )

        def described(path: Path) -> bool:
            before = dict(games._games)
            try:
                return described_game(path) is not None
            finally:
                games._games.clear()
                games._games.update(before)

        known = KNOWN[DEFAULT]

        def wheel() -> bytes:
            file = io.BytesIO()
            with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
                archive.writestr(known.member, self.catch.data)
                archive.writestr("METADATA", "Name: x\n")
            return file.getvalue()

        def bomb(good: bytes) -> bytes:
            file = io.BytesIO()
            with (
                zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive,
                archive.open(zipfile.ZipInfo(known.member), "w", force_zip64=True) as member,
            ):
                for _ in range(512):
                    member.write(bytes(1 << 20))
            return file.getvalue()

        def no_code(good: bytes) -> bytes:
            return b"raise SystemExit(3)\n"

        errors = (ConfigError,)
        retro_found = {
            "scenario.json": (
                "value/:reward.variables.score.reward=13",
                "value/:reward.time.reward=13",
            )
        }
        specials = {
            "it ends the program": no_code,
            "it raises": lambda good: good + b"\n1 / 0\n",
            "it never returns from itself": lambda good: b"def f(): f()\nf()\n",
            "no such package": lambda good: b"import no_such_package\n",
            "nothing of the kind": lambda good: b"GAME = 5\n",
            "empty": lambda good: b"",
            "deeply nested": lambda good: b"GAME = " + b"(" * 3000 + b")" * 3000,
            "many operators": lambda good: b"GAME = " + b"-" * 100_000 + b"1\n",
            "of a coding that is none": lambda good: b"# coding: nothing\nGAME = 1\n",
            "a name that comes along": lambda good: good.replace(b"attacked", b"catch"),
        }
        zips = Layout(
            boundaries=lambda data: [*range(46), *range(max(len(data) - 200, 0), len(data))],
            special={"512 MB, packed": bomb},
        )
        return [
            *(
                Format(f"{name} of stable-retro", f"retro-{name.partition('.')[0]}-Nes/{name}",
                       partial(bytes, content), integration(name), errors,
                       damage.json_file() if name.endswith("json") else damage.text_file({}),
                       found=retro_found.get(name, ()))
                for name, content in whole.items()
            ),
            Format("game description", "attacked.py", lambda: description, described, errors,
                   Layout(boundaries=lambda data: [0], special=specials), share=0.15),
            Format("wheel with a ROM", "roms.whl", wheel,
                   lambda path: bool(fetching._read_wheel(path, known)), (RomError,), zips,
                   share=0.5),
        ]  # fmt: skip

    def _collections(self) -> list[Format]:
        from warpzone.agents.game_records import _Log
        from warpzone.agents.measuring import Measured
        from warpzone.agents.results import Results, read_results
        from warpzone.fleet.inherit import CHECKPOINT, Origin, take_over
        from warpzone.fleet.plan import FleetPlan, is_finished, make_plan, state_of
        from warpzone.training.campaign import _Ledger

        plan = make_plan(["1-1", "1-2"], seeds=2, steps=1000, grid=["lr=0.001,0.002"])

        def fleet(path: Path) -> bool:
            found = FleetPlan.load(path.parent)
            for trial in found.trials[:4]:
                with suppress(ConfigError):
                    found.config(trial)
                    is_finished(found, trial, path.parent)
                    state_of(found, trial, path.parent)
            return True

        def campaign(path: Path) -> bool:
            ledger = _Ledger(path)
            ledger.level("1-1")
            ledger.save()
            return True

        config = toy_config()
        snapshot = Snapshot(
            {"policy.a": torch.zeros(2)},
            {"step": 8, "judge": {"best": 0.5, "measured_at": 1}, "metrics_bytes": 0},
        )

        def origin(path: Path) -> bool:
            self.beside(f"{path.parent.name}/{CHECKPOINT}", snapshot.pack())
            run = self.work / "inheriting"
            run.mkdir(exist_ok=True)
            return bool(take_over(path.parent, run, config, hashlib.sha256(b"").hexdigest()))

        def handed_over(path: Path) -> bool:
            self.beside(
                f"{path.parent.name}/origin.json",
                Origin(run="other", step=8).model_dump_json().encode(),
            )
            run = self.work / "inheriting2"
            run.mkdir(exist_ok=True)
            return bool(take_over(path.parent, run, config, hashlib.sha256(b"").hexdigest()))

        def measurements(path: Path) -> bool:
            _Log(path)
            return len(Measured(Results(), path).rates) > 0

        result = {"clear_rate": 0.5, "episodes": 20, "ci95": [0.3, 0.7], "mean_progress": 1.0,
                  "mean_frames": None}  # fmt: skip
        measured = {"file": "a", "level": "1-1", "condition": "fixed", "policy": "sample",
                    "episodes": 20, "seed": 0, "result": result, "ends": {}}  # fmt: skip
        record = {"key": "k", "record": {"games": 1, "saved": 0, "ci95": [0.0, 1.0],
                  "mean_frames": None, "mean_levels": 1.0, "mean_lives_lost": 1.0, "ended": {},
                  "deaths": {}, "seed": 0}}  # fmt: skip
        results = json.loads((Path(__file__).parents[2] / "docs/results.json").read_bytes())
        level = next(iter(results["specialists"]), None)
        if level is not None:
            results["specialists"] = {level: results["specialists"][level]}
        results["networks"] = {}
        results["packaged"] = {}
        state = {"specialist_seconds": 5.0, "network_seconds": 1.0, "levels": {"1-1": {}}}
        return [
            Format("fleet.json", "fleet/fleet.json",
                   lambda: plan.model_dump_json(indent=1).encode(), fleet, (CheckpointError,),
                   share=0.5),
            Format("campaign.json", "campaign/campaign.json",
                   lambda: json.dumps(state).encode(), campaign, (CheckpointError,)),
            Format("origin.json", "given/origin.json",
                   lambda: Origin(run="other", step=8).model_dump_json().encode(), origin,
                   (CheckpointError,), share=0.3),
            Format("handed-over checkpoint", "given2/state.ckpt", snapshot.pack, handed_over,
                   (CheckpointError,), damage.checkpoint_file(), share=0.3,
                   found=("flip/244.0 sealed", "value/values:judge=0", "value/values:judge.best=19",
                          "piece/20 inserted", "value/header:policy.a.dtype=24")),
            Format("measurements.jsonl", "campaign2/measurements.jsonl",
                   lambda: json.dumps(measured).encode() + b"\n" + json.dumps(record).encode()
                   + b"\n", measurements, layout=damage.lines_file(),
                   unreadable=(AgentError,)),
            Format("results.json", "campaign3/results.json",
                   lambda: json.dumps(results).encode(), lambda path: bool(read_results(path)),
                   (AgentError,), share=0.5),
        ]  # fmt: skip


def _words(most: int) -> Layout:
    """What is in native memory: damage falls on places spread over it, most in its beginning."""

    def boundaries(data: bytes) -> list[int]:
        head = [*range(0, min(len(data), 64), 4)]
        step = max(4, (len(data) - 64) // most // 4 * 4)
        return [*head, *range(64, len(data), step)]

    return Layout(boundaries=boundaries)


def _packed(data: bytes) -> str:
    import base64
    import zlib

    return base64.b64encode(zlib.compress(data, 9)).decode()

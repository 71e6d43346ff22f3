"""The benchmark of the learner: what networks need, the clock of phases, a tiny run of it."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
import torch
import typer
from benchmarks import arithmetic, learner, phases
from benchmarks.arithmetic import Product
from benchmarks.phases import PHASES, Clock
from typer.testing import CliRunner

from warpzone.errors import WarpzoneError
from warpzone.nes.rom import Rom
from warpzone.smb.vector_env import MarioVectorEnv
from warpzone.training.config import NetworkConfig
from warpzone.training.learner import Learner
from warpzone.training.networks import make_policy
from warpzone.training.presets import resolve

app = typer.Typer()
app.command()(learner.main)
ROOT = Path(__file__).parents[1]


def test_of_a_first_layer_that_leaves_out_zeros_only_what_is_set_is_needed() -> None:
    shapes = {"tiles": (2, 3, 4), "scalars": (5,)}
    policy = make_policy(NetworkConfig(kind="tiles", hidden=(16, 8)), shapes, 3)
    tiles = torch.zeros(10, 2, 3, 4, dtype=torch.uint8)
    tiles[:, 0, 0, :3] = 7
    scalars = torch.zeros(10, 5)
    scalars[:5, 0] = 1.0
    found = arithmetic.products_of(policy, {"tiles": tiles, "scalars": scalars})
    assert found == [
        Product(1, 29, 16, 3.5, first=True),
        Product(1, 16, 8, 16, first=False),
        Product(1, 8, 4, 8, first=False),
    ]
    assert found[0].forward == found[0].backward == 2 * 3.5 * 16
    assert found[1].backward == 2 * found[1].forward == 2 * 2 * 16 * 8
    assert arithmetic.parameters_of(policy) == 29 * 16 + 16 + 16 * 8 + 8 + 8 * 4 + 4


def test_what_most_observations_have_may_be_left_out() -> None:
    policy = make_policy(NetworkConfig(kind="tiles", hidden=(16,)), {"tiles": (1, 1, 4)}, 3)
    tiles = torch.tensor([[9, 0, 1, 5], [9, 0, 1, 6], [9, 3, 2, 7]], dtype=torch.uint8)
    found = arithmetic.products_of(policy, {"tiles": tiles[:, None, None]}, relative=True)
    # In the last column most have nothing in common, so that all that is not 0 is read.
    assert found[0].used == pytest.approx((0 + 1 + 1 + 3) / 3)


def test_convolutions_count_at_every_place() -> None:
    policy = make_policy(NetworkConfig(kind="cnn", hidden=(32,)), {"array": (4, 84, 84)}, 7)
    pictures = torch.zeros(6, 4, 84, 84, dtype=torch.uint8)
    found = arithmetic.products_of(policy, {"array": pictures})
    assert [(p.rows, p.inputs, p.outputs) for p in found] == [
        (400, 4 * 8 * 8, 32),
        (81, 32 * 4 * 4, 64),
        (49, 64 * 3 * 3, 64),
        (1, 64 * 49, 32),
        (1, 32, 8),
    ]
    assert [p.first for p in found] == [True, False, False, False, False]
    assert arithmetic.bytes_of({"array": pictures}) == 4 * 84 * 84


def test_plain_products_and_copies_have_a_speed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arithmetic, "SECONDS", 0.0)
    product = Product(2, 8, 4, 8, first=False)
    rate = arithmetic.product_rate(product, 16, torch.float32, 1)
    assert rate > 0
    assert arithmetic.copy_rate(1000, 1) > 0
    seconds = arithmetic.plain_seconds([product], {product: 64.0}, lambda p: p.forward)
    assert seconds == 2 * 2 * 8 * 4 / 64.0


def test_a_phase_within_a_phase_counts_for_the_inner_one(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0

    def wait(seconds: float) -> None:
        nonlocal now
        now += seconds

    monkeypatch.setattr(time, "perf_counter", lambda: now)
    clock = Clock()
    inner = clock.timed(wait, "gather")

    def outer() -> None:
        wait(1.0)
        inner(2.0)
        wait(4.0)

    wait(8.0)
    clock.restart()
    wait(16.0)
    clock.timed(outer, "forward", "infer")()
    with torch.no_grad():
        clock.timed(outer, "forward", "infer")()
    with pytest.raises(TypeError):
        inner("no number")
    assert clock.stop() == {"python": 16.0, "forward": 5.0, "infer": 5.0, "gather": 4.0}


def test_what_helpers_do_counts_in_place_of_the_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0

    def work(seconds: float) -> None:
        nonlocal now
        now += seconds

    monkeypatch.setattr(time, "perf_counter", lambda: now)
    clock = Clock()
    forward, backward = clock.timed(work, "forward"), clock.timed(work, "backward")

    both, one = threading.Barrier(2), threading.Lock()

    def helper(call: Callable[[float], None], seconds: float) -> None:
        both.wait()
        with one:
            call(seconds)

    def helpers() -> None:
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(helper, (forward, backward), (2.0, 4.0)))

    clock.timed(helpers, "wait")()
    # Of the 6 seconds the mean of two threads is work; that they took turns is what is left.
    assert clock.stop() == {"python": 0.0, "wait": 3.0, "forward": 1.0, "backward": 2.0}


@pytest.mark.parametrize("kind", ["torch", "native"])
def test_all_phases_together_are_the_time_of_the_updates(rom: Rom, kind: str) -> None:
    small = {"num_envs": 4, "rollout_steps": 16, "minibatch_size": 32, "threads": 1}
    config = resolve("tiles", env={"levels": {"1-1": 1.0}}, learner=kind, **small)
    with closing(
        MarioVectorEnv(num_envs=4, config=config.env, num_groups=2, threads=1, rom=rom)
    ) as env:
        one = Learner(config, env)
        one.improve()
        original = torch.autograd.grad
        with phases.watched(one) as clock:
            began = time.perf_counter()
            one.improve()
            taken = time.perf_counter() - began
            seconds = phases.seconds_of(one, clock)
        one.close()
    assert torch.autograd.grad is original
    assert set(seconds) <= set(PHASES)
    assert sum(seconds.values()) == pytest.approx(taken, rel=0.05)
    assert (one.native_play is not None) == (kind == "native")
    for phase in set(PHASES) - {"wait"}:
        assert seconds[phase] > 0, phase


def test_only_the_block_of_a_page_is_written() -> None:
    page = f"before\n\n{learner.BEGIN}\nold\n{learner.END}\n\nafter"
    new = learner.put_into(page, r"a \1 table")
    assert new == f"before\n\n{learner.BEGIN}\n\na \\1 table\n\n{learner.END}\n\nafter"
    with pytest.raises(WarpzoneError, match="no lines"):
        learner.put_into("nothing", "text")
    learner.put_into((ROOT / "docs" / "performance.md").read_text(encoding="utf-8"), "text")


@pytest.mark.slow
def test_command(rom: Rom, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Processes of their own import `benchmarks`, too.
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join((str(ROOT), os.environ.get("PYTHONPATH", ""))))
    page, out = tmp_path / "page.md", tmp_path / "learner.json"
    page.write_text(f"{learner.BEGIN}{learner.END}", encoding="utf-8")
    small = ["num_envs=4", "rollout_steps=16", "minibatch_size=32"]
    settings = [word for setting in small for word in ("--set", setting)]
    options = ["--preset", "tiles", "--repeats", "1", "--updates", "1", "--threads", "1"]
    where = ["--rom", str(rom.path), "--out", str(out), "--markdown", str(page)]
    done = CliRunner().invoke(app, [*options, *settings, *where])
    assert done.exit_code == 0, done.output
    found = json.loads(out.read_text())["presets"]["tiles"]
    assert found["steps_per_second"]["median"] > 0
    total = sum(found["phases"].values())
    assert total == pytest.approx(1 / found["steps_per_second"]["median"], rel=0.05)
    for name, share in found["shares"].items():
        assert share == pytest.approx(found["plain"][name] / found["phases"][name])
    assert found["needs"]["forward"] == 3 * found["needs"]["infer"]
    text = page.read_text(encoding="utf-8")
    assert "| play |" in text
    assert "| B × 256 × 128 |" in text

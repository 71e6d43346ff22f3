"""`nes_py.play`: an environment played by hand in a window, or at random."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

from warpzone.compat.nes_py.emulator import SCREEN_SHAPE
from warpzone.compat.nes_py.v9.nes_env import NESEnv
from warpzone.errors import ConfigError, DisplayError
from warpzone.viewers.window import require_display

SCALE = 3


def play_human(env: Any, callback: Callable[..., None] | None = None) -> None:
    """Plays in a window: W A S D, O for A, P for B, Enter for Start, space for Select. Escape or
    closing the window ends it, and closes the environment.

    Args:
        env: of `NESEnv`, in wrappers or not.
        callback: called behind each step with the picture, the action, the reward, whether the
            episode is over, and the next picture.

    Raises:
        DisplayError: this machine has no screen.
        MissingPackageError: pygame is not installed.
    """
    require_display("`play_random(env, steps, render=False)` needs none")
    os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
    import pygame

    owner = env if hasattr(env, "get_keys_to_action") else env.unwrapped
    actions: dict[tuple[int, ...], int] = owner.get_keys_to_action()
    known = {key for keys in actions for key in keys}
    height, width, _ = SCREEN_SHAPE
    try:
        pygame.display.init()
        surface = pygame.display.set_mode((width * SCALE, height * SCALE))
    except pygame.error as error:
        raise DisplayError(f"cannot open a window: {error}") from error
    pygame.display.set_caption(env.spec.id if env.spec is not None else type(env).__name__)
    clock, held, done, state = pygame.time.Clock(), set[int](), True, None
    try:
        while True:
            for event in pygame.event.get():
                closed = event.type == pygame.QUIT
                if closed or (event.type == pygame.KEYDOWN and event.key == pygame.K_ESCAPE):
                    return
                if event.type == pygame.KEYDOWN and event.key in known:
                    held.add(event.key)
                elif event.type == pygame.KEYUP:
                    held.discard(event.key)
            if done:
                state, _ = env.reset()
            action = actions.get(tuple(sorted(held)), 0)
            shown, reward, terminated, truncated, _ = env.step(action)
            done = bool(terminated or truncated)
            if callback is not None:
                callback(state, action, reward, done, shown)
            state = shown
            picture = pygame.image.frombuffer(
                env.unwrapped.screen.tobytes(), (width, height), "RGB"
            )
            pygame.transform.scale(picture.convert(surface), surface.get_size(), surface)
            pygame.display.flip()
            clock.tick(env.metadata["render_fps"])
    except KeyboardInterrupt:
        pass
    finally:
        pygame.display.quit()
        env.close()


def play_random(env: Any, steps: int, render: bool = True, progress: bool = True) -> None:
    """Plays by actions drawn at random, and closes the environment.

    Args:
        env: of `NESEnv`, in wrappers or not.
        steps: how many.
        render: call its `render` behind each.
        progress: tell the rewards of each hundred steps on standard error.
    """
    done, rewards = True, 0.0
    try:
        for step in range(1, steps + 1):
            if done:
                env.reset()
            _, reward, terminated, truncated, _ = env.step(env.action_space.sample())
            done = bool(terminated or truncated)
            rewards += float(reward)
            if render:
                env.render()
            if progress and step % 100 == 0:
                print(f"{step} of {steps} steps: rewards {rewards:g}", file=sys.stderr)
    except KeyboardInterrupt:
        pass
    finally:
        env.close()


def main(argv: Sequence[str] | None = None) -> int:
    """Plays a cartridge as the command line says."""
    parser = argparse.ArgumentParser(description="Play an NES cartridge.")
    parser.add_argument("--rom", "-r", required=True, help="the .nes file, or a known name")
    parser.add_argument("--mode", "-m", choices=("human", "random"), default="human")
    parser.add_argument("--steps", "-s", type=int, default=500, help="of mode random")
    parser.add_argument("--render", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--no-progress", action="store_false", dest="progress")
    args = parser.parse_args(argv)
    if args.mode == "human" and not args.render:
        raise ConfigError("mode human needs a window: leave --no-render out")
    if args.steps < 1:
        raise ConfigError(f"--steps must be positive, not {args.steps}")
    shown = args.mode == "random" and args.render
    env = NESEnv(args.rom, render_mode="human" if shown else None)
    if args.mode == "human":
        play_human(env)
    else:
        play_random(env, args.steps, args.render, args.progress)
    return 0


__all__ = ["main", "play_human", "play_random"]

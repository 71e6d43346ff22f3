"""
The native core: a console, Super Mario Bros. on it, and batches of games.
"""

from collections.abc import Callable, Sequence
import enum
from typing import Annotated

import numpy
from numpy.typing import NDArray


COMPILER: str = ...

SNAPSHOT_BYTES: int = ...

MACHINE: dict = ...

def palette() -> NDArray[numpy.uint8]:
    """RGB of the 64 colours: uint8[64, 3]."""

class Cartridge:
    """What is in a cartridge, and its native code."""

    def __init__(self, image: bytes, full: bool = ...) -> None:
        """
        Raises ValueError when the bytes are not a whole iNES or NES 2.0 image that can be run. With full, consoles have sound unit and second controller even where the program seems not to need them.
        """

    @property
    def program(self) -> bytes:
        """The program: 32,768 bytes as they appear at $8000-$FFFF, or all banks."""

    @property
    def plain(self) -> bool:
        """
        Whether it is a board without moving parts whose program takes no notice of the sound unit: then a console's state is smaller.
        """

    @property
    def mapper(self) -> int:
        """The number of its board."""

    @property
    def battery(self) -> bool:
        """Whether what is in its RAM is kept when the console is switched off."""

    @property
    def state_bytes(self) -> int:
        """Size of a console's state."""

    def use(self, enter: int, no_region: int, regions: int, count: int) -> None:
        """
        Runs the program as native code from the next frame on. Addresses of what warpzone.nes.recompiler has made, which must stay in memory.
        """

    @property
    def compiled(self) -> bool:
        """Whether the program runs as native code."""

    def wanted(self) -> list[int]:
        """
        Places where native code wanted to go on and that were not translated: addresses, and in the upper half the bank of 8 KB, 0 in a plain cartridge.
        """

class Console:
    """
    One console with a cartridge. Raises RuntimeError while another thread is using it.
    """

    def __init__(self, cartridge: Cartridge) -> None: ...

    def reset(self) -> None:
        """Switches the console off and on."""

    def step(self, buttons: int, frames: int = ..., skip_waiting: bool = ..., second: int = ...) -> bool:
        """
        Runs frames with buttons held, of the second controller too. Without skip_waiting every round of a waiting loop is executed; the state is the same. Returns whether the program still runs, see `jammed`.
        """

    def trace(self, buttons: bytes, marks: Annotated[NDArray[numpy.uint8], dict(shape=(None,), order='C', device='cpu')]) -> None:
        """
        Interprets a frame for each byte of buttons and marks what it executes: 1 where an instruction began, 2 where a return, an indirect jump or an interrupt led, or the way out of another bank. Marks are uint8[32768] for $8000-$FFFF, of a cartridge that is not plain for each of its banks of 8 KB one after the other.
        """

    @property
    def frame(self) -> int:
        """Frames since power-on."""

    @property
    def ram(self) -> NDArray[numpy.uint8]:
        """The 2 KB of work RAM: a writable view, uint8[2048]."""

    @property
    def prg_ram(self) -> NDArray[numpy.uint8]:
        """
        The cartridge's RAM for the program: a writable view, uint8[n], n up to 32,768.
        """

    @property
    def nametables(self) -> Annotated[NDArray[numpy.uint8], dict(writable=False)]:
        """The console's own two nametables: a view, uint8[2048]."""

    def screen(self) -> NDArray[numpy.uint8]:
        """The last frame as colours 0-63: uint8[240, 256]."""

    def registers(self) -> tuple:
        """pc, a, x, y, p, s of the processor."""

    def background(self) -> NDArray[numpy.uint8]:
        """
        The last frame without sprites, by palette entry, 0-15: uint8[240, 256].
        """

    @property
    def scroll(self) -> int:
        """Where the last frame's bottom line begins in the background, 0-511 px."""

    @property
    def palette(self) -> Annotated[NDArray[numpy.uint8], dict(writable=False)]:
        """
        Colours 0-63 of the palette entries, background before sprites: a view, uint8[32].
        """

    @property
    def jammed(self) -> bool:
        """Whether the program has run into an opcode that halts the processor."""

    def save(self) -> bytes:
        """The whole state."""

    def load(self, snapshot: bytes) -> None:
        """Raises ValueError when the bytes are not a snapshot of this cartridge."""

class CutConsole:
    """
    A console whose steps are so many CPU cycles long, wherever in a picture they end. Raises RuntimeError while another thread is using it.
    """

    def __init__(self, cartridge: Cartridge, cycles: int, lead: int) -> None:
        """
        Steps are counted from `lead` dots before the first scanline. Raises ValueError for cycles outside 1-89342 or a lead outside 0-341.
        """

    def reset(self) -> None:
        """Switches the console off and on."""

    def step(self, buttons: int, second: int = ...) -> bool:
        """
        Runs a step with buttons held, of the second controller too. Returns whether the program still runs, see `jammed`. Raises ValueError when that controller is not there.
        """

    @property
    def ram(self) -> NDArray[numpy.uint8]:
        """The 2 KB of work RAM: a writable view, uint8[2048]."""

    @property
    def prg_ram(self) -> NDArray[numpy.uint8]:
        """
        The cartridge's RAM for the program: a writable view, uint8[n], n up to 32,768.
        """

    @property
    def jammed(self) -> bool:
        """Whether the program has run into an opcode that halts the processor."""

    def rgb(self, colours: Annotated[NDArray[numpy.uint8], dict(shape=(64, 3), order='C', device='cpu', writable=False)], out: Annotated[NDArray[numpy.uint8], dict(shape=(240, 256, 3), order='C', device='cpu')]) -> None:
        """
        Writes the screen: what the beam has drawn of this picture, and the one before below. `colours` is uint8[64, 3], `out` uint8[240, 256, 3].
        """

    def plane(self, table: Annotated[NDArray[numpy.uint8], dict(shape=(64), order='C', device='cpu', writable=False)], out: Annotated[NDArray[numpy.uint8], dict(shape=(240, 256), order='C', device='cpu')]) -> None:
        """
        Writes what uint8[64] `table` has for the colours of the screen into `out`, uint8[240, 256].
        """

    def save(self) -> bytes:
        """The whole state, and the screen."""

    def load(self, snapshot: bytes) -> None:
        """Raises ValueError when the bytes are not a snapshot of this cartridge."""

SIGNALS: tuple = ...

TILE_PLANES: tuple = ...

TILE_SHAPE: tuple = ...

def tile_bounds() -> NDArray[numpy.uint8]:
    """
    The highest values of the map of tiles, the lowest being 0: uint8[8, 13, 16].
    """

def scalar_bounds() -> tuple:
    """
    The lowest and the highest values of the scalars beside the tiles: float32[SCALARS] each.
    """

SCALARS: int = ...

MARIO_SCALARS: int = ...

OBJECT_SCALARS: int = ...

MARIO_SCALAR_NAMES: dict = ...

OBJECT_SCALAR_NAMES: dict = ...

OBJECTS: int = ...

CELL: int = ...

MAP_TOP: int = ...

COLUMNS_BEHIND: int = ...

MEMORY: dict = ...

PLAYER_STATES: dict = ...

class LevelStarts:
    """Where the levels begin, each booted when first wanted."""

    def __init__(self, cartridge: Cartridge, lost_levels: bool = ...) -> None:
        """
        lost_levels: whether it holds the four worlds of the Lost Levels instead.
        """

    @property
    def count(self) -> int: ...

    def start(self, level: int, power: int = ...) -> bytes:
        """
        The start of level 0-31 as a snapshot, where Mario is small, big (power 1) or has fire (2). Raises RuntimeError when the cartridge does not behave like Super Mario Bros.
        """

def tiles(console: Console) -> NDArray[numpy.uint8]:
    """The map that an agent with tiles sees now: uint8[8, 13, 16]."""

def grey(console: Console, height: int, width: int, crop_status_bar: bool = ..., before: bytes | None = ...) -> NDArray[numpy.uint8]:
    """
    The last frame as an agent with pixels sees it, with the snapshot of a frame before each pixel the brighter of both: uint8[height, width].
    """

class Reward(enum.Enum):
    gym = 0

    tutorial = 1

    progress = 2

    landed = 3

class Rules:
    """What an episode is."""

    def __init__(self) -> None: ...

    @property
    def actions(self) -> list[int]: ...

    @actions.setter
    def actions(self, arg: Sequence[int], /) -> None: ...

    @property
    def level_weights(self) -> list[float]: ...

    @level_weights.setter
    def level_weights(self, arg: Sequence[float], /) -> None: ...

    @property
    def frame_skip(self) -> int: ...

    @frame_skip.setter
    def frame_skip(self, arg: int, /) -> None: ...

    @property
    def noop_max(self) -> int: ...

    @noop_max.setter
    def noop_max(self, arg: int, /) -> None: ...

    @property
    def start_noop_max(self) -> int: ...

    @start_noop_max.setter
    def start_noop_max(self, arg: int, /) -> None: ...

    @property
    def start_halt_share(self) -> float: ...

    @start_halt_share.setter
    def start_halt_share(self, arg: float, /) -> None: ...

    @property
    def repeat_action_probability(self) -> float: ...

    @repeat_action_probability.setter
    def repeat_action_probability(self, arg: float, /) -> None: ...

    @property
    def sticky_share(self) -> float: ...

    @sticky_share.setter
    def sticky_share(self, arg: float, /) -> None: ...

    @property
    def end_thrown_back(self) -> bool: ...

    @end_thrown_back.setter
    def end_thrown_back(self, arg: bool, /) -> None: ...

    @property
    def show_level(self) -> bool: ...

    @show_level.setter
    def show_level(self, arg: bool, /) -> None: ...

    @property
    def show_paths(self) -> bool: ...

    @show_paths.setter
    def show_paths(self, arg: bool, /) -> None: ...

    @property
    def last_level(self) -> int: ...

    @last_level.setter
    def last_level(self, arg: int, /) -> None: ...

    @property
    def whole_game(self) -> bool: ...

    @whole_game.setter
    def whole_game(self, arg: bool, /) -> None: ...

    @property
    def one_life(self) -> bool: ...

    @one_life.setter
    def one_life(self, arg: bool, /) -> None: ...

    @property
    def warps(self) -> bool: ...

    @warps.setter
    def warps(self, arg: bool, /) -> None: ...

    @property
    def row_share(self) -> float: ...

    @row_share.setter
    def row_share(self, arg: float, /) -> None: ...

    @property
    def end_penalty(self) -> float: ...

    @end_penalty.setter
    def end_penalty(self, arg: float, /) -> None: ...

    @property
    def life_share(self) -> float: ...

    @life_share.setter
    def life_share(self, arg: float, /) -> None: ...

    @property
    def phase_share(self) -> float: ...

    @phase_share.setter
    def phase_share(self, arg: float, /) -> None: ...

    @property
    def power_share(self) -> float: ...

    @power_share.setter
    def power_share(self, arg: float, /) -> None: ...

    @property
    def step_penalty(self) -> float: ...

    @step_penalty.setter
    def step_penalty(self, arg: float, /) -> None: ...

    @property
    def coin_reward(self) -> float: ...

    @coin_reward.setter
    def coin_reward(self, arg: float, /) -> None: ...

    @property
    def life_reward(self) -> float: ...

    @life_reward.setter
    def life_reward(self, arg: float, /) -> None: ...

    @property
    def power_reward(self) -> float: ...

    @power_reward.setter
    def power_reward(self, arg: float, /) -> None: ...

    @property
    def max_steps(self) -> int: ...

    @max_steps.setter
    def max_steps(self, arg: int, /) -> None: ...

    @property
    def no_progress_steps(self) -> int: ...

    @no_progress_steps.setter
    def no_progress_steps(self, arg: int, /) -> None: ...

    @property
    def start_steps(self) -> int: ...

    @start_steps.setter
    def start_steps(self, arg: int, /) -> None: ...

    @property
    def skip_cutscenes(self) -> bool: ...

    @skip_cutscenes.setter
    def skip_cutscenes(self, arg: bool, /) -> None: ...

    @property
    def reward(self) -> Reward: ...

    @reward.setter
    def reward(self, arg: Reward, /) -> None: ...

class InitialState:
    """A moment within a level at which an episode may begin."""

    @property
    def level(self) -> int: ...

    @property
    def step(self) -> int:
        """Agent steps from the level's start, as first played."""

    @property
    def progress(self) -> int:
        """px of new-best x that they brought."""

    @property
    def x(self) -> int:
        """
        px from the left end of the area, before the frames that lead to the moment.
        """

    def __getstate__(self) -> tuple: ...

    def __setstate__(self, arg: tuple, /) -> None: ...

def level_of_snapshot(snapshot: bytes) -> int:
    """
    The level 0-31 that is played at that moment. Raises ValueError where none is, and where the bytes are no snapshot of a plain cartridge.
    """

class Trajectory:
    """How level 0-31 is played."""

    def __init__(self, levels: LevelStarts, level: int, inputs: bytes, frames: bool = ..., begin: bytes | None = ...) -> None:
        """
        inputs: an action for each agent step, or (frames) the buttons of each frame. begin: a snapshot; None: the level's start.
        """

def record_initial_states(levels: LevelStarts, rules: Rules, trajectory: Trajectory, steps_back: int) -> list[InitialState]:
    """The moments along a trajectory."""

class FollowedTrajectory:
    """How far a trajectory comes."""

    @property
    def inputs(self) -> list[int]:
        """Of the trajectory, played after each step."""

    @property
    def progress(self) -> list[int]:
        """px of new-best x after each step."""

    @property
    def cleared(self) -> bool: ...

    @property
    def death(self) -> int:
        """As in the signals."""

def follow(levels: LevelStarts, rules: Rules, trajectory: Trajectory) -> FollowedTrajectory:
    """How far a trajectory comes."""

class ProgressMask:
    """Where trajectories through a level lead."""

    def leads_past(self, area: int, x: int) -> bool: ...

    def wrong_floor(self, area: int, x: int, y: int) -> bool: ...

def record_progress_mask(levels: LevelStarts, rules: Rules, trajectories: Sequence[Trajectory]) -> ProgressMask:
    """The columns that trajectories through one level lead past."""

class Explorer:
    """
    Search for a way through a level, over snapshots. Raises RuntimeError while another thread is using it.
    """

    def __init__(self, levels: LevelStarts, rules: Rules, level: int, weights: Sequence[float], seed: int, begin: InitialState | None = ...) -> None:
        """begin: a moment of the level; None: its start."""

    def run(self, steps: int) -> None:
        """Plays at least so many agent steps more."""

    @property
    def spent(self) -> int:
        """Agent steps played."""

    @property
    def places(self) -> int:
        """How many places are known."""

    @property
    def cleared(self) -> bool: ...

    @property
    def best_progress(self) -> int:
        """px"""

    def trajectory(self) -> bytes:
        """
        Actions, a byte each: the shortest way found that clears the level, else to the farthest point.
        """

def sparse_forward(bytes: Annotated[NDArray[numpy.uint8], dict(shape=(None, None), order='C', device='cpu', writable=False)], floats: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu', writable=False)], weight: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu', writable=False)], bias: Annotated[NDArray[numpy.float32], dict(shape=(None,), order='C', device='cpu', writable=False)], out: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu')]) -> None:
    """
    out = relu(bytes / 255 @ weight[:n] + floats @ weight[n:] + bias), by the inputs not 0.
    """

def sparse_backward(bytes: Annotated[NDArray[numpy.uint8], dict(shape=(None, None), order='C', device='cpu', writable=False)], floats: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu', writable=False)], out: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu', writable=False)], gradient: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu', writable=False)], weight_gradient: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu')], bias_gradient: Annotated[NDArray[numpy.float32], dict(shape=(None,), order='C', device='cpu')]) -> None:
    """Adds to the gradients of weight and bias."""

def cut_patches(pictures: Annotated[NDArray[numpy.uint8], dict(shape=(None, None, None, None), order='C', device='cpu', writable=False)], high: int, wide: int, out: Annotated[NDArray[numpy.int8], dict(order='C', device='cpu')]) -> None:
    """
    out int8[pictures, rows, columns, channels * high * wide] = brightness - 128 of the pixels of each patch of pictures uint8[pictures, channels, lines, bytes].
    """

class Observation(enum.Enum):
    features = 0

    pixels = 1

    rgb = 2

    ram = 3

class Autoreset(enum.Enum):
    same_step = 0

    next_step = 1

    disabled = 2

class Config:
    """How a batch of games is run and seen."""

    def __init__(self) -> None: ...

    @property
    def observation(self) -> Observation: ...

    @observation.setter
    def observation(self, arg: Observation, /) -> None: ...

    @property
    def autoreset(self) -> Autoreset: ...

    @autoreset.setter
    def autoreset(self, arg: Autoreset, /) -> None: ...

    @property
    def num_games(self) -> int: ...

    @num_games.setter
    def num_games(self, arg: int, /) -> None: ...

    @property
    def num_groups(self) -> int: ...

    @num_groups.setter
    def num_groups(self, arg: int, /) -> None: ...

    @property
    def threads(self) -> int: ...

    @threads.setter
    def threads(self, arg: int, /) -> None: ...

    @property
    def seed(self) -> int: ...

    @seed.setter
    def seed(self, arg: int, /) -> None: ...

    @property
    def height(self) -> int: ...

    @height.setter
    def height(self, arg: int, /) -> None: ...

    @property
    def width(self) -> int: ...

    @width.setter
    def width(self, arg: int, /) -> None: ...

    @property
    def stack(self) -> int: ...

    @stack.setter
    def stack(self, arg: int, /) -> None: ...

    @property
    def crop_status_bar(self) -> bool: ...

    @crop_status_bar.setter
    def crop_status_bar(self, arg: bool, /) -> None: ...

    @property
    def max_pool(self) -> bool: ...

    @max_pool.setter
    def max_pool(self, arg: bool, /) -> None: ...

    @property
    def consecutive(self) -> bool: ...

    @consecutive.setter
    def consecutive(self, arg: bool, /) -> None: ...

    @property
    def keep_frames(self) -> bool: ...

    @keep_frames.setter
    def keep_frames(self, arg: bool, /) -> None: ...

class Batch:
    """N games. Arrays are views of memory that stays where it is."""

    def group_begin(self, group: int) -> int:
        """The first game of a group."""

    def close(self) -> None:
        """Ends the threads; all that may be done after it is to read the arrays."""

    def reset(self, mask: Annotated[NDArray[numpy.uint8], dict(shape=(None,), order='C', device='cpu', writable=False)], seeds: Sequence[tuple[int, int] | None] = ..., places: Sequence[int] = ..., states: Sequence[bytes] = ...) -> None:
        """
        Begins episodes where mask, uint8[N], is not 0, in games whose group is not stepping. Of each game, if given: a seed and the number of a stream of it (None: go on), a level 0-31 or a start (-1: drawn), a snapshot of the console (empty: none) to begin at. Raises ValueError before any game has changed.
        """

    def check_actions(self, actions: Annotated[NDArray[numpy.int64], dict(shape=(None,), order='C', device='cpu', writable=False)]) -> None:
        """
        Raises ValueError for an action, int64[N], that does not exist, RuntimeError for a game that has no running episode.
        """

    def send(self, group: int, actions: Annotated[NDArray[numpy.int64], dict(shape=(None,), order='C', device='cpu', writable=False)], observations: Annotated[NDArray[numpy.uint8], dict(order='C', device='cpu')] | None = ..., scalars: Annotated[NDArray[numpy.float32], dict(order='C', device='cpu')] | None = ...) -> None:
        """
        Begins to step a group with actions, int64[n]. What comes of it is written to the arrays too, if they are given: uint8[n, ...] and, for tiles, float32[n, SCALARS].
        """

    def recv(self, group: int) -> None:
        """Waits for a group; raises what went wrong in one of its games."""

    def kept_frames(self) -> NDArray[numpy.uint8]:
        """
        Every frame of the last step with keep_frames, colours 0-63: uint8[k, 240, 256].
        """

    def screen(self, game: int) -> NDArray[numpy.uint8]:
        """The last frame of a game as colours 0-63: uint8[240, 256]."""

    def ram(self, game: int) -> NDArray[numpy.uint8]:
        """Work RAM of a game: a writable view, uint8[2048]."""

    def save(self, game: int = ...) -> bytes:
        """Everything that decides what comes next, of one game or (-1) of all."""

    def load(self, state: bytes, game: int = ...) -> None:
        """Raises ValueError when the bytes are not from a batch like this one."""

    @property
    def observations(self) -> NDArray[numpy.uint8]:
        """uint8[N, ...]: the next thing to act on."""

    @property
    def scalars(self) -> NDArray[numpy.float32]:
        """float32[N, SCALARS], tiles only."""

    @property
    def needs_reset(self) -> NDArray[numpy.uint8]:
        """
        uint8[N]: who has no running episode; whoever decides that outside writes it.
        """

class Decider:
    """Chooses actions while a batch plays by itself."""

    @property
    def sizes(self) -> tuple[int, int, int]:
        """Bytes and scalars of one observation, and how many actions there are."""

class FunctionDecider(Decider):
    """A function that decides."""

    def __init__(self, bytes: int, scalars: int, actions: int, function: Callable) -> None:
        """
        function(bytes uint8[n, bytes], scalars float32[n, scalars], logits, values) fills logits, float32[n, actions], and values, float32[n]. All four are views, of n <= 8 observations, that end with the call. The threads of a batch call it in turns.
        """

class MarioBatch(Batch):
    """N games of Super Mario Bros."""

    def __init__(self, levels: LevelStarts, rules: Rules, config: Config) -> None:
        """Raises ValueError when the rules or the config make no sense."""

    def console(self, game: int) -> bytes:
        """A snapshot of the console of a game."""

    def set_own_starts(self, snapshots: Sequence[bytes], weights: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)], share: float) -> None:
        """
        That share of the episodes that would begin at the start of one of their levels begins at these moments, drawn by weights, float64[k], and counts as whole.
        """

    def set_initial_states(self, starts: Sequence[InitialState]) -> None:
        """
        Moments at which episodes may begin; none does before they are weighed.
        """

    def put_initial_state(self, index: int, start: InitialState) -> None:
        """Replaces one of these moments, or adds the next, without a weight."""

    def record_moments(self, level: int, buttons: bytes, moments: Sequence[tuple[int, int]], tail: int, variation: int = ...) -> list[InitialState]:
        """
        Plays the buttons of each frame since level 0-31 began, with what was drawn anew of its start; returns the moments after so many frames and agent steps, the last `tail` frames before each leading to it.
        """

    def set_progress_masks(self, masks: Sequence[tuple[int, ProgressMask]]) -> None:
        """
        Pairs of a level, 0-31, and its mask: elsewhere nothing counts as progress.
        """

    def set_start_weights(self, weights: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)], share: float) -> None:
        """
        That share of episodes begins at one of the starts, drawn by weights, float64[k].
        """

    def set_level_weights(self, weights: Sequence[float]) -> None:
        """
        Episodes from a level's start draw the level by these, one for each of 32.
        """

    def set_end_penalties(self, penalties: Sequence[float]) -> None:
        """
        An end without the flag costs that from now on, 0 to 100, in each of 32 levels.
        """

    def look(self, show_level: Annotated[NDArray[numpy.uint8], dict(shape=(None,), order='C', device='cpu', writable=False)], show_paths: Annotated[NDArray[numpy.uint8], dict(shape=(None,), order='C', device='cpu', writable=False)]) -> None:
        """
        Of each game, uint8[N], whether its observation shows these from now on, whatever the rules say.
        """

    def watch(self, games: Sequence[int]) -> None:
        """
        From its next episode on, the inputs of each of these games are logged.
        """

    def save_input_logs(self) -> bytes:
        """
        Of the running episodes of watched games that began where their level does.
        """

    def load_input_logs(self, logs: bytes) -> None:
        """Goes on with them after load; raises ValueError when they are damaged."""

    def input_log(self, game: int) -> tuple[int, bool, bytes, list[int], int] | None:
        """
        Of a watched game: the level 0-31 that it began in, whether the running episode began there, buttons of each frame since, how many frames there were before each action of the episode, and what was drawn anew of the start, as record_moments takes it; None where they are not known.
        """

    def ended_input_logs(self, game: int) -> list[tuple[tuple[int, bool, bytes, list[int], int], bytes] | None]:
        """
        The same of each episode that ended in the last play, or of the last one that ended; and work RAM as it ended, 2,048 bytes.
        """

    def observe_tiles(self, group: int, tiles: Annotated[NDArray[numpy.uint8], dict(order='C', device='cpu')], scalars: Annotated[NDArray[numpy.float32], dict(order='C', device='cpu')]) -> None:
        """
        Writes the tiles of a group's games as they stand, whatever the batch observes, with the level and paths: uint8[n, ...] and float32[n, SCALARS].
        """

    def keep_ram(self) -> None:
        """
        From now on RAM is kept as the episodes that end leave it, for read_ram.
        """

    def read_ram(self, group: int, reached: bool, out: Annotated[NDArray[numpy.uint8], dict(order='C', device='cpu')]) -> None:
        """
        Writes RAM of a group's games, uint8[n, 2048]: as they stand, or with reached as the last step left it, before an episode began anew in it; that needs keep_ram.
        """

    def play(self, decider: Decider, seed: int, first: int, stride: int | None, observations: Annotated[NDArray[numpy.uint8], dict(order='C', device='cpu')], scalars: Annotated[NDArray[numpy.float32], dict(order='C', device='cpu')], actions: Annotated[NDArray[numpy.int64], dict(order='C', device='cpu')], log_probs: Annotated[NDArray[numpy.float32], dict(order='C', device='cpu')], values: Annotated[NDArray[numpy.float32], dict(order='C', device='cpu')], rewards: Annotated[NDArray[numpy.float32], dict(order='C', device='cpu')], returns: Annotated[NDArray[numpy.float32], dict(order='C', device='cpu')], terminated: Annotated[NDArray[numpy.uint8], dict(order='C', device='cpu')], truncated: Annotated[NDArray[numpy.uint8], dict(order='C', device='cpu')], places: Annotated[NDArray[numpy.uint8], dict(order='C', device='cpu')], signals: Annotated[NDArray[numpy.int32], dict(order='C', device='cpu')], truncated_values: Annotated[NDArray[numpy.float32], dict(order='C', device='cpu')]) -> None:
        """
        Plays T steps of all games; the decider is asked in the threads that step them. Fills observations and scalars [T + 1, N, ...], actions [T, N], log_probs [T, N, A], values [T + 1, N], signals [T, N, 20], all others [T, N]. Actions are drawn by the numbers that `warpzone.noise.gumbel` has for seed and the decisions from first on.
        """

    def take_play_seconds(self) -> dict:
        """
        What play spent time on since the last call, summed over threads; `wall` is not.
        """

    def run_on(self, frames: int, buttons: int = ...) -> None:
        """Lets the first game run on without rules; its frames can be had after."""

    @property
    def signals(self) -> NDArray[numpy.int32]:
        """int32[N, 20], columns SIGNALS: the state that the last action led to."""

    @property
    def start_signals(self) -> NDArray[numpy.int32]:
        """int32[N, 20]: the state in which the running episode began."""

    @property
    def final_observations(self) -> NDArray[numpy.uint8]:
        """uint8[N, ...], filled where an episode ended."""

    @property
    def final_scalars(self) -> NDArray[numpy.float32]:
        """float32[N, SCALARS], filled where an episode ended."""

    @property
    def rewards(self) -> NDArray[numpy.float32]:
        """float32[N]"""

    @property
    def returns(self) -> NDArray[numpy.float32]:
        """
        float32[N]: rewards summed over the episode that the last action belonged to.
        """

    @property
    def ended_places(self) -> NDArray[numpy.uint8]:
        """uint8[N]: which of the game's maps, 0-127, the last episode ended in."""

    @property
    def terminated(self) -> NDArray[numpy.uint8]:
        """uint8[N]"""

    @property
    def truncated(self) -> NDArray[numpy.uint8]:
        """uint8[N]"""

class Coding(enum.Enum):
    """How the bytes of a number are read."""

    binary = 0

    bcd = 1

    digits = 2

class Variable:
    """A number in a console's memory."""

    def __init__(self, addresses: Sequence[int], coding: Coding = Coding.binary, is_signed: bool = ..., first_bit: int = ..., bits: int = ..., modulo: bool = ...) -> None:
        """
        Addresses of its bytes, the least significant one first. Of a binary number only `bits` from first_bit on; 0: all. With `modulo`, of a decimal digit above 9 only what is over ten counts.
        """

class Stretch:
    """Bytes that lie side by side in a console's memory."""

    def __init__(self, address: int, size: int) -> None: ...

class Play:
    """What all consoles of a batch have in common."""

    def __init__(self) -> None: ...

    @property
    def actions(self) -> list[int]: ...

    @actions.setter
    def actions(self, arg: Sequence[int], /) -> None: ...

    @property
    def frame_skip(self) -> int: ...

    @frame_skip.setter
    def frame_skip(self, arg: int, /) -> None: ...

    @property
    def noop_max(self) -> int: ...

    @noop_max.setter
    def noop_max(self, arg: int, /) -> None: ...

    @property
    def repeat_action_probability(self) -> float: ...

    @repeat_action_probability.setter
    def repeat_action_probability(self, arg: float, /) -> None: ...

    @property
    def status_bar(self) -> int: ...

    @status_bar.setter
    def status_bar(self, arg: int, /) -> None: ...

    @property
    def variables(self) -> list[Variable]: ...

    @variables.setter
    def variables(self, arg: Sequence[Variable], /) -> None: ...

    @property
    def stretches(self) -> list[Stretch]: ...

    @stretches.setter
    def stretches(self, arg: Sequence[Stretch], /) -> None: ...

    @property
    def weights(self) -> list[float]: ...

    @weights.setter
    def weights(self, arg: Sequence[float], /) -> None: ...

    def set_starts(self, starts: Sequence[bytes]) -> None:
        """Snapshots at which episodes begin, drawn by `weights`."""

class ConsoleBatch(Batch):
    """N consoles with one cartridge."""

    def __init__(self, cartridge: Cartridge, play: Play, config: Config) -> None:
        """Raises ValueError when these make no sense."""

    def prg_ram(self, game: int) -> NDArray[numpy.uint8]:
        """
        The cartridge's RAM of a game: a writable view, uint8[n], n up to 32,768.
        """

    def console(self, game: int) -> bytes:
        """A snapshot of the console of a game."""

    def set_weights(self, weights: Sequence[float]) -> None:
        """
        float[starts]: how often episodes begin at each from now on. Raises ValueError for a wrong number of them, negative ones, or none above 0.
        """

    @property
    def values(self) -> NDArray[numpy.int64]:
        """int64[N, columns]: the variables as they stand."""

    @property
    def before(self) -> NDArray[numpy.int64]:
        """
        int64[N, columns]: the same before the last step, or where the episode began.
        """

    @property
    def memory(self) -> NDArray[numpy.uint8]:
        """uint8[N, bytes]: the stretches as they stand, one behind the other."""

    @property
    def memory_before(self) -> NDArray[numpy.uint8]:
        """
        uint8[N, bytes]: the same before the last step, or where the episode began.
        """

    @property
    def steps(self) -> NDArray[numpy.int32]:
        """int32[N], of the running episode."""

    @property
    def frames(self) -> NDArray[numpy.int32]:
        """int32[N], of the running episode."""

    @property
    def starts(self) -> NDArray[numpy.int32]:
        """int32[N]: at which start the episode began; -1: at another moment."""

def learn_kernels() -> list[str]:
    """Names of the loops that this processor can run, the fastest first."""

class Objective:
    """What an update wants of the policy."""

    def __init__(self) -> None: ...

    @property
    def clipped(self) -> bool: ...

    @clipped.setter
    def clipped(self, arg: bool, /) -> None: ...

    @property
    def clip(self) -> float: ...

    @clip.setter
    def clip(self, arg: float, /) -> None: ...

    @property
    def beta(self) -> float: ...

    @beta.setter
    def beta(self, arg: float, /) -> None: ...

    @property
    def policy(self) -> float: ...

    @policy.setter
    def policy(self, arg: float, /) -> None: ...

    @property
    def value(self) -> float: ...

    @value.setter
    def value(self, arg: float, /) -> None: ...

    @property
    def entropy(self) -> float: ...

    @entropy.setter
    def entropy(self, arg: float, /) -> None: ...

    @property
    def distillation(self) -> float: ...

    @distillation.setter
    def distillation(self, arg: float, /) -> None: ...

class Network(Decider):
    """Dense layers on few inputs that are not as always."""

    def __init__(self, bytes: int, scalars: int, columns: Annotated[NDArray[numpy.uint32], dict(shape=(None,), order='C', device='cpu', writable=False)], scales: Annotated[NDArray[numpy.float32], dict(shape=(None,), order='C', device='cpu', writable=False)], centres: Annotated[NDArray[numpy.float32], dict(shape=(None,), order='C', device='cpu', writable=False)], present: Annotated[NDArray[numpy.int32], dict(shape=(None,), order='C', device='cpu', writable=False)], widths: Sequence[int], actions: int, kernels: str = ...) -> None:
        """
        Raises ValueError for a shape that makes no sense, or kernels that there are not here.
        """

    @property
    def kernels(self) -> str: ...

    def use(self, parameters: Sequence[Annotated[NDArray[numpy.float32], dict(order='C', device='cpu')]]) -> None:
        """
        Takes the weights, which stay the caller's: of the first layer, [inputs][width], and its bias; of each other and of the heads, [out][in] and bias. `pack`, `refer_to` or a learner's `read` after it, and whenever they have changed.
        """

    def pack(self) -> None:
        """Takes note of weights that have changed."""

    def refer_to(self, bytes: Annotated[NDArray[numpy.uint8], dict(shape=(None, None), order='C', device='cpu', writable=False)], scalars: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu', writable=False)]) -> None:
        """
        What these observations have in common need not be computed for each. Changes the results within rounding.
        """

    def decide(self, bytes: Annotated[NDArray[numpy.uint8], dict(shape=(None, None), order='C', device='cpu', writable=False)], scalars: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu', writable=False)], logits: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu')], values: Annotated[NDArray[numpy.float32], dict(shape=(None,), order='C', device='cpu')]) -> None:
        """Logits and values of observations."""

class Learner:
    """Gradient steps of PPO on a network."""

    def __init__(self, network: Network, threads: int) -> None: ...

    def use(self, first: Sequence[Annotated[NDArray[numpy.float32], dict(order='C', device='cpu')]], second: Sequence[Annotated[NDArray[numpy.float32], dict(order='C', device='cpu')]], steps: int) -> None:
        """
        Takes Adam's moments, which stay the caller's, and how many steps it has made.
        """

    @property
    def steps(self) -> int: ...

    def begin_reading(self, bytes: Annotated[NDArray[numpy.uint8], dict(shape=(None, None), order='C', device='cpu', writable=False)], scalars: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu', writable=False)]) -> None:
        """
        Begins to take in a rollout's observations, [B, ...], in the other threads: they stay the caller's, and as they are until `read`.
        """

    def read(self, actions: Annotated[NDArray[numpy.int64], dict(shape=(None,), order='C', device='cpu', writable=False)], log_probs: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu', writable=False)], advantages: Annotated[NDArray[numpy.float32], dict(shape=(None,), order='C', device='cpu', writable=False)], targets: Annotated[NDArray[numpy.float32], dict(shape=(None,), order='C', device='cpu', writable=False)], distillation: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu', writable=False)] | None = ..., distillation_mask: Annotated[NDArray[numpy.float32], dict(shape=(None,), order='C', device='cpu', writable=False)] | None = ...) -> None:
        """
        Takes in what else is known of the observations' samples, [B, ...], which stay the caller's.
        """

    def epochs(self, orders: Annotated[NDArray[numpy.int64], dict(shape=(None, None), order='C', device='cpu', writable=False)], minibatch: int, objective: Objective, rate: float, epsilon: float, max_norm: float | None) -> dict:
        """
        Makes a gradient step for each `minibatch` of the samples of each of `orders`, [E, B]; returns the sums of their mean losses in the last one.
        """

    def differentiate(self, chosen: Annotated[NDArray[numpy.int64], dict(shape=(None,), order='C', device='cpu', writable=False)], objective: Objective, total: int, out: Annotated[NDArray[numpy.float32], dict(shape=(None,), order='C', device='cpu')]) -> dict:
        """
        Writes to `out`, [parameters], what some of a minibatch's `total` samples, be it none, add to the gradients of its mean loss; returns what they add to its mean losses.
        """

    def descend(self, gradients: Annotated[NDArray[numpy.float32], dict(shape=(None,), order='C', device='cpu', writable=False)], rate: float, epsilon: float, max_norm: float | None) -> None:
        """
        Makes one gradient step with gradients [parameters] that were summed elsewhere.
        """

    def end_epoch(self) -> None:
        """To be called after the last `descend` of an epoch."""

    def gradients(self, chosen: Annotated[NDArray[numpy.int64], dict(shape=(None,), order='C', device='cpu', writable=False)], objective: Objective) -> tuple:
        """
        The mean losses of some samples, and the gradient of each parameter, flat.
        """

    def take_seconds(self) -> dict:
        """
        What time was spent on since the last call, summed over threads; `wall` is not.
        """

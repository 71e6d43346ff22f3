"""EnvPool's interface: `send` and `recv` with the numbers of games, fewer at a time than there are.

    from warpzone.compat import envpool

    envs = envpool.make("1-1", num_envs=16, batch_size=8, observation="pixels")
    envs.async_reset()
    while True:
        obs, rewards, terminated, truncated, info = envs.recv()
        envs.send(decide(obs), info["env_id"])

As EnvPool has it with `env_type="gymnasium"`. Knows no game: `GroupPool` takes described ones too.
What differs from EnvPool 1.2:

- Games step in groups of `batch_size`, always the same ones, and `recv` hands groups over in the
  order in which they were sent. So results do not depend on which game is quicker, and a slow game
  holds up its own group alone.
- `send` takes whole groups, in any order; `num_envs` is a multiple of `batch_size`.
- `info` holds `env_id`, `elapsed_step` and the signals; there is no `players`, no `xla()`.
- Names, seeds and errors are warpzone's, but for `num_threads` and `max_episode_steps`.

After the step that ended an episode the next one begins it anew, without looking at the action, as
there.
"""

from warpzone.compat.envpool.pool import GroupPool, make

__all__ = ["GroupPool", "make"]

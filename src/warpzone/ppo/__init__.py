"""Proximal policy optimisation, in one sitting: config, losses, policy, rollout, update. Knows no
game, file or run: environments are a protocol (`rollout.VectorEnv`), with tasks told by number."""

from warpzone.extras import need

need("Learning", train=("torch",))

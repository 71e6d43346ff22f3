"""Parallelised Q-network (PQN), to be read in one sitting: config, targets, network, update.

One network with layer normalisation, no replay buffer, no target network: Q(λ) targets over
rollouts of many games, in which actions are ε-greedy. Gallici et al. 2024,
https://arxiv.org/abs/2407.04811.

Knows no game, level, file or run directory. Its rollouts are those of `warpzone.ppo`, of which it
uses no more than what plays them (`ppo.rollout`) and the face of a policy (`ppo.policy`).
"""

from warpzone.extras import need

need("Learning", train=("torch",))

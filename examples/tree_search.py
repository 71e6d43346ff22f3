"""Looks ahead: tries plans out from where the game stands, and plays the first steps of the best.

Plans come from a policy that knows nothing. Alone it soon dies; with look-ahead it gets much
farther, because a saved state takes every game of a vector environment to the same moment.

    python examples/tree_search.py --level 1-1 --plans 32
"""

import argparse

import numpy as np

import warpzone

ACTIONS = [["right"], ["right", "A"], ["right", "B"], ["right", "A", "B"], ["left"]]
WEIGHTS = [0.1, 0.1, 0.3, 0.45, 0.05]
KEEP = 0.85  # of the last step's action: short hops do not clear pipes


def draw_plans(rng, last, steps):
    """The policy: actions [steps, plans], each as the one before it or drawn anew."""
    plans = np.empty((steps, len(last)), np.int64)
    for step in range(steps):
        drawn = rng.choice(len(ACTIONS), len(last), p=WEIGHTS)
        last = plans[step] = np.where(rng.random(len(last)) < KEEP, last, drawn)
    return plans


def best_plan(ahead, state, plans):
    """Plays each plan in a game of its own, from the same state. Returns the best."""
    for game in range(ahead.num_envs):
        ahead.load_state(state, game)
    returns, running = np.zeros(ahead.num_envs), np.ones(ahead.num_envs, bool)
    for actions in plans:
        _, rewards, terminated, truncated, _ = ahead.step(actions)
        returns += rewards * running
        running &= ~(terminated | truncated)  # what follows is another episode
    return plans[:, returns.argmax()]


def play(env, rng, most_steps, ahead=None, depth=1, commit=4):
    """One episode, with or without look-ahead. Returns its last info."""
    _, info = env.reset(seed=0)
    last = np.zeros(ahead.num_envs if ahead else 1, np.int64)
    while info["steps"] < most_steps:
        plans = draw_plans(rng, last, depth if ahead else 1)
        plan = best_plan(ahead, env.save_state(), plans)[:commit] if ahead else plans[:, 0]
        for action in plan:
            _, _, terminated, truncated, info = env.step(action)
            if terminated or truncated:
                return info
        last[:] = action
    return info


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--level", default="1-1")
    parser.add_argument("--plans", type=int, default=32, help="tried from each moment")
    parser.add_argument("--depth", type=int, default=24, help="agent steps of a plan")
    parser.add_argument("--steps", type=int, default=1000, help="of an episode, at most")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()

    env = warpzone.make(args.level, actions=ACTIONS)
    ahead = warpzone.make_vec(args.level, args.plans, actions=ACTIONS)
    rng = np.random.default_rng(args.seed)
    alone = [play(env, rng, args.steps)["progress"] for _ in range(10)]
    print(f"policy alone: {np.mean(alone):.0f} px, the mean of ten episodes")
    info = play(env, rng, args.steps, ahead, args.depth)
    print(f"with look-ahead: {info['progress']} px, {'cleared' if info['flag'] else 'not cleared'}")

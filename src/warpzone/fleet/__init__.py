"""Many trainings and evaluations on a Ray cluster.

- `plan`: which trainings a fleet has, and `fleet.json`, which holds that;
- `explored`: settings that a population explores, and within which bounds;
- `cluster`: Ray, as far as it is there, and a session with it;
- `trial`: an actor that keeps a `warpzone train` process running in a run directory;
- `inherit`: one run goes on from a checkpoint of another;
- `populations`: who goes on from whom, by Ray Tune's population-based training;
- `reports`: what is told and noted of trials meanwhile;
- `fleet`: all of it together;
- `evaluation`: evaluations of agents by actors, with the results of one process.

Everything of a training is in its run directory, so that a fleet goes on after any end. Knows no
learner: trainings are processes, begun by their command line. Only `trial`, `populations` and
`reports` need Ray to be imported, and are imported once `cluster` has it.
"""

"""Services that keep the figures of trainings: Weights & Biases, MLflow, Trackio.

Each is fed by a process of its own (`follow`), which reads what the run writes for itself,
`metrics.jsonl`, and remembers in the run directory how far it has come. So a service that is slow,
cannot be reached, raises, hangs or ends its process takes nothing from the training, and what it
did not get can be sent later. `beside` starts and ends such a process.

Knows the names of a run's files; it knows no training.
"""

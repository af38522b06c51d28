"""What the command line of ``hyperhive worker`` chose."""

from __future__ import annotations

from dataclasses import dataclass

from hyperhive.worker.objectives.given import Given


@dataclass(frozen=True)
class WorkerSettings:
    """The choices for one worker; each slot's process receives them as they are.

    Args:
        mongo: the server's URI; None for the private server of this machine, as it is found.
        study: the one study to work for; None for any.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``; a slot receives the device chosen by auto.
        slots: how many trials to run at once; None for the device's default.
        lease: seconds without a heartbeat until others may take the trial.
        grace: seconds that a stopping worker may take to finish its trial.
        objectives: the files whose functions it can run.
        trust: the keys whose published objectives it runs too.
        given: a function that the program gave that starts it.
        allow_pickled: also run the jobs of hyperopt's ``fmin``, which bring their code.
        pause_on_battery: pause while the machine runs on its battery.
        max_temp: pause above this temperature, in degrees Celsius; None for no limit.
        nice: how far to lower the priority of all processes, 0 to 19.
        first_come: take trials in the order they were posted, and run no second copies.
        verbose: log at level DEBUG.
        while_stdin_open: stop in good order when standard input ends.
        log: the file for its log, and then only for warnings; None for standard error.
    """

    mongo: str | None = None
    study: str | None = None
    device: str = "auto"
    slots: int | None = None
    lease: float = 60.0
    grace: float = 10.0
    objectives: tuple[str, ...] = ()
    trust: tuple[str, ...] = ()
    given: Given | None = None
    allow_pickled: bool = False
    pause_on_battery: bool = False
    max_temp: float | None = None
    nice: int = 0
    first_come: bool = False
    verbose: bool = False
    while_stdin_open: bool = False
    log: str | None = None

"""``orrl solve | train | simulate``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .common import Json, Limit, Method, ProblemName, Seed, Threads, emit, method_from, note, problem_from, terminal

if TYPE_CHECKING:
    from orrl.core import Event

__all__ = ["simulate", "solve", "train"]


def solve(
    problem: ProblemName,
    method: Method,
    time_limit: Limit = None,
    threads: Threads = None,
    seed: Seed = 0,
    gap: Annotated[float, typer.Option(help="Stop at this relative gap.")] = 0.0,
    scenario: Annotated[int | None, typer.Option(help="Solve for the noise of this seed (clairvoyant).")] = None,
    warm_start: Annotated[Path | None, typer.Option(help="Begin from a result of --out.")] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Write the result with its plan as JSON.")] = None,
    csv: Annotated[Path | None, typer.Option(help="Write the plan as a table.")] = None,
    log: Annotated[Path | None, typer.Option(help="Write the raw solver log.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Do not show incumbents.")] = False,
    json: Json = False,
) -> None:
    """Solve a problem and prove what can be proved.

    Exit code 1 where there is no solution.
    """
    import json as words

    import orrl
    from orrl.core import Result

    shop = problem_from(problem)
    start = None if warm_start is None else Result.from_json(warm_start.read_text(encoding="utf-8"))
    result = orrl.solve(
        shop,
        method_from(method),
        time_limit=time_limit,
        threads=threads,
        seed=seed,
        gap=gap,
        warm_start=start,
        scenario=None if scenario is None else shop.scenario(scenario),  # type: ignore[attr-defined]
        callbacks=() if quiet or json or not terminal() else (_show,),
        log=log,
    )
    if out is not None:
        out.write_text(result.to_json(indent=1), encoding="utf-8")
    if csv is not None and hasattr(result.solution, "to_frame"):
        result.solution.to_frame().to_csv(csv, index=False)
    if json:
        emit(words.loads(result.to_json()))
    else:
        typer.echo(result.summary())
        if result.message:
            note(result.message)
        if result.evaluation is not None and result.evaluation.metrics:
            typer.echo(", ".join(f"{k} {v:g}" for k, v in result.evaluation.metrics.items()))
    if result.status in ("infeasible", "no_solution", "error"):
        raise typer.Exit(1)


def _show(event: Event) -> None:
    if event.kind in ("incumbent", "bound"):
        value = "-" if event.objective is None else f"{event.objective:g}"
        bound = "-" if event.bound is None else f"{event.bound:g}"
        gap = "" if event.gap is None else f"  gap {100 * event.gap:.2f}%"
        note(f"{event.seconds:8.2f} s  {event.kind:9}  objective {value:>10}  bound {bound:>10}{gap}")


def train(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE", help="A problem, a set, or a family with ranges: jobshop:jobs=[6,10],machines=6"
        ),
    ],
    learner: Annotated[str, typer.Argument(metavar="LEARNER", help="Options after a colon.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Where the policy goes.")],
    minutes: Annotated[float | None, typer.Option(help="Wall time.")] = None,
    steps: Annotated[int | None, typer.Option(help="Decisions.")] = None,
    iterations: Annotated[int | None, typer.Option(help="The learner's own iterations.")] = None,
    seed: Seed = 0,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    json: Json = False,
) -> None:
    """Train a policy and save it."""
    import time

    import orrl
    from orrl import registry

    from .common import problems_from, split

    name, options = split(learner)
    registry.lookup("learner", name)  # a wrong name is said before anything is loaded
    family, ranges = split(source)
    budget = orrl.Budget(minutes=minutes, steps=steps, iterations=iterations)
    found = None if "/" in family or Path(family).is_file() else registry.lookup("problem", family)
    if found is not None:
        lists = {k: tuple(v) if isinstance(v, list) else v for k, v in ranges.items()}
        material = found.generator(**lists)
    else:
        many = problems_from([source])
        material = many[0] if len(many) == 1 else many
    begin = time.perf_counter()
    policy = orrl.train(material, name, budget=budget, seed=seed, device=device, **options)
    seconds = time.perf_counter() - begin
    policy.save(out)
    if json:
        emit({"policy": policy.name, "path": str(out), "seconds": seconds, "seed": seed})
    else:
        typer.echo(f"{policy.name} trained in {seconds:.1f} s, saved to {out}")


def simulate(
    problem: ProblemName,
    method: Method,
    scenarios: Annotated[int, typer.Option(help="Episodes; a problem without randomness is played once.")] = 100,
    seed: Annotated[int, typer.Option(help="Seed of the world.")] = 0,
    policy_seed: Annotated[int, typer.Option(help="Seed of the method.")] = 0,
    csv: Annotated[Path | None, typer.Option(help="Write one row per episode.")] = None,
    json: Json = False,
) -> None:
    """Play a method on shared scenarios.

    Exit code 1 where an episode failed.
    """
    import orrl

    chosen = method_from(method)
    name, options = chosen if isinstance(chosen, tuple) else (chosen, {})
    found = orrl.simulate(
        problem_from(problem), name, scenarios=scenarios, seed=seed, policy_seed=policy_seed, **options
    )
    if csv is not None:
        found.to_frame().to_csv(csv, index=False)
    if json:
        emit(
            {
                "problem": found.problem,
                "method": found.method,
                "scenarios": len(found.seeds),
                "mean": found.mean,
                "interval": found.interval,
                "failures": found.failures,
                "details": found.details,
            }
        )
    else:
        typer.echo(str(found))
    if found.failures:
        raise typer.Exit(1)

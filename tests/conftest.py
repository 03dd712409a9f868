"""Small problems that many tests share."""

import numpy as np
import pytest

import wgflow as wg


def network(
    *,
    temperature: float = 0.05,
    activation: str = "tanh",
    samples: int = 20,
    horizon: float = 1.0,
    loss: str = "half_squared",
    weight: np.ndarray | None = None,
) -> wg.Problem:
    """Return a small network a * activation(w x) with ridge and entropy, on a box."""
    generator = np.random.default_rng(1)
    x = generator.uniform(-2, 2, samples)
    y = np.sin(1.5 * x) + 0.1 * generator.standard_normal(samples)
    energy = wg.Risk(wg.Data(x, y, weight), wg.Neuron(activation), loss=loss)
    energy = energy + wg.Potential.quadratic((0.05, 0.05), "ridge")
    if temperature > 0:
        energy = energy + wg.Entropy(temperature)
    return wg.Problem(
        energy=energy,
        domain=wg.Domain(wg.Interval(-5, 5), wg.Interval(-5, 5), names=("a", "w")),
        initial=wg.Gaussian((0.3, 0.0), 1.0),
        horizon=horizon,
        save_times=(0.0, horizon / 2),
    )


def well(
    *, stiffness: float = 1.0, temperature: float = 0.2, horizon: float = 1.0, std: float = 0.5
) -> wg.Problem:
    """Return an Ornstein-Uhlenbeck flow on a line that is long enough for it."""
    energy = wg.Potential.quadratic((stiffness,))
    return wg.Problem(
        energy=energy + wg.Entropy(temperature) if temperature > 0 else energy,
        domain=wg.Domain(wg.Interval(-8, 8)),
        initial=wg.Gaussian(1.0, std),
        horizon=horizon,
    )


def moments(measure: wg.GridMeasure | wg.Particles) -> tuple[float, float]:
    """Return mean and variance of the first coordinate."""
    x = measure.points[:, 0]
    mean = float(measure.mass @ x)
    return mean, float(measure.mass @ (x - mean) ** 2)


@pytest.fixture(scope="session")
def kill_counts(request) -> list[dict[str, int]]:
    """What became of the runs that were killed, for the summary."""
    request.config.kill_counts = counts = []
    return counts


def pytest_terminal_summary(terminalreporter, config) -> None:
    counts = getattr(config, "kill_counts", [])
    if counts:
        total = {name: sum(count[name] for count in counts) for name in counts[0]}
        kills = total.pop("random") + total.pop("effects")
        rest = ", ".join(f"{name} {number}" for name, number in total.items())
        terminalreporter.write_line(f"killed runs: {kills} kills; {rest}")


@pytest.fixture(scope="session")
def motorcycle_grid() -> wg.Run:
    """The motorcycle case by JKO with its default settings up to t = 6, every step saved."""
    problem = wg.get_case("motorcycle").until(6.0).save_every(0.25)
    return wg.solve(problem, wg.JKO(step=0.25, shape=(144, 76)))

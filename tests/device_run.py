"""Runs of particles that live on a device, in the simulator: their distance from those of the host.

Run as a script with NUMBA_ENABLE_CUDASIM=1; the distances are written as JSON.
"""

import json
import sys

import cuda_simulation
import device_array
import numpy as np
from conftest import network

import wgflow as wg
from wgflow.device import CPU, Card, Device, on_host
from wgflow.noise import Stream
from wgflow.solver import Scheme
from wgflow.solvers.cloud import Cloud
from wgflow.solvers.particles import ParticleScheme
from wgflow.solvers.sgd import SGD, SGDScheme

STEPS, LENGTH, COUNT = 3, 0.05, 6


def end(scheme: Scheme, device: Device, *, restart: bool = False) -> np.ndarray:
    """Return where the particles are after some steps, none of which left the device.

    With a restart the state goes through a checkpoint, which is on the host, after the first.
    """
    state = scheme.initial()
    for index in range(STEPS):
        if restart and index == 1:
            state = scheme.restored({name: on_host(array) for name, array in state.items()})
        step = scheme.advance(state, LENGTH * index, index, LENGTH)
        assert step.status == "ok"
        state = step.state
    if device is not CPU:
        assert all(
            isinstance(array, device_array.DeviceArray)
            for name, array in state.items()
            if name in scheme.distributed
        )
    return scheme.observe(state).measure.points


def schemes(device: Device) -> dict[str, Scheme]:
    """Return schemes of every method on small networks."""
    noisy, still = network(samples=5), network(temperature=0.0, samples=5)
    ring = wg.Problem(
        wg.Risk(wg.Data(np.zeros((4, 2)) + np.eye(4, 2), np.ones(4)), wg.Neuron("relu", "fixed"))
        + wg.Potential(
            lambda x: np.cos(x[:, 0]), lambda x: np.stack([-np.sin(x[:, 0]), 0 * x[:, 1]], axis=1)
        ),
        wg.Domain(wg.Circle(), wg.WholeLine()),
        wg.Gaussian((3.0, 0.0), 1.0),
        1.0,
    )

    def cloud(problem: wg.Problem, precision: str = "double") -> Cloud:
        return Cloud(problem, COUNT, 1, precision=precision, device=device)

    return {
        "euler-maruyama": ParticleScheme(cloud(noisy), "euler-maruyama"),
        "stochastic-heun": ParticleScheme(cloud(noisy), "stochastic-heun", courant=1.0),
        "bogacki-shampine": ParticleScheme(cloud(still), "bogacki-shampine", error_tolerance=1.0),
        "single": ParticleScheme(cloud(still, "single"), "heun"),
        "ring": ParticleScheme(cloud(ring), "heun"),
        "sgd": SGDScheme(cloud(still), SGD(width=COUNT, batch=3, momentum=0.5)),
    }


def main() -> None:
    """Write the largest distance of a particle on the device from that on the host, by scheme."""
    cuda_simulation.begin()
    here, there = schemes(CPU), schemes(Card(device_array))
    apart = {
        name: float(np.abs(end(there[name], Card(device_array)) - end(here[name], CPU)).max())
        for name in here
    }
    for name, scheme in there.items():
        card = Card(device_array)
        again = end(scheme, card, restart=True) - end(scheme, card)
        apart[f"{name} restarted"] = float(np.abs(again).max())
    share = 1, Stream.DYNAMICS, 3, 7, 2, 300
    drawn = Card(device_array).normal(*share).get() - CPU.normal(*share)
    apart["normals of a share"] = float(np.abs(drawn).max())
    json.dump(apart, sys.stdout)


if __name__ == "__main__":
    main()

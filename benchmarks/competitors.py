"""One velocity step of a network, by wgflow and by what else there is.

All take the same arrays and return the gradients of (1/2n) sum_i |f(x_i) - y_i|^2 in the outer and
inner weights, times m, where f(x) = (1/m) sum_j outer_j sigma(inner_j . x).
"""

import contextlib
import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
from measuring import Competitor
from threadpoolctl import threadpool_limits

import wgflow as wg
from wgflow import kernels
from wgflow.kernels import fused

Array = np.ndarray
Gradients = tuple[Array, Array]


@dataclasses.dataclass(frozen=True)
class Work:
    """An activation, a type of number, d inputs, and m = n = count."""

    activation: str
    precision: str
    dimension: int
    count: int
    public: bool = True
    """Whether wgflow chooses its kernel, or the fused one is taken."""

    @property
    def title(self) -> str:
        bits = {"float64": "f64", "float32": "f32"}[self.precision]
        kernel = "" if self.public else ", fused kernel"
        return f"{self.activation} {bits}, d = {self.dimension}{kernel}"


@dataclasses.dataclass(frozen=True)
class Network:
    """Outer (m,) and inner (m, d) weights, inputs (n, d) and labels (n,)."""

    outer: Array
    inner: Array
    inputs: Array
    labels: Array
    activation: str | wg.Activation

    @classmethod
    def drawn(cls, work: Work) -> "Network":
        draw = np.random.default_rng(0).standard_normal
        count, dimension = work.count, work.dimension
        inner = draw((count, dimension)) / np.sqrt(dimension / 2)
        arrays = draw(count), inner, draw((count, dimension)), draw(count)
        return cls(*(array.astype(work.precision) for array in arrays), work.activation)

    def first(self, count: int) -> "Network":
        """Return the network of the first particles, on the first data."""
        arrays = self.outer, self.inner, self.inputs, self.labels
        return Network(*(array[:count] for array in arrays), self.activation)

    def biased(self, activation: str | wg.Activation) -> "Network":
        """Return the network whose last input is 1, with another activation."""
        inputs = self.inputs.copy()
        inputs[:, -1] = 1.0
        return dataclasses.replace(self, inputs=inputs, activation=activation)


def reference(network: Network) -> Gradients:
    """Return the gradients in long double, which has 64 bits for digits where there is one."""
    precise = Network(
        *(
            array.astype(np.longdouble)
            for array in (network.outer, network.inner, network.inputs, network.labels)
        ),
        network.activation,
    )
    return numpy_step(precise)


def error(found: tuple[Array, ...], exact: tuple[Array, ...]) -> float:
    """Return the largest error of any of the arrays, each relative to its largest entry."""
    pairs = zip(found, exact, strict=True)
    return max(float(np.abs(a - b).max() / np.abs(b).max()) for a, b in pairs)


def numpy_step(network: Network) -> Gradients:
    """The formulas as they stand, with matrices of m n entries."""
    outer, inner, inputs = network.outer, network.inner, network.inputs
    z = inputs @ inner.T
    if network.activation == "tanh":
        sigma = np.tanh(z)
        slope = 1 - sigma * sigma
    else:
        sigma = np.maximum(z, 0)
        slope = (z > 0).astype(z.dtype)
    residual = (sigma @ outer / len(outer) - network.labels) / len(inputs)
    return sigma.T @ residual, outer[:, np.newaxis] * ((residual[:, np.newaxis] * slope).T @ inputs)


def wgflow_step(network: Network) -> Gradients:
    """What a user calls; the library chooses the kernel."""
    arrays = network.outer, network.inner, network.inputs
    forward = kernels.forward(*arrays, network.activation)
    return forward.velocity(forward.prediction - network.labels)


def kernel_step(network: Network, module: Any = fused, **options: Any) -> Gradients:
    """One module of kernels by itself, where the library would choose another."""
    activation = kernels.as_activation(network.activation)
    outer, inner, inputs = network.outer[:, np.newaxis], network.inner, network.inputs
    found = module.predict(outer, inner, inputs, activation, **options)
    residual = found - network.labels[:, np.newaxis]
    d_outer, d_inner = module.velocity(outer, inner, inputs, residual, activation, **options)
    return d_outer[:, 0], d_inner


def torch_step(network: Network) -> Callable[[], Gradients] | None:
    """Autograd of PyTorch, or None without it."""
    try:
        import torch  # noqa: PLC0415 (an optional dependency)
    except ImportError:
        return None
    outer, inner, inputs, labels = (
        torch.from_numpy(np.ascontiguousarray(array))
        for array in (network.outer, network.inner, network.inputs, network.labels)
    )
    outer.requires_grad_()
    inner.requires_grad_()
    function = {"tanh": torch.tanh, "relu": torch.relu}[network.activation]
    count = len(outer)

    def run() -> Gradients:
        prediction = function(inputs @ inner.T) @ outer / count
        loss = 0.5 * ((prediction - labels) ** 2).mean()
        gradients = torch.autograd.grad(loss, (outer, inner))
        return tuple((count * gradient).numpy() for gradient in gradients)

    return run


def keops_step(network: Network) -> Callable[[], Gradients] | None:
    """Two reductions of KeOps, compiled by the C++ compiler; None where that does not work."""
    try:
        import pykeops  # noqa: PLC0415 (an optional dependency)
        from pykeops.numpy import LazyTensor  # noqa: PLC0415
    except ImportError:
        return None
    pykeops.set_verbose(False)
    outer, labels = network.outer[:, np.newaxis], network.labels[:, np.newaxis]
    inner, inputs = network.inner, network.inputs
    is_tanh = network.activation == "tanh"

    def activate(z: Any) -> Any:  # KeOps has no tanh
        return 1 - 2 / ((2 * z).exp() + 1) if is_tanh else z.relu()

    def run() -> Gradients:
        particle, datum = LazyTensor(inner[np.newaxis]), LazyTensor(inputs[:, np.newaxis])
        terms = activate(datum | particle) * LazyTensor(outer[np.newaxis])
        residual = (terms.sum(1, backend="CPU") / len(outer) - labels) / len(inputs)
        particle, datum = LazyTensor(inner[:, np.newaxis]), LazyTensor(inputs[np.newaxis])
        z, weight = (particle | datum), LazyTensor(residual[np.newaxis])
        sigma = activate(z)
        slope = 1 - sigma * sigma if is_tanh else z.step()
        both = (weight * sigma).concat(weight * slope * datum).sum(1, backend="CPU")
        return both[:, 0], outer * both[:, 1:]

    try:
        run()
    except Exception:  # no compiler, or not one that KeOps can use
        return None
    return run


def competitors(network: Network, work: Work, threads: int, keops: bool) -> dict[str, Competitor]:
    """Return those there are, by name, wgflow first."""
    own = wgflow_step if work.public else kernel_step
    found = {
        "wgflow": Competitor(lambda: own(network), wg.Context(threads=threads).held),
        "NumPy": Competitor(lambda: numpy_step(network), lambda: _blas(threads)),
    }
    autograd = torch_step(network)
    if autograd is not None:
        found["PyTorch"] = Competitor(autograd, lambda: _torch_threads(threads))
    reductions = keops_step(network) if keops else None
    if reductions is not None:
        found["KeOps"] = Competitor(reductions)  # threads: those of OpenMP
    return found


def _blas(threads: int) -> contextlib.AbstractContextManager[Any]:
    return threadpool_limits(threads, user_api="blas")


@contextlib.contextmanager
def _torch_threads(threads: int) -> Any:
    import torch  # noqa: PLC0415 (an optional dependency)

    torch.set_num_threads(threads)
    yield

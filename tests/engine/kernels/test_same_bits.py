"""The kernels, the plain form, and any number of threads give the same bits; nothing waits for a device."""

# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportFunctionMemberAccess=false

from __future__ import annotations

import os
import subprocess
import sys

import pytest
import torch

from engine.formats import get_format, list_formats
from engine.kernels import grid_cpu
from engine.kernels.blocks import plain_blocks, plain_elements
from engine.kernels.finite import NonFiniteError
from engine.kernels.grid import pack_mask, plain_grid, quantize_grid_mask, select_kept
from engine.kernels.levels import make_levels, plain_levels
from engine.kernels.rounding import Rounding, fill_uniform, hash_torch
from engine.kernels.threads import split
from engine.randomness import make_key, uniform

KEY = make_key(3, 1, 4)
NAMES = ("int8", "int5-floor", "int4-symmetric", "log4", "msfp13", "mxfp6_e3m2", "mxint8", "bf16")


@pytest.fixture
def threads():
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def equal_bits(a: torch.Tensor, b: torch.Tensor) -> bool:
    return torch.equal(a.contiguous().view(torch.int32), b.contiguous().view(torch.int32))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("rounding", ["nearest", "stochastic"])
def test_any_number_of_threads_gives_the_same_bits(name, rounding, threads):
    format = get_format(name)
    x = torch.randn(700, 601, generator=torch.Generator().manual_seed(0))
    ways = [{"axis": 0}, {"axis": 1}]
    if format.ranged:
        ways += [{"axis": axis, "granularity": "row"} for axis in (0, 1)]
    for settings in ways:
        outs = []
        for count in (1, 2, 3):
            threads(count)
            outs.append(format.fake_quantize(x, rounding=rounding, generator=KEY, **settings))
        assert equal_bits(outs[0], outs[1])
        assert equal_bits(outs[0], outs[2])


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("rounding", ["nearest", "floor", "stochastic"])
@pytest.mark.parametrize("shape", [(1,), (40,), (7, 53), (53, 7), (3, 35, 5), (2, 20000)], ids=str)
def test_kernels_and_the_plain_form_give_the_same_bits(name, rounding, shape):
    format = get_format(name)
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0)) * 3
    for axis in range(len(shape)):
        for granularity in ("tensor", "row") if format.ranged else ("tensor",):
            settings = {"rounding": rounding, "generator": KEY, "granularity": granularity}
            plain = format.fake_quantize(x.double(), axis, **settings).float()
            assert equal_bits(format.fake_quantize(x, axis, **settings), plain)


@pytest.mark.parametrize("rounding", ["nearest", "stochastic"])
@pytest.mark.parametrize("format", list_formats(), ids=str)
def test_nothing_waits_for_the_device(format, rounding):
    # A meta tensor has no values: whatever waits for one raises.
    x = torch.empty(40, 37, device="meta")
    limits = (torch.empty((), device="meta"), torch.empty((), device="meta"))
    for axis in (0, 1):
        ways = [{}]
        if format.ranged:
            ways += [{"granularity": "row"}, {"range": limits}, {"range": limits, "granularity": "row"}]
        for settings in ways:
            out = format.fake_quantize(x, axis, rounding=rounding, generator=KEY, **settings)
            assert (out.shape, out.device) == (x.shape, x.device)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("rounding", [Rounding(), Rounding("stochastic", KEY)], ids=["nearest", "stochastic"])
def test_without_a_check_a_bad_element_comes_out_as_nan(bad, rounding):
    # What is done on CUDA, where nothing is raised, on the CPU.
    x = torch.ones(2, 40)
    x[1, 3] = bad
    out = torch.empty_like(x)
    grid = get_format("int8").make_grid(torch.tensor(-1.0), torch.tensor(1.0))
    assert plain_grid(x, out, grid, rounding, poison=True)[1, 3].isnan()
    own = get_format("int8").make_grid(*torch.aminmax(x))
    assert plain_grid(x, out, own, rounding, poison=True)[1, 3].isnan()
    for name in ("msfp13", "mxfp8_e4m3", "mxint8"):
        assert plain_blocks(x, out, get_format(name).block, 1, rounding, poison=True)[1, 3].isnan()
        assert torch.equal(out[0], torch.ones(40))
    levels = make_levels([0.0, 0.5, 1.0])
    assert plain_levels(x, out, levels, torch.tensor(1.0), 1, rounding, poison=True)[1, 3].isnan()
    assert plain_elements(x, out, get_format("bf16").element, rounding, poison=True)[1, 3].isnan()


def test_numba_and_torch_hash_alike():
    import numpy as np

    found = np.empty(1000, np.float32)
    fill_uniform(found, 17, (np.uint32(KEY.first), np.uint32(KEY.second)))
    u = hash_torch(17, torch.empty(1000), KEY)
    assert torch.equal(torch.from_numpy(found).double(), u)
    assert torch.equal(uniform(KEY, (1017,))[17:].double(), u)


@pytest.mark.parametrize("count", [1, 8, 9, 511, 513, 5000, 300_001])
@pytest.mark.parametrize("inclusive", [False, True])
def test_the_packed_mask_equals_the_plain_one(count, inclusive, threads):
    threads(2)
    x = torch.randn(count, generator=torch.Generator().manual_seed(0))
    grid = get_format("int4").make_grid(-1.0, 1.5)
    for rounding in (Rounding(), Rounding("stochastic", KEY)):
        out, mask = quantize_grid_mask(x, grid, rounding, inclusive=inclusive, check=True)
        wide_out, wide_mask = quantize_grid_mask(x.double(), grid, rounding, inclusive=inclusive, check=True)
        assert equal_bits(out, wide_out.float())
        assert torch.equal(mask, wide_mask)
        gradient = torch.randn(count, generator=torch.Generator().manual_seed(1))
        assert torch.equal(select_kept(gradient, mask), select_kept(gradient.double(), mask).float())


def test_a_mask_is_packed_lowest_bit_first():
    kept = torch.tensor([True, False, False, True, False, False, False, False, True])
    assert pack_mask(kept).tolist() == [0b1001, 1]


def test_masked_quantization_refuses_nan():
    grid = get_format("int4").make_grid(-1.0, 1.5)
    with pytest.raises(NonFiniteError):
        quantize_grid_mask(torch.tensor([0.0, float("nan")]), grid, Rounding(), inclusive=False, check=True)


def test_work_is_split_in_order_and_whole(threads):
    threads(3)
    assert split(10, 10, lambda a, z: (a, z)) == [(0, 10)]
    assert split(10, 1 << 20, lambda a, z: (a, z)) == [(0, 3), (3, 6), (6, 10)]
    assert split(2, 1 << 20, lambda a, z: (a, z)) == [(0, 1), (1, 2)]


def test_an_error_in_a_thread_reaches_the_caller(threads):
    threads(2)

    def work(a: int, z: int) -> None:
        if a:
            raise ValueError("in the second part")

    with pytest.raises(ValueError, match="in the second part"):
        split(10, 1 << 20, work)


def test_kernels_leave_torchs_thread_count(threads):
    threads(2)
    get_format("int8").fake_quantize(torch.randn(700, 601))
    assert torch.get_num_threads() == 2


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_can_quantize():
    code = (
        "import os, torch; from engine.formats import get_format; torch.set_num_threads(2); "
        "f = get_format('int8'); x = torch.linspace(-1, 1, 600_000); want = f.fake_quantize(x); pid = os.fork()\n"
        "if pid == 0:\n"
        "    torch.set_num_threads(1)\n"
        "    from engine.kernels.threads import split\n"
        "    torch.get_num_threads = lambda: 2\n"
        "    ok = split(4, 1 << 20, lambda a, z: z - a) == [2, 2]\n"
        "    os._exit(0 if ok else 1)\n"
        "print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout == "0\n"


def test_kernels_work_where_no_cache_can_be_written(tmp_path):
    code = (
        "import numba.core.caching as c\n"
        "def fail(*a, **k): raise RuntimeError('cannot cache function')\n"
        "c.FunctionCache.__init__ = fail\n"
        "from engine.kernels.jit import kernel\n"
        "@kernel\n"
        "def double(x):\n"
        "    return 2 * x\n"
        "print(double(21))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=True)
    assert done.stdout == "42\n"


def test_warming_compiles_and_runs_every_kernel(monkeypatch):
    from engine.kernels.warm import warm

    warm()
    assert grid_cpu.quantize_flat.signatures
    assert grid_cpu.quantize_flat_mask.signatures

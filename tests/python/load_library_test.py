#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The operator library in Python: torch.ops.load_library, autograd, fake tensors, torch.compile.

Usage: load_library_test.py LIBAVOCET_KERNELS.so
"""
import sys

import torch


def inputs(dtype=torch.float64, device="cpu", tokens=50):
    generator = torch.Generator().manual_seed(3)
    shape = (2, tokens, 7)
    w = torch.rand(7, generator=generator, dtype=torch.float64) * 4 / tokens
    u = torch.randn(7, generator=generator, dtype=torch.float64)
    k = torch.randn(shape, generator=generator, dtype=torch.float64)
    v = torch.randn(shape, generator=generator, dtype=torch.float64)
    return [x.to(device, dtype).requires_grad_() for x in (w, u, k, v)]


def definition(w, u, k, v):
    tokens = k.shape[1]
    i = torch.arange(tokens, device=k.device)
    distance = (i[:, None] - i[None, :]).abs()
    same = torch.eye(tokens, dtype=torch.bool, device=k.device)
    bias = torch.where(same[..., None], u, -w * (distance - 1)[..., None].clamp(min=0))  # [t, i, c]
    weights = torch.softmax(bias[None] + k[:, None], dim=2)
    return (weights * v[:, None]).sum(2)


def check(name, condition):
    print(("ok    " if condition else "FAIL  ") + name)
    if not condition:
        sys.exit(1)


def main(library):
    torch.ops.load_library(library)
    op = torch.ops.avocet.bi_wkv
    devices = ["cpu"] + (["cuda"] if torch.cuda.is_available() else [])
    for device in devices:
        mine, theirs = inputs(device=device), inputs(device=device)
        y, want = op(*mine), definition(*theirs)
        check(f"{device}: definition", torch.allclose(y, want, rtol=1e-10, atol=1e-12))
        g = torch.sin(torch.arange(y.numel(), dtype=y.dtype, device=device)).view_as(y)
        y.backward(g)
        want.backward(g)
        for name, a, b in zip("wukv", mine, theirs):
            check(f"{device}: gradient of {name}", torch.allclose(a.grad, b.grad, rtol=1e-8, atol=1e-10))
    check("gradcheck", torch.autograd.gradcheck(lambda *x: op(*x), inputs(tokens=9)))
    for split in (0, 32):
        torch.library.opcheck(op.default, (*inputs(), split, False))
        print(f"ok    opcheck, split {split}")
    with torch._subclasses.FakeTensorMode():
        fake = [torch.empty(5), torch.empty(5), torch.empty(3, 11, 5), torch.empty(3, 11, 5)]
        check("fake tensors", op(*fake).shape == (3, 11, 5))

    def block(w, u, k, v):
        return torch.relu(op(w, u, k * 2, v)).sum()

    compiled = torch.compile(block, backend="aot_eager", fullgraph=True)
    mine, theirs = inputs(torch.float32), inputs(torch.float32)
    compiled(*mine).backward()
    block(*theirs).backward()
    check("torch.compile, with gradients", all(torch.allclose(a.grad, b.grad) for a, b in zip(mine, theirs)))
    k = torch.randn(2, 20, 7)
    state = torch.ops.avocet.bi_wkv_border(mine[0].detach(), k, k, False)
    check("borders", state[0].shape == (2, 7))


if __name__ == "__main__":
    main(*sys.argv[1:])

"""What every measured side of bench/sdxl.mjs needs: the clock, CPU seconds, calls timed one by one, and memory."""

import os
import resource
import time

START = float(os.environ["BENCH_START"])
THREADS = int(os.environ["BENCH_THREADS"])
PROMPT = "a red house under a full moon"


def cpu():
    """CPU seconds of this process so far, of user and system."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def since_start():
    return {"wall": time.time() - START, "cpu": cpu()}


def timed(call, calls):
    """The first call, and as many after it as asked for."""
    times = []
    for _ in range(calls + 1):
        wall, used = time.time(), cpu()
        call()
        times.append({"wall": time.time() - wall, "cpu": cpu() - used})
    return {"first call": times[0], "calls": times[1:]}


def memory():
    """Bytes: the most that was resident at once, and what is resident now and backed by no file."""
    with open("/proc/self/status") as status:
        lines = dict(line.split(":", 1) for line in status)
    return {name: int(lines[field].split()[0]) * 1024 for name, field in (("peak", "VmHWM"), ("anonymous", "RssAnon"))}

"""What the benches share: a private server, and figures of a process and of its server."""

import glob
import os
import pathlib
import pwd
import shutil
import statistics
import subprocess
import sys
import time


def bin_dir():
    found = sorted(glob.glob("/usr/lib/postgresql/*/bin"), key=lambda p: int(p.split("/")[4]))
    return pathlib.Path(found[-1]) if found else pathlib.Path(shutil.which("initdb")).parent


BIN = bin_dir()


class Server:
    def __init__(self, folder, settings=()):
        self.user = pwd.getpwnam("postgres") if os.geteuid() == 0 else None
        if self.user:
            os.chown(folder, self.user.pw_uid, self.user.pw_gid)
        self.folder = folder
        self.run([BIN / "initdb", "-D", folder / "data", "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync"])
        # Of two values for one setting the last holds.
        settings = ["listen_addresses=", "fsync=off", "synchronous_commit=off", "full_page_writes=off", "shared_buffers=256MB", *settings]
        command = [BIN / "postgres", "-D", folder / "data", "-k", folder]
        self.process = subprocess.Popen(command + [a for s in settings for a in ("-c", s)], cwd="/", stderr=subprocess.DEVNULL, **self.drop())
        while subprocess.run([BIN / "pg_isready", "-q", "-h", folder]).returncode:
            time.sleep(0.02)

    def drop(self):
        return {"user": self.user.pw_uid, "group": self.user.pw_gid, "extra_groups": []} if self.user else {}

    def run(self, command):
        subprocess.run(command, check=True, cwd="/", stdout=subprocess.DEVNULL, **self.drop())

    def database(self, name):
        subprocess.run([BIN / "createdb", "-h", self.folder, "-U", "postgres", name], check=True)

    def stop(self):
        self.process.terminate()
        self.process.wait()

    def cpu(self):
        """Seconds of the server and of every backend that has ended; those of clients have."""
        while any(self.is_client(child) for child in self.children()):
            time.sleep(0.005)
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return sum(int(n) for n in fields[11:15]) / os.sysconf("SC_CLK_TCK")

    def children(self):
        return pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()

    @staticmethod
    def is_client(pid):
        try:
            # One that has ended and is not counted yet has no command line any more.
            command = pathlib.Path(f"/proc/{pid}/cmdline").read_text()
            return not command or "[local]" in command or "127.0.0.1(" in command
        except OSError:
            return False

    def query(self, sql, database="postgres"):
        command = [BIN / "psql", "-XqAt", "-h", self.folder, "-U", "postgres", "-d", database, "-c", sql]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def timed(command, **more):
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, **more)
    errors = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{command} failed: {errors.decode()}")
    return wall, usage.ru_maxrss / 1024, usage.ru_utime + usage.ru_stime


def row(name, values, unit):
    print(f"{name:28} min {min(values):8.3f}  median {statistics.median(values):8.3f}  max {max(values):8.3f}  {unit}")


# What bench-seed loads and bench-export writes.
TABLE = """create table {} (id bigint primary key, account int not null, visits int not null, score double precision not null,
  ratio double precision, region text not null, plan text not null, note text not null, at timestamptz not null,
  active boolean not null, tags jsonb not null, amount numeric(12,4) not null)"""
# Rows as the export of a feature table has them: keys, numbers with some NULL, short texts, a time, JSON, money.
FILL = """insert into rows select i, i % 5000, (i::bigint * 7919) % 1000, sqrt(i)::float8 * 1.37, case when i % 100 = 0 then null else sin(i) end,
  (array['north', 'south', 'east', 'west'])[1 + i % 4], (array['free', 'basic', 'pro'])[1 + i % 3], 'customer note ' || md5(i::text),
  timestamptz '2024-01-01 00:00:00Z' + i * interval '13.7 seconds', i % 3 = 0,
  jsonb_build_object('source', 'web', 'clicks', i % 50, 'ab', i % 2), (i % 100000)::numeric / 7 from generate_series(1, {}) i"""

"""Commands for gdb that know Pteron: ./pteron gdb loads them. `help pteron` lists them.

They read memory only, and run nothing in the kernel; so they work wherever it stops, on Xen too, as long as the CPU that
gdb looks at runs Pteron: Xen's own tables do not map it."""

import os

import gdb

DIRECT_MAP = 0xffff888000000000
M2P = 0xffff800000000000  # Xen's table from machine to guest frames, a u64 each (public/arch-x86/xen-x86_64.h)
FRAME = 0x000ffffffffff000
LEVELS = ((4, 39, "pgd_t"), (3, 30, "pud_t"), (2, 21, "pmd_t"), (1, 12, "pte_t"))
BITS = ((0, "present"), (1, "rw"), (2, "user"), (5, "accessed"), (6, "dirty"), (7, "large"), (8, "global"), (9, "special"),
        (10, "protnone"), (63, "nx"))
STATES = ("runnable", "blocked", "interruptible", "dead")
STACK_SIZE = 16 << 10  # KSTACK_SIZE in kernel/sched/task.h
LIST_MAX = 1 << 16  # longer is a list that is being changed
ALL_BITS = (1 << 64) - 1


def read(kind, address):
    """The object of type @kind at @address."""
    return read_as(gdb.lookup_type(kind), int(address))


def symbol(name):
    """Of a variable: its value."""
    return gdb.parse_and_eval(name)


def cpus():
    """The CPUs that are online, by number; they are known once the kernel runs."""
    mask = symbol("cpu_online_mask")
    words = mask[mask.type.fields()[0].name]
    return [64 * i + bit for i in range(words.type.range()[1] + 1) for bit in range(64) if int(words[i]) >> bit & 1]


def per_cpu(name, cpu):
    """The copy of the per-CPU variable @name that @cpu has."""
    variable = symbol(name)
    return read_as(variable.type, int(variable.address) + int(symbol("percpu_offset")[cpu]))


def read_as(kind, address):
    return gdb.Value(address & ALL_BITS).cast(kind.pointer()).dereference()


class Command(gdb.Command):
    """A command with a name; where its memory cannot be read, or its argument is none, it says so."""

    def __init__(self, name, completion=gdb.COMPLETE_NONE):
        super().__init__(name, gdb.COMMAND_DATA, completion)

    def invoke(self, argument, from_tty):
        try:
            self.run(argument)
        except gdb.MemoryError as error:
            raise gdb.GdbError(f"{error}: the kernel does not run yet, or this CPU runs something else; continue") from error
        except ValueError as error:
            raise gdb.GdbError(f"{argument!r} is no number") from error


def linked(head, kind, member):
    """The objects of type @kind on the list @head, which are linked by @member."""
    offset = next(f.bitpos // 8 for f in gdb.lookup_type(kind).fields() if f.name == member)
    node = head["next"]
    for _ in range(LIST_MAX):
        if int(node) == int(head.address):
            return
        yield read(kind, int(node) - offset)
        node = node["next"]
    print("the list does not end: it is being changed")


def tasks():
    return linked(symbol("'kernel/sched/task.c'::task_list"), "struct task", "task_node")


def waits_for(task):
    """The address of what @task sleeps for; 0: nothing, or a release build, which does not note it."""
    if not any(f.name == "wait" for f in task.type.fields()) or not int(task["wait"]["what"]):
        return 0
    return int(task["wait"]["object"])


def is_xen():
    return int(symbol("xen_shared_info")) != 0


def frame_address(entry):
    """Where the direct map has the frame that @entry holds."""
    frame = entry & FRAME
    if is_xen():
        frame = int(read("unsigned long", M2P + 8 * (frame >> 12))) << 12
    return DIRECT_MAP + frame


def flags(entry):
    return " ".join(name for bit, name in BITS if entry >> bit & 1) or "nothing"


def vma_flags(value):
    """As /proc/PID/maps has them, and what else there is (mm/mm.h)."""
    rights = "".join(letter if value >> bit & 1 else "-" for bit, letter in enumerate("rwxs"))
    more = [name for bit, name in enumerate(("frames", "stack", "dontcopy", "wipeonfork"), 4) if value >> bit & 1]
    return " ".join([rights, *more])


def code(address):
    """A code address by name."""
    block = gdb.execute(f"info symbol {int(address):#x}", to_string=True).strip()
    return block.split(" in section")[0]


def task_of(argument):
    """The task with the number in @argument; without one, the current task of the CPU that gdb looks at."""
    if argument:
        wanted = int(argument, 0)
        found = next((t for t in tasks() if int(t["tid"]) == wanted), None)
        if found is None:
            raise gdb.GdbError(f"there is no task {wanted}; pteron-tasks lists them")
        return found
    return _running_task()


def _running_task():
    """Whose stack the CPU is on that gdb looks at; gdb's threads are physical CPUs, on Xen any of them may run any of ours."""
    stack = int(symbol("$sp")) & ALL_BITS
    for cpu in cpus():
        task = per_cpu("current_task", cpu).dereference()
        if 0 <= stack - int(task["stack"]) < STACK_SIZE:
            return task
    raise gdb.GdbError("this CPU is on no task's stack: give the number of one, from pteron-tasks")


class Prefix(gdb.Command):
    """Commands that know Pteron: pteron-tasks, -mm, -walk, -lazy, -queue, -locks, -program."""

    def __init__(self):
        super().__init__("pteron", gdb.COMMAND_DATA, prefix=True)

    def invoke(self, argument, from_tty):
        for name in ("tasks", "mm", "walk", "lazy", "queue", "locks", "program"):
            print(gdb.execute(f"help pteron-{name}", to_string=True).splitlines()[0])


class Tasks(Command):
    """pteron-tasks: each task with its state, its CPU, and what it waits for."""

    def __init__(self):
        super().__init__("pteron-tasks")

    def run(self, argument):
        for t in tasks():
            state = "running" if t["on_cpu"] else STATES[int(t["state"])]
            line = f"{int(t['tid']):>5} {t['name'].string():<16} cpu {int(t['cpu'])}  {state}"
            if waits_for(t):
                line += f", waits for {t['wait']['what'].string()} {waits_for(t):#x}"
            print(line)


class Mm(Command):
    """pteron-mm [TASK]: the address space of a task, and its VMAs."""

    def __init__(self):
        super().__init__("pteron-mm")

    def run(self, argument):
        t = task_of(argument)
        if not int(t["mm"]):
            raise gdb.GdbError(f"task {int(t['tid'])} {t['name'].string()} is a kernel thread: it has no address space")
        mm = t["mm"].dereference()
        print(f"mm {int(t['mm']):#x} of task {int(t['tid'])}: pgd {int(mm['pgd']):#x}, {int(mm['users']['v'])} tasks, "
              f"{int(mm['mapped_pages'])} pages in VMAs")
        vma = self._first(mm["vmas"])
        for _ in range(LIST_MAX):
            if not int(vma):
                return
            print(f"  {int(vma['start']):#x}-{int(vma['end']):#x} {vma_flags(int(vma['flags']))}")
            vma = vma["next"]

    @staticmethod
    def _first(vmas):
        name = next(f.name for f in vmas.type.fields() if f.name in ("first", "head", "list"))
        return vmas[name]


class Walk(Command):
    """pteron-walk ADDRESS [TASK]: the entries that translate an address, from L4 down."""

    def __init__(self):
        super().__init__("pteron-walk")

    def run(self, argument):
        words = gdb.string_to_argv(argument)
        if not words:
            raise gdb.GdbError("pteron-walk ADDRESS [TASK]")
        address = int(gdb.parse_and_eval(words[0])) & ALL_BITS
        if not (address < 1 << 47 or address >= (1 << 64) - (1 << 47)):
            raise gdb.GdbError(f"{address:#x} is not canonical: no table has it")
        t = task_of(words[1] if words[1:] else "")
        table = int(t["mm"]["pgd"]) if int(t["mm"]) else int(gdb.parse_and_eval("$cr3")) & FRAME | DIRECT_MAP
        for level, shift, kind in LEVELS:
            entry = int(read(kind, table + 8 * (address >> shift & 511))["v"])
            print(f"L{level} table {table:#x} entry {address >> shift & 511:>3}: {entry:016x} {flags(entry)}")
            if not entry & 1 or level > 1 and entry & 1 << 7:
                return
            table = frame_address(entry)
        print(f"frame at {table:#x}")


class Lazy(Command):
    """pteron-lazy: who is in the lazy MMU mode, and how deep."""

    def __init__(self):
        super().__init__("pteron-lazy")

    def run(self, argument):
        inside = [(t, int(t["lazy_mmu"])) for t in tasks() if int(t["lazy_mmu"])]
        for t, word in inside:
            print(f"task {int(t['tid'])} {t['name'].string()}: {word & 255} sections, {word >> 8 & 255} pauses, "
                  f"{word >> 16 & 255} sections inside a pause")
        if not inside:
            print("no task is in the mode")


class Queue(Command):
    """pteron-queue [CPU]: the updates that a CPU has queued, who queued them, and the invalidation that it owes."""

    def __init__(self):
        super().__init__("pteron-queue")

    def run(self, argument):
        online = cpus()
        if argument and int(argument, 0) not in online:
            raise gdb.GdbError(f"CPU {argument} is not online; online are: {' '.join(map(str, online))}")
        for cpu in [int(argument, 0)] if argument else online:
            batch = per_cpu("this_batch", cpu)
            n = int(batch["n"])
            owed = batch["flush"]
            print(f"cpu {cpu}: {n} updates, " +
                  (f"owes the invalidation of {int(owed['start']):#x}-{int(owed['end']):#x}" if int(owed["mm"]) else
                   "owes no invalidation"))
            for i in range(n):
                update = batch["update"][i]
                print(f"  {int(update['ptr']) & ~3:#x} {'keeping A and D ' if int(update['ptr']) & 3 else ''}= "
                      f"{int(update['val']):016x} by {code(batch['caller'][i])}")


class Locks(Command):
    """pteron-locks: which task holds which locks, or is about to take them; innermost last (debug builds)."""

    def __init__(self):
        super().__init__("pteron-locks")

    def run(self, argument):
        names = [f.name for f in gdb.lookup_type("enum lock_class").fields()]
        none = True
        for t in tasks():
            for i in range(int(t["held"]["nr"])):
                held, none = t["held"]["lock"][i], False
                waits = ", which it waits for" if waits_for(t) == int(held["lock"]) else ""
                print(f"task {int(t['tid'])} {t['name'].string()}: {names[int(held['class'])]} at {int(held['lock']):#x}{waits}")
        if none:
            print("no task holds a lock, or this is a release build")


class Program(Command):
    """pteron-program NAME|FILE: symbols of a program of ring 3; by its name, of one in the initrd that was built."""

    def __init__(self):
        super().__init__("pteron-program", gdb.COMPLETE_FILENAME)

    def run(self, argument):
        programs = os.path.join(os.path.dirname(gdb.objfiles()[0].filename), "user")
        path = argument if os.path.exists(argument) else os.path.join(programs, argument)
        if not argument or not os.path.isfile(path):
            raise gdb.GdbError(f"there is no file {argument!r}, and no program of that name in {programs}")
        gdb.execute(f"add-symbol-file {path}", to_string=True)
        print(f"symbols of {path}")


for command in (Prefix, Tasks, Mm, Walk, Lazy, Queue, Locks, Program):
    command()
